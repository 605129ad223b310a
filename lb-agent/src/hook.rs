//! Where on an interface the programs run, and why there.

use std::fmt;

use crate::model::Interface;

/// A place in the kernel at which frames are judged.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Hook {
    /// XDP in the driver.
    Xdp,
    /// XDP in the stack's generic receive path.
    XdpGeneric,
    /// The traffic control ingress hook: tcx, or clsact before 6.6.
    Tc,
}

impl Hook {
    /// The word that users write and read.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which hook the operator wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum HookChoice {
    /// What suits the interface best.
    #[default]
    Auto,
    /// XDP in the driver, or nothing.
    Xdp,
    /// XDP in the stack.
    XdpGeneric,
    /// Traffic control.
    Tc,
}

/// A hook and what spoke for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chosen {
    /// The hook.
    pub hook: Hook,
    /// For the log.
    pub reason: String,
}

/// Picks the hook for an interface.
///
/// `own_programs` are the ids of our own XDP programs, `strips_vlan_tags` what its NIC does, `all` every interface.
#[must_use]
pub fn choose(
    choice: HookChoice,
    interface: &Interface,
    all: &[Interface],
    strips_vlan_tags: bool,
    is_own_program: impl Fn(u32) -> bool,
) -> Chosen {
    let chosen = |hook, reason: &str| Chosen { hook, reason: reason.to_owned() };
    match choice {
        HookChoice::Xdp => return chosen(Hook::Xdp, "asked for by --hook"),
        HookChoice::XdpGeneric => return chosen(Hook::XdpGeneric, "asked for by --hook"),
        HookChoice::Tc => return chosen(Hook::Tc, "asked for by --hook"),
        HookChoice::Auto => {}
    }
    if let Some(kind) = &interface.kind {
        return Chosen {
            hook: Hook::Tc,
            reason: format!("a {kind} device cannot be relied on to send from XDP"),
        };
    }
    if let Some(program) = interface.xdp_program.filter(|&program| !is_own_program(program)) {
        return Chosen { hook: Hook::Tc, reason: format!("XDP program {program} has the XDP slot") };
    }
    let carries_vlans =
        all.iter().any(|upper| upper.kind.as_deref() == Some("vlan") && upper.lower == Some(interface.index));
    if strips_vlan_tags && carries_vlans {
        return chosen(
            Hook::Tc,
            "the NIC strips VLAN tags and VLANs run on it, so XDP cannot tell them apart",
        );
    }
    chosen(Hook::Xdp, "a NIC with a free XDP slot")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, kind: Option<&str>) -> Interface {
        let (name, kind) = (format!("if{index}"), kind.map(str::to_owned));
        Interface { index, name, kind, ..Interface::eth0([2, 0, 0, 0, 0, 1], &[]) }
    }

    fn auto(interface: &Interface, all: &[Interface], strips: bool) -> Hook {
        choose(HookChoice::Auto, interface, all, strips, |id| id == 7).hook
    }

    #[test]
    fn a_nic_gets_native_xdp() {
        let nic = interface(2, None);
        assert_eq!(auto(&nic, std::slice::from_ref(&nic), true), Hook::Xdp);
    }

    #[test]
    fn virtual_devices_get_tc() {
        for kind in ["veth", "tun", "bridge", "vlan", "macvlan", "bond"] {
            let device = interface(2, Some(kind));
            assert_eq!(auto(&device, std::slice::from_ref(&device), false), Hook::Tc, "{kind}");
        }
    }

    #[test]
    fn a_foreign_xdp_program_is_left_alone_and_our_own_is_no_hindrance() {
        let foreign = Interface { xdp_program: Some(9), ..interface(2, None) };
        assert_eq!(auto(&foreign, &[], false), Hook::Tc);
        let own = Interface { xdp_program: Some(7), ..interface(2, None) };
        assert_eq!(auto(&own, &[], false), Hook::Xdp);
    }

    #[test]
    fn a_nic_that_strips_tags_gets_tc_once_it_carries_vlans() {
        let nic = interface(2, None);
        let vlan = Interface { lower: Some(2), ..interface(3, Some("vlan")) };
        let other = Interface { lower: Some(9), ..interface(4, Some("vlan")) };
        assert_eq!(auto(&nic, &[nic.clone(), vlan.clone()], true), Hook::Tc);
        assert_eq!(auto(&nic, &[nic.clone(), vlan], false), Hook::Xdp);
        assert_eq!(auto(&nic, &[nic.clone(), other], true), Hook::Xdp);
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let veth = interface(2, Some("veth"));
        let chosen = |choice| choose(choice, &veth, &[], false, |_| false).hook;
        assert_eq!(chosen(HookChoice::Xdp), Hook::Xdp);
        assert_eq!(chosen(HookChoice::XdpGeneric), Hook::XdpGeneric);
        assert_eq!(chosen(HookChoice::Tc), Hook::Tc);
    }
}
