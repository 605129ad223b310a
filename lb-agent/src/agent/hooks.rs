//! Which interfaces carry our programs, and that they really do.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd,
};

use tracing::{info, warn};

use crate::{
    attach::{self, AttachError, Pin, Programs, Slot, Target},
    discovery::Carriers,
    hook::{self, Chosen, Hook, HookChoice},
    model::Interface,
    netlink,
    pins::LockedPins,
    plan::Interfaces,
    self_test::self_test,
    sys,
    wire::Sender,
};

/// What is wanted of the interfaces.
pub struct Request<'a> {
    /// What the operator asked for.
    pub choice: HookChoice,
    /// Which of them.
    pub wanted: &'a Interfaces,
    /// Every interface.
    pub interfaces: &'a [Interface],
    /// Whether requests that leave have to be looked at.
    pub needs_egress: bool,
    /// Whether programs over the maps of another schema version may be replaced now.
    pub may_swap: &'a dyn Fn() -> bool,
    /// Look whether the kernel still runs what was attached.
    pub verify: bool,
}

/// An interface that carries our programs.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Attached {
    hook: Hook,
    slots: BTreeSet<Slot>,
}

/// The interfaces that carry our programs.
pub struct Hooks {
    /// Those that are to carry them, as last found.
    carriers: Carriers,
    attached: BTreeMap<u32, Attached>,
    /// Programs of another agent version answer from maps that this one cannot read; they go on until this agent
    /// knows what it holds.
    is_upgrade: bool,
}

impl Hooks {
    /// Nothing attached yet. With `is_upgrade`, pinned programs run over maps of another schema version.
    pub fn new(is_upgrade: bool) -> Self {
        Self { carriers: Carriers::default(), attached: BTreeMap::new(), is_upgrade }
    }

    /// Whether VIPs may be announced on an interface.
    pub fn is_usable(&self, ifindex: u32) -> bool {
        self.attached.contains_key(&ifindex)
    }

    /// The interfaces on which VIPs may be announced.
    pub fn usable(&self) -> BTreeSet<u32> {
        self.attached.keys().copied().collect()
    }

    /// Where on an interface programs are attached.
    pub fn slots(&self, ifindex: u32) -> Option<&BTreeSet<Slot>> {
        self.attached.get(&ifindex).map(|attached| &attached.slots)
    }

    /// Whether units that do not name their interfaces are announced on this one.
    pub fn is_default(&self, ifindex: u32) -> bool {
        self.carriers.default.contains(&ifindex)
    }

    /// Attaches to each wanted interface that is there, detaches from those no longer wanted.
    pub fn ensure(
        &mut self,
        request: &Request<'_>,
        programs: &mut Programs,
        pins: &LockedPins,
        sender: &Sender,
    ) -> Result<(), String> {
        self.follow(request);
        let wanted: BTreeSet<u32> = self.carriers.all().collect();
        let mut problems = Vec::new();
        for interface in request.interfaces.iter().filter(|interface| wanted.contains(&interface.index)) {
            if let Err(error) = self.ensure_one(interface, request, programs, pins, sender) {
                self.attached.remove(&interface.index);
                problems.push(error.to_string());
            }
        }
        self.attached.retain(|ifindex, _| wanted.contains(ifindex));
        for pin in Pin::all(pins).iter().filter(|pin| !wanted.contains(&pin.ifindex)) {
            info!(
                ifindex = pin.ifindex,
                slot = pin.kind(),
                "program removed: the interface is not used any more"
            );
            problems.extend(attach::detach(pins, pin).err().map(|error| error.to_string()));
        }
        if self.is_upgrade && (request.may_swap)() && problems.is_empty() {
            self.is_upgrade = false;
            problems.extend(pins.remove_foreign_maps().err().map(|error| error.to_string()));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Runs the programs that are attached on the reserved entry.
    pub fn self_test(&self, programs: &mut Programs) -> Result<(), String> {
        let slots: BTreeSet<Slot> = self
            .attached
            .values()
            .flat_map(|attached| &attached.slots)
            .filter(|&&slot| slot != Slot::TcEgress)
            .copied()
            .collect();
        if slots.is_empty() {
            return Err("the lease is not renewed: no interface carries a program".to_owned());
        }
        slots.into_iter().try_for_each(|slot| {
            self_test(programs, slot)
                .map_err(|error| format!("the lease is not renewed, the self-test failed: {error}"))
        })
    }

    fn follow(&mut self, request: &Request<'_>) {
        let default_route = match request.wanted {
            Interfaces::OfDefaultRoute => netlink::default_route_interface(),
            Interfaces::Named(_) | Interfaces::Discovered { .. } => None,
        };
        let (wanted, all) = (request.wanted, request.interfaces);
        self.carriers = Carriers::of(wanted, default_route.as_deref(), all, &self.carriers);
    }

    fn ensure_one(
        &mut self,
        interface: &Interface,
        request: &Request<'_>,
        programs: &mut Programs,
        pins: &LockedPins,
        sender: &Sender,
    ) -> Result<(), AttachError> {
        let before = self.attached.get(&interface.index).cloned();
        let chosen = choose(interface, request, programs, pins, sender, before.as_ref());
        let slots = attach::slots(chosen.hook, request.needs_egress);
        if self.is_upgrade && !(request.may_swap)() {
            self.attached.insert(interface.index, Attached { hook: chosen.hook, slots });
            return Ok(());
        }
        if before.as_ref().is_some_and(|before| before.hook == chosen.hook && before.slots == slots)
            && !self.is_upgrade
        {
            if !request.verify || runs(programs, pins, interface.index, &slots) {
                return Ok(());
            }
            warn!(
                interface = interface.name,
                "the program was taken off the interface by someone else: attached anew"
            );
        }
        let target = Target { ifindex: interface.index, name: &interface.name };
        let (chosen, slots) = attach_or_fall_back(programs, pins, target, request, chosen, slots)?;
        if before.is_none_or(|before| before.hook != chosen.hook) {
            info!(
                interface = interface.name,
                hook = %chosen.hook,
                egress = request.needs_egress,
                program = slots.first().and_then(|&slot| programs.id(slot)),
                reason = chosen.reason,
                "program attached"
            );
        }
        self.attached.insert(interface.index, Attached { hook: chosen.hook, slots });
        Ok(())
    }
}

/// The hook to take. One that `auto` fell back on stays until the interface goes.
fn choose(
    interface: &Interface,
    request: &Request<'_>,
    programs: &Programs,
    pins: &LockedPins,
    sender: &Sender,
    before: Option<&Attached>,
) -> Chosen {
    let strips = sys::strips_vlan_tags(sender.socket().as_fd(), &interface.name).unwrap_or(false);
    let is_own = |id| {
        let pinned = [Slot::Xdp, Slot::XdpGeneric].into_iter().filter_map(|slot| {
            let pin = Pin { ifindex: interface.index, slot, mechanism: attach::Mechanism::Link };
            attach::running(pins, &pin)
        });
        programs.id(Slot::Xdp) == Some(id) || pinned.into_iter().any(|pinned| pinned == id)
    };
    let chosen = hook::choose(request.choice, interface, request.interfaces, strips, is_own);
    match before {
        Some(before) if request.choice == HookChoice::Auto && chosen.hook == Hook::Xdp => {
            Chosen { hook: before.hook, ..chosen }
        }
        _ => chosen,
    }
}

/// Whether the kernel runs our very programs there.
fn runs(programs: &Programs, pins: &LockedPins, ifindex: u32, slots: &BTreeSet<Slot>) -> bool {
    slots.iter().all(|&slot| {
        let pin = Pin { ifindex, slot, mechanism: attach::mechanism(slot) };
        let running = attach::running(pins, &pin);
        running.is_some() && running == programs.id(slot)
    })
}

/// With `auto`, a driver that will not take XDP is no reason to give up.
fn attach_or_fall_back(
    programs: &mut Programs,
    pins: &LockedPins,
    target: Target<'_>,
    request: &Request<'_>,
    chosen: Chosen,
    slots: BTreeSet<Slot>,
) -> Result<(Chosen, BTreeSet<Slot>), AttachError> {
    match attach::attach(programs, pins, target, &slots) {
        Ok(()) => Ok((chosen, slots)),
        Err(error) if request.choice == HookChoice::Auto && chosen.hook == Hook::Xdp => {
            let slots = attach::slots(Hook::Tc, request.needs_egress);
            attach::attach(programs, pins, target, &slots)?;
            Ok((Chosen { hook: Hook::Tc, reason: format!("native XDP was refused ({error})") }, slots))
        }
        Err(error) => Err(error),
    }
}
