//! The multicast groups in which neighbours ask for IPv6 VIPs (RFC 4291, 2.7.1). They are joined for real, so that the
//! kernel reports them by MLD (RFC 3810) and switches that snoop pass the questions on.
//!
//! A candidate joins as well as the holder does: the switches know its port before it takes over, and a failover waits for
//! no report. What it hears as long as it does not hold the VIP is dropped by the programs.
//!
//! The kernel holds the memberships, and goes on to when the agent ends: what it is in is what the next agent finds.

mod proxies;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use lb_common::wire::ipv6;
pub use proxies::{Proxies, leave_all, memberships};

use crate::{
    election::NodeId,
    model::Place,
    netlink::NetlinkError,
    wishes::{Carrier, Unit},
};

/// Joins and leaves of one turn: each has the kernel walk the interface's list, and the decision loop must go on.
const AT_A_TIME: usize = 1_000;

/// A group on one interface.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Membership {
    /// Interface index.
    pub ifindex: u32,
    /// The group.
    pub group: Ipv6Addr,
}

impl Membership {
    /// Where a VIP is asked for by multicast; `None` for IPv4, which asks by broadcast.
    #[must_use]
    pub fn of(Place { ifindex, address }: Place) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(vip) => Some(Self { ifindex, group: ipv6::solicited_node(vip.octets()).into() }),
        }
    }
}

/// The groups of the VIPs that `me` is a candidate for, drained or not, on each interface where they are announced. VIPs with
/// the same last 24 bits share one.
#[must_use]
pub fn wanted<'a>(
    units: &[Unit],
    me: NodeId,
    carriers: impl Iterator<Item = Carrier<'a>> + Clone,
) -> BTreeSet<Membership> {
    let has_ipv6 = |unit: &&Unit| unit.addresses.iter().any(IpAddr::is_ipv6);
    let units = units.iter().filter(has_ipv6).filter(|unit| unit.order.contains(&me));
    let places = |unit: &'_ Unit| {
        let carriers = carriers.clone().filter(|&carrier| unit.is_on(carrier));
        let places = carriers.flat_map(|Carrier { interface, .. }| {
            unit.addresses.iter().map(|&address| Place { ifindex: interface.index, address })
        });
        places.filter_map(Membership::of).collect::<Vec<_>>()
    };
    units.flat_map(places).collect()
}

/// What joins and leaves groups.
pub trait Join {
    /// Joins a group; the kernel may be in it already.
    ///
    /// # Errors
    /// What the kernel says.
    fn join(&mut self, membership: Membership) -> Result<(), NetlinkError>;
    /// Leaves a group; the kernel may be in it no more.
    ///
    /// # Errors
    /// What the kernel says.
    fn leave(&mut self, membership: Membership) -> Result<(), NetlinkError>;
}

/// A group that could not be joined, for the operator.
#[derive(Debug)]
pub struct Refused {
    /// The first one on its interface.
    pub membership: Membership,
    /// Why not.
    pub error: NetlinkError,
}

/// The groups that this node is in.
#[derive(Debug, Default)]
pub struct Groups<J = Proxies> {
    joiner: J,
    wanted: BTreeSet<Membership>,
    joined: BTreeSet<Membership>,
    /// Those that were refused wait for a change of the interfaces, or for the next comparison.
    refused: BTreeSet<Membership>,
    /// By interface: the refusal that has been told.
    told: BTreeMap<u32, Option<i32>>,
    is_settled: bool,
}

impl<J: Join> Groups<J> {
    /// Follows what is wanted, as far as [`Self::step`] goes on with it.
    pub fn follow(&mut self, wanted: BTreeSet<Membership>) {
        self.is_settled &= self.wanted == wanted;
        self.wanted = wanted;
    }

    /// Takes what the kernel says that it is in: an agent before may have left something, and an interface that goes down
    /// or loses IPv6 for a while forgets its groups. What was refused is tried again.
    pub fn compare(&mut self, actual: BTreeSet<Membership>) {
        self.is_settled &= self.joined == actual && self.refused.is_empty();
        self.joined = actual;
        self.refused.clear();
    }

    /// Leaves and joins some groups. Those of VIPs that the node answers for are not left, whether it is a candidate or not.
    /// Returns what was refused and has not been told, at most one for each interface.
    pub fn step(&mut self, answered_for: impl FnOnce() -> BTreeSet<Membership>) -> Vec<Refused> {
        if self.is_settled {
            return Vec::new();
        }
        let surplus: Vec<Membership> = self.joined.difference(&self.wanted).copied().collect();
        let kept = if surplus.is_empty() { BTreeSet::new() } else { answered_for() };
        let leaves: Vec<Membership> =
            surplus.iter().filter(|membership| !kept.contains(membership)).take(AT_A_TIME).copied().collect();
        let missing = self
            .wanted
            .iter()
            .filter(|membership| !self.joined.contains(membership) && !self.refused.contains(membership));
        let joins: Vec<Membership> = missing.copied().take(AT_A_TIME - leaves.len()).collect();
        self.is_settled = joins.len() + leaves.len() < AT_A_TIME && leaves.len() == surplus.len();
        self.leave(&leaves);
        let refused = self.join(&joins);
        if self.is_settled {
            // Only a whole round without a refusal ends what was told.
            let is_refusing = |ifindex| self.refused.iter().any(|membership| membership.ifindex == ifindex);
            let told = std::mem::take(&mut self.told);
            self.told = told.into_iter().filter(|&(ifindex, _)| is_refusing(ifindex)).collect();
        }
        refused
    }

    /// A group that cannot be left brings some frames more; the next comparison finds it again.
    fn leave(&mut self, leaves: &[Membership]) {
        for &membership in leaves {
            let _ = self.joiner.leave(membership);
            self.joined.remove(&membership);
        }
    }

    fn join(&mut self, joins: &[Membership]) -> Vec<Refused> {
        let mut untold = Vec::new();
        for &membership in joins {
            match self.joiner.join(membership) {
                Ok(()) => {
                    self.joined.insert(membership);
                }
                Err(error) => {
                    self.refused.insert(membership);
                    let reason = error.raw_os_error();
                    if self.told.insert(membership.ifindex, reason) != Some(reason) {
                        untold.push(Refused { membership, error });
                    }
                }
            }
        }
        untold
    }
}

impl Refused {
    /// The message, with the interface by its name.
    #[must_use]
    pub fn text(&self, interface: &str) -> String {
        let Self { membership: Membership { ifindex: _, group }, error } = self;
        let remedy = match error.raw_os_error() {
            // ENOBUFS is what the kernel says of an interface without IPv6.
            Some(libc::ENODEV | libc::EINVAL | libc::ENOBUFS) => format!(
                "IPv6 is off there: look at net.ipv6.conf.{interface}.disable_ipv6, and at the MTU, which has to be 1280 at \
                 least"
            ),
            Some(libc::EPERM) => "give the agent CAP_NET_ADMIN".to_owned(),
            _ => "switches that snoop MLD may not pass on what neighbours ask".to_owned(),
        };
        format!("join the multicast group {group} on {interface}: {error}; {remedy}")
    }
}

#[cfg(test)]
mod tests;
