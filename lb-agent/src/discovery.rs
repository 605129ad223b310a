//! Which interfaces carry VIPs: those that are named, or those that look like network interfaces of the host.

use std::{collections::BTreeSet, fmt, sync::Arc};

use regex_lite::Regex;

use crate::{model::Interface, plan::Interfaces};

/// Patterns for the names of interfaces that are not discovered where nothing else is said: what container runtimes and
/// network plugins make.
const SKIPPED: &str =
    "docker cbr dummy virbr lxcbr veth ^lo$ cali tunl flannel kube-ipvs cni nodelocaldns lxc";

/// Patterns for names, as regular expressions.
#[derive(Clone, Debug)]
pub struct NamePatterns(Arc<[Regex]>);

impl NamePatterns {
    /// From their texts.
    ///
    /// # Errors
    /// The first text that is no regular expression, and why not.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, (&'a str, regex_lite::Error)> {
        let pattern = |text| Regex::new(text).map_err(|error| (text, error));
        texts.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }

    /// The first pattern that a name matches.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.is_match(name)).map(Regex::as_str)
    }
}

impl Default for NamePatterns {
    fn default() -> Self {
        Self::parse(SKIPPED.split(' ')).expect("patterns that a test has read")
    }
}

impl PartialEq for NamePatterns {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.iter().map(Regex::as_str).eq(other.0.iter().map(Regex::as_str))
    }
}

impl Eq for NamePatterns {}

/// Why an interface is not discovered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Skipped {
    /// Its name matches this pattern.
    Named(String),
    /// It has no Ethernet address.
    NotEthernet,
    /// It is a port of this interface, which has the addresses.
    Enslaved(String),
    /// It is set not to use ARP.
    NoArp,
    /// It is down.
    Down,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(pattern) => write!(f, "its name matches `{pattern}` of `skip_interfaces`"),
            Self::NotEthernet => f.write_str("it has no Ethernet address"),
            Self::Enslaved(master) => write!(f, "it is a port of {master}"),
            Self::NoArp => f.write_str("it is set not to use ARP"),
            Self::Down => f.write_str("it is down"),
        }
    }
}

/// Why an interface is not discovered, if it is not. One that was discovered before (`is_in_use`) stays for as long as it is
/// administratively up: without a carrier it says nothing anyway, and need not be set up anew when the carrier returns.
#[must_use]
pub fn why_skipped(
    interface: &Interface,
    all: &[Interface],
    skip: &NamePatterns,
    is_in_use: bool,
) -> Option<Skipped> {
    let is_down = if is_in_use { !interface.is_up } else { !interface.is_running };
    // A VRF gives its members a routing table of their own; their frames they receive themselves.
    let master = all.iter().find(|master| interface.master == Some(master.index));
    let port_of = || match master {
        Some(master) if master.kind.as_deref() == Some("vrf") => None,
        Some(master) => Some(master.name.clone()),
        None => interface.master.map(|index| format!("interface {index}")),
    };
    match () {
        () if interface.mac.is_none() => Some(Skipped::NotEthernet),
        () if interface.is_noarp => Some(Skipped::NoArp),
        () => skip
            .find(&interface.name)
            .map(|pattern| Skipped::Named(pattern.to_owned()))
            .or_else(|| port_of().map(Skipped::Enslaved))
            .or_else(|| is_down.then_some(Skipped::Down)),
    }
}

/// The interfaces of this node that carry VIPs, by index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Carriers {
    /// Those of units that do not name theirs.
    pub default: BTreeSet<u32>,
    /// Further ones, for units that name them.
    pub named: BTreeSet<u32>,
}

impl Carriers {
    /// What a plan comes to, given the name of the default route's interface, every interface, and the carriers so far.
    #[must_use]
    pub fn of(wanted: &Interfaces, default_route: Option<&str>, all: &[Interface], before: &Self) -> Self {
        let with_name = |is_wanted: &dyn Fn(&str) -> bool| -> BTreeSet<u32> {
            let ethernet = all.iter().filter(|interface| interface.mac.is_some());
            ethernet.filter(|interface| is_wanted(&interface.name)).map(|interface| interface.index).collect()
        };
        match wanted {
            Interfaces::OfDefaultRoute => {
                Self { default: with_name(&|name| default_route == Some(name)), named: BTreeSet::new() }
            }
            Interfaces::Named(names) => {
                let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name);
                Self { default: with_name(&is_wanted), named: BTreeSet::new() }
            }
            Interfaces::Discovered { also, skip } => {
                let is_discovered = |interface: &&Interface| {
                    why_skipped(interface, all, skip, before.default.contains(&interface.index)).is_none()
                };
                let default: BTreeSet<u32> =
                    all.iter().filter(is_discovered).map(|interface| interface.index).collect();
                let named = with_name(&|name| also.contains(name)).difference(&default).copied().collect();
                Self { default, named }
            }
        }
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.default.union(&self.named).copied()
    }
}

#[cfg(test)]
mod tests;
