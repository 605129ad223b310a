//! What the nodes of a run have in common: names, addresses, units, and the views of them that agents come to have.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use lb_agent::{
    election::Election,
    holding::Failback,
    model::{Interface, Place},
    plan::Candidate,
    roster::Node,
    sbfd::Timing,
};
use lb_common::wire::ethernet::Mac;

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;
/// The one interface of each node.
pub const IFINDEX: u32 = 2;

/// A station that is no node and answers for a VIP.
pub const STRANGER: Mac = [2, 0, 0, 0, 9, 9];

pub fn mac(node: usize) -> Mac {
    [2, 0, 0, 0, 0, octet(node)]
}

/// What a run is played over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Families {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone, S-BFD too.
    Ipv6,
    /// Each unit has VIPs of both, each node addresses of both.
    Dual,
    /// Units of one, of the other and of both; nodes know of each other's IPv4 addresses alone.
    Mixed,
}

impl Families {
    /// A node's addresses on the segment, with the lengths of their prefixes.
    fn own(self, node: usize) -> Vec<(IpAddr, u8)> {
        let v4 = (Ipv4Addr::new(10, 77, 0, octet(node)).into(), 16);
        let v6 = (Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, u16::from(octet(node))).into(), 64);
        match self {
            Self::Ipv4 => vec![v4],
            Self::Ipv6 => vec![v6],
            Self::Dual | Self::Mixed => vec![v4, v6],
        }
    }

    /// The addresses by which its peers know a node.
    pub fn addresses(self, node: usize) -> Vec<IpAddr> {
        let known = if self == Self::Mixed { 1 } else { 2 };
        self.own(node).into_iter().take(known).map(|(address, _)| address).collect()
    }
}

/// Whose address it is.
pub fn node_at(address: IpAddr) -> usize {
    (0..).find(|&node| Families::Dual.addresses(node).contains(&address)).expect("a node of the run")
}

fn octet(node: usize) -> u8 {
    u8::try_from(node + 1).expect("a small cluster")
}

pub fn name(node: usize) -> String {
    format!("node-{node}")
}

pub fn place(address: IpAddr) -> Place {
    Place { ifindex: IFINDEX, address }
}

pub fn interface(node: usize, families: Families) -> Interface {
    Interface {
        index: IFINDEX,
        name: "eth0".to_owned(),
        mac: Some(mac(node)),
        is_up: true,
        is_running: true,
        is_noarp: false,
        master: None,
        kind: None,
        lower: None,
        xdp_program: None,
        unsettled: Vec::new(),
        addresses: families.own(node),
    }
}

pub fn roster_entry(node: usize, families: Families) -> Node {
    Node { name: name(node), addresses: families.addresses(node) }
}

/// What stays as it is during a run.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub families: Families,
    pub nodes: usize,
    /// The VIPs of each unit.
    pub units: Vec<Arc<[IpAddr]>>,
    pub timing: Timing,
    pub failback: Failback,
    pub lease_ttl_ns: u64,
}

/// One state of the world as the source of configuration tells it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterView {
    /// Nodes that belong to the group.
    pub members: BTreeSet<usize>,
    /// Members that are not fit for anything, unless no candidate of a unit is.
    pub not_ready: BTreeSet<usize>,
    pub units: Vec<UnitView>,
}

/// The same of one unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnitView {
    /// There is none: its service is gone, or has not come.
    pub is_absent: bool,
    /// The members that are no candidates, by a selector or for want of an endpoint, say.
    pub excluded: BTreeSet<usize>,
    /// Those that go before all others, by a score.
    pub preferred: BTreeSet<usize>,
}

impl ClusterView {
    pub fn is_candidate(&self, unit: usize, node: usize) -> bool {
        let UnitView { is_absent, excluded, .. } = &self.units[unit];
        let may = |node: &usize| self.members.contains(node) && !excluded.contains(node);
        let is_ready = |node: &usize| !self.not_ready.contains(node);
        !is_absent
            && may(&node)
            && (is_ready(&node) || !self.members.iter().filter(|&n| may(n)).any(is_ready))
    }

    /// The candidates of a unit, with their scores.
    pub fn candidates(&self, unit: usize) -> Arc<[Candidate]> {
        let score = |node| i64::from(self.units[unit].preferred.contains(&node));
        let candidates = self.members.iter().filter(|&&node| self.is_candidate(unit, node));
        candidates.map(|&node| Candidate { node: name(node).into(), score: score(node) }).collect()
    }
}

impl Cluster {
    /// Which unit a VIP belongs to.
    pub fn unit_of(&self, vip: IpAddr) -> usize {
        self.units.iter().position(|unit| unit.contains(&vip)).expect("a VIP of the run")
    }

    /// Every node's place in each unit's order, all of them being candidates; the best is 0.
    pub fn ranks(&self) -> Vec<Vec<usize>> {
        let names: Vec<String> = (0..self.nodes).map(name).collect();
        let election = Election::new((0..).zip(names.iter().map(String::as_str)));
        let ranks = |unit: &Arc<[IpAddr]>| {
            let order = election.order(unit[0]);
            (0..self.nodes)
                .map(|node| order.iter().position(|&id| usize::from(id) == node).expect("a candidate"))
                .collect()
        };
        self.units.iter().map(ranks).collect()
    }
}
