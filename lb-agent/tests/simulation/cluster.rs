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

pub fn address(node: usize) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, octet(node)).into()
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

pub fn interface(node: usize) -> Interface {
    let own_v6 = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, u16::from(octet(node)));
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
        addresses: vec![(address(node), 16), (own_v6.into(), 64)],
    }
}

pub fn roster_entry(node: usize) -> Node {
    Node { name: name(node), addresses: vec![address(node)] }
}

/// What stays as it is during a run.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub nodes: usize,
    /// The VIPs of each unit.
    pub units: Vec<Arc<[IpAddr]>>,
    pub timing: Timing,
    pub failback: Failback,
    pub lease_ttl_ns: u64,
}

/// One state of the world as the source of configuration tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterView {
    /// Nodes that belong to the group.
    pub members: BTreeSet<usize>,
    /// For each unit the members that are no candidates, for want of an endpoint, say.
    pub excluded: Vec<BTreeSet<usize>>,
}

impl ClusterView {
    pub fn is_candidate(&self, unit: usize, node: usize) -> bool {
        self.members.contains(&node) && !self.excluded[unit].contains(&node)
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
