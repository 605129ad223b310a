//! One segment: who hears whom, how soon, and what gets lost.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use lb_agent::announcements::Form;
use lb_common::wire::bfd::Control;

use crate::cluster::MS;

/// Clients, each of which stays with one side of a partition.
pub const CLIENTS: usize = 2;
/// Most that a frame takes from one end to another.
pub const MAX_DELAY_NS: u64 = 2 * MS;

/// A station on the segment.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum End {
    Node(usize),
    Client(usize),
    Stranger,
}

/// A frame, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub from: End,
    /// `None`: everyone.
    pub to: Option<End>,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// A request for a VIP.
    Ask(IpAddr),
    /// The answer to one.
    Answer(IpAddr),
    /// An announcement, in either form; to one station it is a claim.
    Announcement(IpAddr, Form),
    /// S-BFD, there and back.
    Probe(Control),
    Reflection(Control),
}

/// The segment.
#[derive(Debug)]
pub struct Wire {
    nodes: usize,
    /// Ends of different numbers do not hear each other.
    group: Vec<usize>,
    /// From the first nothing comes to the second.
    blocked: BTreeSet<(End, End)>,
    /// Nodes that hear nobody.
    deaf: BTreeSet<usize>,
    /// Nodes that nobody hears.
    mute: BTreeSet<usize>,
    /// Frames of a hundred that get lost, but never more than one of three in a row of the
    /// same kind from one end to another.
    pub loss_percent: u8,
    /// The same without that mercy.
    pub is_merciless: bool,
    /// By ends and kind of frame: how many have come through since one got lost.
    since_loss: HashMap<(End, End, Kind), u8>,
    random: fastrand::Rng,
}

impl Wire {
    pub fn new(nodes: usize, loss_percent: u8, seed: u64) -> Self {
        let ends = nodes + CLIENTS + 1;
        Self {
            nodes,
            group: vec![0; ends],
            blocked: BTreeSet::new(),
            deaf: BTreeSet::new(),
            mute: BTreeSet::new(),
            loss_percent,
            is_merciless: false,
            since_loss: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    fn index(&self, end: End) -> usize {
        match end {
            End::Node(node) => node,
            End::Client(client) => self.nodes + client,
            End::Stranger => self.nodes + CLIENTS,
        }
    }

    pub fn ends(&self) -> impl Iterator<Item = End> + use<> {
        (0..self.nodes).map(End::Node).chain((0..CLIENTS).map(End::Client)).chain([End::Stranger])
    }

    /// Parts the segment: `far` and the second client are on the other side.
    pub fn split(&mut self, far: &BTreeSet<usize>) {
        for end in self.ends() {
            let is_far = match end {
                End::Node(node) => far.contains(&node),
                End::Client(client) => client == 1,
                End::Stranger => false,
            };
            let at = self.index(end);
            self.group[at] = usize::from(is_far);
        }
    }

    pub fn heal(&mut self) {
        self.group.fill(0);
    }

    /// A node does not hear, or is not heard, or neither.
    pub fn impair(&mut self, node: usize, is_deaf: bool, is_mute: bool) {
        for (set, is_in) in [(&mut self.deaf, is_deaf), (&mut self.mute, is_mute)] {
            if is_in {
                set.insert(node)
            } else {
                set.remove(&node)
            };
        }
    }

    pub fn set_blocked(&mut self, from: End, to: End, is_blocked: bool) {
        if is_blocked {
            self.blocked.insert((from, to))
        } else {
            self.blocked.remove(&(from, to))
        };
    }

    /// Whether frames come from one end to the other.
    pub fn carries(&self, from: End, to: End) -> bool {
        let is_in = |set: &BTreeSet<usize>, end: End| matches!(end, End::Node(node) if set.contains(&node));
        from != to
            && self.group[self.index(from)] == self.group[self.index(to)]
            && !is_in(&self.mute, from)
            && !is_in(&self.deaf, to)
            && !self.blocked.contains(&(from, to))
    }

    /// Whether some node is not heard by another that it shares the segment with.
    pub fn is_torn(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Whether two ends hear each other.
    pub fn connects(&self, one: End, other: End) -> bool {
        self.carries(one, other) && self.carries(other, one)
    }

    /// Where a frame arrives, and after what time in ns.
    pub fn send(&mut self, frame: &Frame) -> Vec<(u64, End)> {
        let mut arrivals = Vec::new();
        for to in (0..self.nodes).map(End::Node).chain([End::Stranger]) {
            if frame.to.is_none_or(|only| only == to)
                && self.carries(frame.from, to)
                && !self.is_lost(frame, to)
            {
                arrivals.push((self.delay(), to));
            }
        }
        arrivals
    }

    /// Mostly soon; some are late enough to be overtaken.
    fn delay(&mut self) -> u64 {
        match self.random.u8(..) {
            0..8 => self.random.u64(200_000..=MAX_DELAY_NS),
            _ => self.random.u64(20_000..=200_000),
        }
    }

    fn is_lost(&mut self, frame: &Frame, to: End) -> bool {
        if self.loss_percent == 0 {
            return false;
        }
        let since = self.since_loss.entry((frame.from, to, frame.body.kind())).or_default();
        let may = self.is_merciless || *since >= 2;
        let is_lost = may && self.random.u8(0..100) < self.loss_percent;
        *since = if is_lost { 0 } else { since.saturating_add(1) };
        is_lost
    }
}

/// What loss is counted by.
type Kind = (u8, Option<IpAddr>);

impl Body {
    const fn kind(&self) -> Kind {
        match *self {
            Self::Ask(vip) => (0, Some(vip)),
            Self::Answer(vip) => (1, Some(vip)),
            Self::Announcement(vip, _) => (2, Some(vip)),
            Self::Probe(_) => (3, None),
            Self::Reflection(_) => (4, None),
        }
    }
}
