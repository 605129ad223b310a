//! A rack is lost: 40 nodes at once, each first in line for about ten VIPs.
//!
//! Of each of these VIPs the first survivors in its order are simulated, with the real core and the real initiator of
//! S-BFD, against reflectors and a wire that delay a frame and lose none. Whoever ranks behind them waits for as long as
//! one of them lives, and the VIPs of other nodes stay where they are: neither is simulated.

mod node;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use lb_agent::{
    announcements,
    election::NodeId,
    holding::{Change, Message, Saying},
    model::{BoottimeNs, Place},
};
use lb_common::wire::bfd::CONTROL_LEN;
use node::Node;

use crate::segment::{NOW, Segment};

/// Nodes of the rack.
pub const RACK: usize = 40;
/// Survivors that are simulated, for each VIP.
const SURVIVORS: usize = 4;
/// A frame from one end to another.
const DELAY_NS: u64 = 100_000;
/// Until each session is up, and probes are anywhere in their intervals.
const LOST_AT: BoottimeNs = NOW + 2_000_000_000;
/// Longer than announcements go on after a gain, and than an audit takes to find a silent holder.
const ENDS_AT: BoottimeNs = LOST_AT + 12_000_000_000;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub vips: usize,
    /// Nodes that were simulated.
    pub nodes: usize,
    /// How often a VIP was taken.
    pub takings: usize,
    /// VIPs that not exactly one node holds in the end.
    pub not_served: usize,
    /// From the loss until each VIP had one holder for good, in ns.
    pub served_ns: u64,
    /// From the loss until nothing changed any more, and nothing was announced but what follows a gain by the schedule.
    pub quiet_ns: u64,
}

/// What is under way.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Wake(NodeId),
    /// To the first, from the second.
    Hear(NodeId, NodeId, Place, Said),
    /// At the first, a probe of the second.
    Reflect(NodeId, NodeId, [u8; CONTROL_LEN]),
}

/// What a frame says of a VIP.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Said {
    Ask,
    Answer,
    Announcement,
    Claim,
}

struct Rack {
    nodes: BTreeMap<NodeId, Node>,
    /// Who hears what is said of each VIP: the node that is lost, and the survivors that are simulated.
    stations: BTreeMap<Place, Vec<NodeId>>,
    /// Who answers for each VIP.
    holders: BTreeMap<Place, BTreeSet<NodeId>>,
    /// When each holder took it.
    taken_at: BTreeMap<(Place, NodeId), BoottimeNs>,
    queue: BinaryHeap<Reverse<(BoottimeNs, u64, Event)>>,
    sequence: u64,
    takings: usize,
    served_at: BoottimeNs,
    quiet_at: BoottimeNs,
}

/// Loses the first [`RACK`] nodes.
pub fn lose(segment: &Segment) -> Outcome {
    let mut rack = Rack::new(segment);
    rack.run();
    let not_served = rack.holders.values().filter(|holders| holders.len() != 1).count();
    Outcome {
        vips: rack.holders.len(),
        nodes: rack.nodes.len(),
        takings: rack.takings,
        not_served,
        served_ns: rack.served_at - LOST_AT,
        quiet_ns: rack.quiet_at - LOST_AT,
    }
}

fn is_of_rack(node: NodeId) -> bool {
    usize::from(node) < RACK
}

impl Rack {
    fn new(segment: &Segment) -> Self {
        let mut rack = Self {
            nodes: BTreeMap::new(),
            stations: BTreeMap::new(),
            holders: BTreeMap::new(),
            taken_at: BTreeMap::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            takings: 0,
            served_at: LOST_AT,
            quiet_at: LOST_AT,
        };
        let mut units: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (unit, order) in segment.orders.iter().enumerate().filter(|(_, order)| is_of_rack(order[0])) {
            let mut stations: Vec<NodeId> =
                order.iter().copied().filter(|&node| !is_of_rack(node)).take(SURVIVORS).collect();
            stations.iter().for_each(|&node| units.entry(node).or_default().push(unit));
            stations.push(order[0]);
            rack.stations.insert(segment.place(unit), stations);
            rack.holders.insert(segment.place(unit), [order[0]].into());
        }
        for (id, units) in units {
            rack.nodes.insert(id, Node::new(segment, id, &units));
            rack.push(NOW, Event::Wake(id));
        }
        rack
    }

    fn run(&mut self) {
        let mut is_lost = false;
        while let Some(Reverse((now, _, event))) = self.queue.pop() {
            if now > ENDS_AT {
                return;
            }
            if now >= LOST_AT && !is_lost {
                is_lost = true;
                self.holders.values_mut().for_each(BTreeSet::clear);
            }
            match event {
                Event::Wake(id) => self.wake(id, now),
                Event::Hear(to, from, place, said) => self.hear(to, from, place, said, now),
                Event::Reflect(by, to, packet) => self.reflect(by, to, packet, now),
            }
        }
    }

    fn push(&mut self, at: BoottimeNs, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }

    fn wake(&mut self, id: NodeId, now: BoottimeNs) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| now >= node.next_wake()) else { return };
        let probes = node.probe(now);
        let messages = node.turn(now);
        let changes = node.take_changes();
        for (to, packet) in probes {
            self.push(now + DELAY_NS, Event::Reflect(to, id, packet));
        }
        self.note(id, &changes, now);
        for (place, message) in messages {
            self.send(id, place, message, now);
        }
        self.push(self.nodes[&id].next_wake(), Event::Wake(id));
    }

    /// A probe has reached a kernel, which answers if its node is there.
    fn reflect(&mut self, by: NodeId, to: NodeId, packet: [u8; CONTROL_LEN], now: BoottimeNs) {
        if now >= LOST_AT && is_of_rack(by) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&to) {
            node.reflected(by, packet);
            self.push(now + DELAY_NS, Event::Wake(to));
        }
    }

    fn send(&mut self, from: NodeId, place: Place, message: Message, now: BoottimeNs) {
        let (to, said) = match message {
            Message::Ask(to) => (to, Said::Ask),
            Message::Announce(_) => (None, Said::Announcement),
            Message::Claim(to) => (Some(to), Said::Claim),
        };
        if said != Said::Ask && !self.is_scheduled(from, place, now) {
            self.quiet_at = self.quiet_at.max(now);
        }
        let is_meant = |node: &NodeId| *node != from && to.is_none_or(|to| to == *node);
        for hearer in self.stations[&place].iter().copied().filter(is_meant).collect::<Vec<_>>() {
            self.push(now + DELAY_NS, Event::Hear(hearer, from, place, said));
        }
    }

    fn hear(&mut self, to: NodeId, from: NodeId, place: Place, said: Said, now: BoottimeNs) {
        let saying = match said {
            Said::Ask => {
                if self.holders[&place].contains(&to) {
                    self.push(now + DELAY_NS, Event::Hear(from, to, place, Said::Answer));
                }
                return;
            }
            Said::Answer => Saying::Answer,
            Said::Announcement => Saying::Announcement,
            Said::Claim => Saying::ClaimToUs,
        };
        let Some(node) = self.nodes.get_mut(&to) else { return };
        let reply = node.hear(place, from, saying, now);
        let changes = node.take_changes();
        self.note(to, &changes, now);
        if let Some((place, message)) = reply {
            self.send(to, place, message, now);
        }
        self.push(now, Event::Wake(to));
    }

    fn note(&mut self, id: NodeId, changes: &[(Place, Change)], now: BoottimeNs) {
        for &(place, change) in changes {
            self.quiet_at = self.quiet_at.max(now);
            let holders = self.holders.get_mut(&place).expect("a VIP of the rack");
            match change {
                Change::Taken(_) => {
                    self.takings += 1;
                    self.taken_at.insert((place, id), now);
                    holders.insert(id);
                }
                Change::Released | Change::Yielded(_) => drop(holders.remove(&id)),
                Change::Contested(_) | Change::Conflict(_) | Change::SplitSegment(..) => continue,
            }
            self.served_at = self.served_at.max(now);
        }
    }

    /// Whether a gain has an announcement follow it just now.
    fn is_scheduled(&self, from: NodeId, place: Place, now: BoottimeNs) -> bool {
        let Some(&taken_at) = self.taken_at.get(&(place, from)) else { return false };
        let (mut at, mut step) = (taken_at, announcements::FIRST_STEP);
        while at < now && step < announcements::LAST_STEP {
            let (_, wait_ns, next) = announcements::step(step);
            at += wait_ns;
            step = next;
        }
        at == now
    }
}
