//! What happens in a run, and when.

use std::collections::BTreeSet;

use super::Dice;
use crate::{
    action::{Action, Schedule},
    cluster::{Cluster, ClusterView, MS, S},
};

/// Nodes start within this time.
const START_NS: u64 = S;
/// The first fault comes when what follows the start is over.
const FIRST_FAULT_NS: u64 = 4 * S;

/// A schedule in the making.
pub struct Plot<'a> {
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
    /// By node: until when the source is out of its reach, and a little longer.
    cut_until: Vec<u64>,
}

impl<'a> Plot<'a> {
    pub fn new(dice: &'a mut Dice, cluster: &'a Cluster, view: ClusterView, loss_percent: u8) -> Self {
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
            cut_until: vec![0; cluster.nodes],
        }
    }

    pub fn schedule(mut self) -> Schedule {
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
        match self.dice.0.u8(0..22) {
            0..12 => self.node_fault(),
            12..15 => self.segment_fault(),
            15..18 => self.view_change(),
            18..20 => self.source_fault(),
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

    /// The source tells another view; agents hear of it within a moment, one at times much later.
    fn view_change(&mut self) {
        self.change_view();
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

    /// A node joins or leaves, is not ready or is again; or units come or go, or their candidates change.
    fn change_view(&mut self) {
        let node = self.dice.0.usize(0..self.cluster.nodes);
        let units = self.view.units.len();
        let unit = self.dice.0.usize(0..units);
        match self.dice.0.u8(0..8) {
            0 | 1 => toggle(&mut self.view.members, node),
            2 => toggle(&mut self.view.not_ready, node),
            // Labels, or an advertisement: whatever is selected by it.
            3 => {
                let excluded = self.dice.excluded(&self.view.members);
                for unit in (0..units).filter(|_| self.dice.one_in(2)) {
                    self.view.units[unit].excluded.clone_from(&excluded);
                }
            }
            4 => {
                let preferred = self.dice.excluded(&self.view.members);
                self.view.units[unit].preferred = preferred;
            }
            5 => self.view.units[unit].is_absent ^= true,
            // Endpoints.
            _ => {
                let excluded = self.dice.excluded(&self.view.members);
                self.view.units[unit].excluded = excluded;
            }
        }
    }

    /// The source is out of a node's reach, or of everyone's. At times a node is told to be not ready then, and agents
    /// that hear of it move its units.
    fn source_fault(&mut self) {
        let lasts_ns = self.dice.between(S, 40 * S);
        let node = self.dice.0.usize(0..self.cluster.nodes);
        let is_for_all = self.dice.one_in(4);
        let (now, ends_at) = (self.now, self.now + lasts_ns);
        for node in (0..self.cluster.nodes).filter(|&other| is_for_all || other == node) {
            if self.cut_until[node] <= now {
                self.cut_until[node] = ends_at + S;
                self.during(lasts_ns, Action::CutSource(node), Action::RestoreSource(node));
            }
        }
        if self.dice.one_in(4) {
            return;
        }
        self.now += self.dice.between(0, lasts_ns.min(20 * S));
        if self.dice.one_in(2) {
            self.view.not_ready.insert(node);
            self.schedule
                .actions
                .push((self.now, Action::SetView(self.view.clone(), vec![0; self.cluster.nodes])));
        } else {
            self.view_change();
        }
    }
}

fn toggle(set: &mut BTreeSet<usize>, node: usize) {
    if !set.remove(&node) {
        set.insert(node);
    }
}
