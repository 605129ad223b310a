//! The segment: who ranks how, and what a node's core looks like when all is well.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use lb_agent::{
    election::NodeId,
    holding::{Failback, Holding, Part, Rules, Saying, Station, Wanted},
    model::{BoottimeNs, Place},
    ranks::Ranks,
    sbfd::Liveness,
};

pub const NODES: usize = 1_000;
pub const UNITS: usize = 10_000;
pub const IFINDEX: u32 = 2;
/// When everything has settled.
pub const NOW: BoottimeNs = 100_000_000_000;
/// A peer as it should be.
pub const UP: Liveness = Liveness::Up { is_agent_seen: true };

pub struct Segment {
    pub orders: Vec<Arc<[NodeId]>>,
    keys: Vec<IpAddr>,
}

impl Segment {
    pub fn new() -> Self {
        let names: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
        let nodes: Vec<(NodeId, &str)> = (0..).zip(names.iter().map(String::as_str)).collect();
        let key = |number: u32| Ipv4Addr::from(0x0a40_0000 + number).into();
        let keys: Vec<IpAddr> = (0..).map(key).take(UNITS).collect();
        let mut ranks = Ranks::default();
        ranks.follow(&nodes);
        Self { orders: keys.iter().map(|&key| ranks.order(key, None)).collect(), keys }
    }

    pub fn place(&self, unit: usize) -> Place {
        Place { ifindex: IFINDEX, address: self.keys[unit] }
    }

    /// Bytes that the orders take: each node's number, and two reference counts for each unit.
    pub fn ranks_bytes(&self) -> usize {
        self.orders.iter().map(|order| size_of_val::<[NodeId]>(order) + 2 * size_of::<usize>()).sum()
    }

    /// The core of a node, over some of the units, each of which is with the first in its order; with what is known of
    /// all of its peers.
    pub fn settled(&self, me: NodeId, units: &[usize], known: Option<Liveness>) -> Holding {
        let mac = [2, 0, 0, 0, me.to_be_bytes()[0], me.to_be_bytes()[1]];
        let wanted = |&unit: &usize| {
            let wanted = Wanted {
                addresses: [self.keys[unit]].into(),
                order: Arc::clone(&self.orders[unit]),
                mac,
                part: Part::Candidate { asks: true },
            };
            (self.place(unit), wanted)
        };
        let wishes: BTreeMap<Place, Wanted> = units.iter().map(wanted).collect();
        let mine: BTreeMap<Place, NodeId> =
            units.iter().map(|&unit| (self.place(unit), self.orders[unit][0])).collect();
        let mut holding = Holding::new(me, Rules::default());
        for node in (0..).take(NODES).filter(|&node| node != me) {
            holding.liveness_changed(IFINDEX, node, known, NOW);
        }
        holding.follow(&wishes, Failback::default(), |place| mine[place] == me, NOW);
        for (&place, &holder) in mine.iter().filter(|(_, holder)| **holder != me) {
            holding.heard(place, Station::Peer(holder), Saying::Answer, NOW);
        }
        holding.take_changes();
        holding
    }

    /// The node whose loss gives another one the most to take over, and that other one.
    pub fn worst_loss(&self) -> (NodeId, NodeId) {
        let mut counts: HashMap<(NodeId, NodeId), usize> = HashMap::new();
        for order in &self.orders {
            *counts.entry((order[0], order[1])).or_default() += 1;
        }
        counts.into_iter().max_by_key(|&(pair, count)| (count, pair)).expect("many units").0
    }
}
