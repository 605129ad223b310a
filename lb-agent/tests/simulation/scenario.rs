//! Scenarios, each made from one number.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use lb_agent::{holding::Failback, sbfd::Timing};

use crate::{
    action::{Action, Schedule},
    cluster::{Cluster, ClusterView, MS, S},
};

/// All that a run follows from.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub cluster: Cluster,
    pub view: ClusterView,
    pub loss_percent: u8,
    pub schedule: Schedule,
}

/// Nodes start within this time.
const START_NS: u64 = S;
/// The first fault comes when what follows the start is over.
const FIRST_FAULT_NS: u64 = 4 * S;

impl Scenario {
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let cluster = dice.cluster();
        let view = dice.view(&cluster);
        let loss_percent = if dice.one_in(4) { dice.0.u8(1..=10) } else { 0 };
        let schedule = Plot::new(&mut dice, &cluster, view.clone(), loss_percent).schedule();
        Self { seed, cluster, view, loss_percent, schedule }
    }
}

/// Random choices.
struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, many: u32) -> bool {
        self.0.u32(0..many) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.0.usize(0..from.len())].clone())
    }

    fn between(&mut self, least_ns: u64, most_ns: u64) -> u64 {
        self.0.u64(least_ns..=most_ns)
    }

    fn cluster(&mut self) -> Cluster {
        let fast = Timing { interval_ns: 10 * MS, detect_mult: 3 };
        let failbacks = [
            Failback::Immediate,
            Failback::After(2 * S),
            Failback::After(5 * S),
            Failback::default(),
            Failback::Never,
        ];
        let mut next = 0_u8;
        let units = 1 + self.0.usize(0..8);
        Cluster {
            nodes: 2 + self.0.usize(0..5),
            units: (0..units).map(|_| self.unit(&mut next)).collect(),
            timing: if self.one_in(8) { fast } else { Timing::default() },
            failback: self.pick(&failbacks).expect("some"),
            lease_ttl_ns: self.pick(&[3 * S, 5 * S, 30 * S]).expect("some"),
        }
    }

    /// One VIP mostly; of some units several, of either family.
    fn unit(&mut self, next: &mut u8) -> Arc<[IpAddr]> {
        let vips = if self.one_in(3) { 1 + self.0.usize(0..3) } else { 1 };
        (0..vips)
            .map(|_| {
                *next += 1;
                match self.one_in(3) {
                    true => Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 1, u16::from(*next)).into(),
                    false => Ipv4Addr::new(10, 77, 1, *next).into(),
                }
            })
            .collect()
    }

    /// Most often everyone is a candidate for everything.
    fn view(&mut self, cluster: &Cluster) -> ClusterView {
        let members: BTreeSet<usize> = (0..cluster.nodes).collect();
        let excluded = cluster.units.iter().map(|_| self.excluded(&members)).collect();
        ClusterView { members, excluded }
    }

    fn excluded(&mut self, members: &BTreeSet<usize>) -> BTreeSet<usize> {
        if !self.one_in(4) {
            return BTreeSet::new();
        }
        members.iter().copied().filter(|_| self.one_in(3)).collect()
    }
}

/// A schedule in the making.
struct Plot<'a> {
    dice: &'a mut Dice,
    cluster: &'a Cluster,
    view: ClusterView,
    is_lossy: bool,
    schedule: Schedule,
    now: u64,
    /// When the last of what has begun is over.
    over_at: u64,
    /// By node: until when something is the matter with it.
    busy_until: Vec<u64>,
}

impl<'a> Plot<'a> {
    fn new(dice: &'a mut Dice, cluster: &'a Cluster, view: ClusterView, loss_percent: u8) -> Self {
        let schedule = Schedule::default();
        let (is_lossy, busy_until) = (loss_percent > 0, vec![0; cluster.nodes]);
        Self {
            dice,
            cluster,
            view,
            is_lossy,
            schedule,
            now: FIRST_FAULT_NS,
            over_at: FIRST_FAULT_NS,
            busy_until,
        }
    }

    fn schedule(mut self) -> Schedule {
        for node in 0..self.cluster.nodes {
            let at = self.dice.between(0, START_NS);
            self.schedule.actions.push((at, Action::Start(node)));
        }
        for _ in 0..=self.dice.0.usize(0..6) {
            self.fault();
            let quiet_ns = match self.dice.0.u8(0..4) {
                0 => self.dice.between(0, 300 * MS), // at about the same time
                1 => self.dice.between(0, 4 * S),
                _ => self.over_at.saturating_sub(self.now) + self.dice.between(S, 8 * S),
            };
            self.now += quiet_ns;
        }
        self.schedule.ends_at = self.over_at.max(self.now) + 10 * S;
        self.schedule
    }

    /// Something happens now, and its opposite later.
    fn during(&mut self, lasts_ns: u64, begins: Action, ends: Action) {
        self.schedule.actions.push((self.now, begins));
        self.schedule.actions.push((self.now + lasts_ns, ends));
        self.over_at = self.over_at.max(self.now + lasts_ns);
    }

    /// A node that nothing is the matter with.
    fn free_node(&mut self) -> Option<usize> {
        let free: Vec<usize> =
            (0..self.cluster.nodes).filter(|&node| self.busy_until[node] <= self.now).collect();
        self.dice.pick(&free)
    }

    fn fault(&mut self) {
        match self.dice.0.u8(0..20) {
            0..12 => self.node_fault(),
            12..15 => self.segment_fault(),
            15..18 => self.view_change(),
            _ => self.unit_fault(),
        }
    }

    fn node_fault(&mut self) {
        let Some(node) = self.free_node() else { return };
        let lease_ns = self.cluster.lease_ttl_ns;
        let lasts_ns = match self.dice.0.u8(0..3) {
            0 => self.dice.between(10 * MS, S),
            1 => self.dice.between(S, 8 * S),
            _ => self.dice.between(lease_ns / 2, lease_ns + 5 * S),
        };
        let (begins, ends): (Action, Action) = match self.dice.0.u8(0..9) {
            0 => (Action::Freeze(node), Action::Thaw(node)),
            1 | 2 => (Action::Kill(node), Action::Start(node)),
            3 => (Action::Halt(node), Action::Resume(node)),
            4 => (Action::PowerOff(node), Action::PowerOn(node)),
            5 => (Action::Cut(node), Action::Plug(node)),
            6 => (Action::Deafen(node), Action::Plug(node)),
            7 => (Action::Mute(node), Action::Plug(node)),
            _ => (Action::Drain(node), Action::Undrain(node)),
        };
        // No machine boots in a moment.
        let least_ns = if matches!(begins, Action::PowerOff(_)) { S } else { 0 };
        self.busy_until[node] = self.now + lasts_ns.max(least_ns) + 1;
        self.during(lasts_ns.max(least_ns), begins, ends);
    }

    fn segment_fault(&mut self) {
        let lasts_ns = self.dice.between(100 * MS, 8 * S);
        match self.dice.0.u8(0..4) {
            0 if self.is_lossy => {}
            0 => {
                let percent = self.dice.0.u8(5..40);
                self.during(lasts_ns, Action::BadWire(percent), Action::GoodWire);
            }
            1 => {
                let (from, to) =
                    (self.dice.0.usize(0..self.cluster.nodes), self.dice.0.usize(0..self.cluster.nodes));
                if from != to {
                    self.during(lasts_ns, Action::Block(from, to), Action::Clear(from, to));
                }
            }
            _ => {
                let far = (0..self.cluster.nodes).filter(|_| self.dice.one_in(2)).collect();
                self.during(lasts_ns, Action::Split(far), Action::Heal);
            }
        }
    }

    /// Of those that only an audit finds, one a run: two auditors that are silent themselves are beyond the design.
    fn unit_fault(&mut self) {
        let has_silent = |action: &Action| matches!(action, Action::RefuseWrites(_) | Action::LoseEntries(_));
        let kinds = if self.schedule.actions.iter().any(|(_, action)| has_silent(action)) { 1 } else { 3 };
        let unit = self.dice.0.usize(0..self.cluster.units.len());
        match self.dice.0.u8(0..kinds) {
            0 => {
                let lasts_ns = self.dice.between(S, 20 * S);
                self.during(lasts_ns, Action::StrangerComes(unit), Action::StrangerGoes(unit));
            }
            1 => {
                let Some(node) = self.free_node() else { return };
                let lasts_ns = self.dice.between(S, 10 * S);
                self.busy_until[node] = self.now + lasts_ns + 1;
                self.during(lasts_ns, Action::RefuseWrites(node), Action::AcceptWrites(node));
            }
            _ => {
                self.schedule.actions.push((self.now, Action::LoseEntries(unit)));
                self.over_at = self.over_at.max(self.now + 8 * S);
            }
        }
    }

    /// A node joins or leaves, or a unit's endpoints move; agents hear of it within a moment, one at times much later.
    fn view_change(&mut self) {
        if self.dice.one_in(2) {
            let node = self.dice.0.usize(0..self.cluster.nodes);
            if !self.view.members.remove(&node) {
                self.view.members.insert(node);
            }
        } else {
            let unit = self.dice.0.usize(0..self.cluster.units.len());
            let members = self.view.members.clone();
            self.view.excluded[unit] = self.dice.excluded(&members);
        }
        let most_ns = self.dice.pick(&[0, 100 * MS, 900 * MS]).expect("some");
        let mut delays: Vec<u64> = (0..self.cluster.nodes).map(|_| self.dice.between(0, most_ns)).collect();
        if self.dice.one_in(4) {
            let stale = self.dice.0.usize(0..self.cluster.nodes);
            delays[stale] = self.dice.between(2 * S, 15 * S);
        }
        let longest = delays.iter().copied().max().unwrap_or(0);
        self.schedule.actions.push((self.now, Action::SetView(self.view.clone(), delays)));
        self.over_at = self.over_at.max(self.now + longest);
    }
}
