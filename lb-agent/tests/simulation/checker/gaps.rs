//! Units that nobody answers for.

use lb_agent::{announcements::REFRESH_INTERVAL_NS, holding::BEFORE_COUNTS_NS, model::BoottimeNs};
use lb_common::maps::{AGENT_STALE_AFTER_NS, Agent};

use super::{Checker, Property, Verdict, clients, ms};
use crate::{
    bounds,
    wire::{CLIENTS, End},
    world::World,
};

/// The clocks.
#[derive(Debug)]
pub struct Gaps {
    since: Vec<[Option<BoottimeNs>; CLIENTS]>,
    /// By unit: until when something that happened explains it.
    explained_until: Vec<BoottimeNs>,
    /// By unit and node: its entries were taken out of the map, and are not back.
    lost: Vec<Vec<bool>>,
    /// By unit and node: since when it could answer a client.
    able_since: Vec<Vec<[Option<BoottimeNs>; CLIENTS]>>,
    writes_accepted_at: BoottimeNs,
    /// By unit: when it was last taken.
    taken_at: Vec<Option<BoottimeNs>>,
    /// By node: when its agent last went on after it stood still.
    returned_at: Vec<Option<BoottimeNs>>,
}

impl Gaps {
    pub fn new(nodes: usize, units: usize) -> Self {
        Self {
            since: vec![[None; CLIENTS]; units],
            explained_until: vec![0; units],
            lost: vec![vec![false; nodes]; units],
            able_since: vec![vec![[None; CLIENTS]; nodes]; units],
            writes_accepted_at: 0,
            taken_at: vec![None; units],
            returned_at: vec![None; nodes],
        }
    }

    /// An agent goes on.
    pub fn returned(&mut self, node: usize, now: BoottimeNs) {
        self.returned_at[node] = Some(now);
    }

    /// An agent takes the unit.
    pub fn taken(&mut self, unit: usize, now: BoottimeNs) {
        self.taken_at[unit] = Some(now);
    }

    /// A node does not answer any more, or not to everyone: what it held, others have to take over.
    pub fn outage(&mut self, world: &World, answering: &[Vec<bool>], node: usize) {
        let (now, detection_ns) = (world.now, bounds::detection_ns(world.cluster.timing));
        for (unit, answering) in answering.iter().enumerate() {
            if self.explained_until[unit] > now {
                self.explained_until[unit] += detection_ns;
            }
            // One that has taken over meanwhile may be the next to fail; so may one whose claim another only waits for.
            let waits = |other: usize| answering[other] && !world.view_of(other).is_candidate(unit, other);
            if answering[node] || (0..answering.len()).any(waits) {
                let chain_ns = self.chain_ns(world, unit, node);
                let found_by = now + detection_ns + bounds::TAKE_NS + chain_ns;
                self.explained_until[unit] = self.explained_until[unit].max(found_by);
            }
        }
    }

    /// The segment has fallen apart: each side has to find out about all of the other.
    pub fn parted(&mut self, world: &World) {
        let detection_ns = bounds::detection_ns(world.cluster.timing);
        for unit in 0..self.explained_until.len() {
            let chain_ns =
                (0..world.nodes.len()).map(|node| self.chain_ns(world, unit, node)).max().unwrap_or(0);
            let until = world.now.max(self.explained_until[unit]) + detection_ns + bounds::TAKE_NS + chain_ns;
            self.explained_until[unit] = until;
        }
    }

    /// A node has another view. It may have to probe others than before, and one that is no candidate any more lets go
    /// at a claim, be it that of a node which nobody hears.
    pub fn view_taken(&mut self, world: &World, answering: &[Vec<bool>], node: usize) {
        self.delayed(world.now, bounds::detection_ns(world.cluster.timing));
        self.lets_go(world, answering, node, |unit| !world.is_candidate(unit, node));
    }

    /// A node is drained: it answers on for a second at most, whether or not those that should follow can.
    pub fn drained(&mut self, world: &World, answering: &[Vec<bool>], node: usize) {
        self.lets_go(world, answering, node, |_| true);
    }

    fn lets_go(
        &mut self,
        world: &World,
        answering: &[Vec<bool>],
        node: usize,
        is_let_go: impl Fn(usize) -> bool,
    ) {
        for (unit, answering) in answering.iter().enumerate() {
            let chain_ns = self.chain_ns(world, unit, node);
            if answering[node] && is_let_go(unit) && chain_ns > 0 {
                let lets_go_by = world.now + bounds::MOMENT_NS + chain_ns + bounds::TAKE_NS;
                self.explained_until[unit] = self.explained_until[unit].max(lets_go_by);
            }
        }
    }

    /// Something else happens while others are about to take over: it costs them so much more.
    pub fn delayed(&mut self, now: BoottimeNs, by_ns: u64) {
        for explained_until in self.explained_until.iter_mut().filter(|until| **until > now) {
            *explained_until += by_ns;
        }
    }

    /// A node has found its lease lapsed, and has a new one before its peers could hear of it: to them it is silent.
    pub fn lapsed(&mut self, now: BoottimeNs, node: usize, answering: &[Vec<bool>]) {
        for (unit, answering) in answering.iter().enumerate() {
            if answering[node] || self.explained_until[unit] > now {
                self.explained_until[unit] = self.explained_until[unit].max(now + bounds::SILENT_NS);
            }
        }
    }

    /// What the state of the other candidates adds.
    fn chain_ns(&self, world: &World, unit: usize, node: usize) -> u64 {
        let others =
            || (0..world.nodes.len()).filter(|&other| other != node && world.is_candidate(unit, other));
        let is_dead = |other: usize| {
            // Without either direction no probe is answered.
            let hears = |from: usize, to: usize| world.wire.connects(End::Node(from), End::Node(to));
            let connects = |third: usize| hears(other, third) && hears(third, other);
            !world.nodes[other].is_running()
                || others().any(|third| third != other && world.nodes[third].thinks() && !connects(third))
        };
        let mut chain_ns = 0;
        if others().any(is_dead) {
            chain_ns += bounds::detection_ns(world.cluster.timing);
        }
        // Those who have only heard the announcement of a new holder ask, for whoever held the unit before may yet; so do
        // those who were away and have not heard of the holder since.
        let is_new = self.taken_at[unit].is_some_and(|taken_at| world.now < taken_at + BEFORE_COUNTS_NS);
        let is_outdated = |other: usize| {
            self.returned_at[other].is_some_and(|returned_at| world.now < returned_at + REFRESH_INTERVAL_NS)
        };
        if is_new || others().any(is_outdated) {
            chain_ns += bounds::ASKING_NS + bounds::TAKE_NS;
        }
        // That an agent is gone shows after a while.
        let looks_well = |other: usize| {
            let Agent { agent_seen_ns, .. } = world.nodes[other].kernel.agent();
            world.now <= agent_seen_ns + AGENT_STALE_AFTER_NS + bounds::up_ns(world.cluster.timing)
        };
        if others()
            .any(|other| world.nodes[other].is_running() && !world.nodes[other].thinks() && looks_well(other))
        {
            chain_ns += AGENT_STALE_AFTER_NS + bounds::up_ns(world.cluster.timing);
        }
        // Where a kernel may still answer without its agent, it is asked before.
        if others().any(|other| world.nodes[other].is_running() && !world.nodes[other].thinks()) {
            chain_ns += bounds::ASKING_NS + bounds::TAKE_NS;
        }
        let is_silent = |other: usize| {
            self.lost[unit][other]
                || world.nodes[other].kernel.refuses_writes
                || world.now < self.writes_accepted_at + bounds::SILENT_NS
        };
        if others().any(is_silent) {
            chain_ns += bounds::SILENT_NS;
        }
        chain_ns
    }

    /// One that answered for the unit is silent from now on.
    pub fn lost(&mut self, world: &World, unit: usize, answering: &[bool]) {
        self.explained_until[unit] = self.explained_until[unit].max(world.now + bounds::SILENT_NS);
        for (node, lost) in self.lost[unit].iter_mut().enumerate() {
            *lost |= answering[node] && !world.answers(node, unit);
        }
    }

    pub fn is_lost(&self, unit: usize, node: usize) -> bool {
        self.lost[unit][node]
    }

    pub fn writes_accepted(&mut self, now: BoottimeNs) {
        self.writes_accepted_at = now;
    }

    /// Agents notice by three asks in a row, of which the first is due within 2 s, and then ask like newcomers.
    pub fn stranger_gone(&mut self, now: BoottimeNs, unit: usize) {
        use lb_agent::holding::{ASKS, AUDIT_RETRY_NS, WATCH_INTERVAL_NS};
        let noticed_ns = WATCH_INTERVAL_NS + u64::from(ASKS) * AUDIT_RETRY_NS;
        self.explained_until[unit] = self.explained_until[unit].max(now + noticed_ns + bounds::SILENT_NS);
    }

    /// To an agent that begins, a node that has just left the group and answers on for a moment is a stranger.
    pub fn started(&mut self, world: &World, answering: &[Vec<bool>]) {
        let newest = world.newest_view();
        for (unit, answering) in answering.iter().enumerate() {
            if (0..answering.len()).any(|node| answering[node] && !newest.members.contains(&node)) {
                self.stranger_gone(world.now + bounds::MOMENT_NS, unit);
            }
        }
    }

    pub fn forgive(&mut self) {
        self.since.iter_mut().flatten().for_each(|since| *since = None);
    }
}

impl Checker {
    pub(super) fn check_gaps(&mut self, world: &World) -> Verdict {
        for unit in 0..self.answering.len() {
            for node in 0..world.nodes.len() {
                self.look_at_ability(world, unit, node);
            }
            for client in clients() {
                self.check_gap(world, unit, client)?;
            }
        }
        Ok(())
    }

    /// Whether a node could answer a client, if it took the unit.
    fn look_at_ability(&mut self, world: &World, unit: usize, number: usize) {
        let node = &world.nodes[number];
        if world.cluster.units[unit].iter().all(|&vip| node.kernel.role(vip).is_some()) {
            self.gaps.lost[unit][number] = false;
        }
        let is_fit = node.thinks()
            && !node.kernel.refuses_writes
            && !node.is_drained
            && !self.gaps.lost[unit][number]
            && !world.strange[unit]
            && world.is_candidate(unit, number);
        for client in clients() {
            let is_able = is_fit && world.wire.connects(End::Client(client), End::Node(number));
            let since = &mut self.gaps.able_since[unit][number][client];
            *since = is_able.then(|| since.unwrap_or(world.now));
        }
    }

    /// Whether each node that could take a unit leaves it to another, for their views differ, or its own is stale.
    fn is_left_to_others(&self, world: &World, unit: usize, client: usize) -> bool {
        let takes = |&node: &usize| {
            let state = &world.nodes[node];
            let is_near = world.wire.connects(End::Client(client), End::Node(node));
            is_near && state.thinks() && !state.is_drained && !state.kernel.refuses_writes
        };
        let takers = || (0..world.nodes.len()).filter(takes);
        let is_first = |node: usize| {
            let view = world.view_of(node);
            let comes_before =
                |other: usize| view.is_candidate(unit, other) && self.is_better(view, unit, other, node);
            let is_stale = world.nodes[node].stale_since.is_some();
            !is_stale && view.is_candidate(unit, node) && !takers().any(comes_before)
        };
        !takers().any(is_first)
    }

    fn check_gap(&mut self, world: &World, unit: usize, client: usize) -> Verdict {
        let able = self.gaps.able_since[unit].iter().filter_map(|since| since[client]);
        let (true, Some(able_since)) = (self.heard_by(world, unit, client).is_empty(), able.max()) else {
            self.gaps.since[unit][client] = None;
            return Ok(());
        };
        let since = *self.gaps.since[unit][client].get_or_insert(world.now);
        // Those with the newest view leave the unit to a candidate that has not heard that it is one. Views that differ
        // are no matter of liveness: the audit finds out.
        let newest = world.newest_view();
        let lags = |node: usize| {
            let has = &world.views[world.nodes[node].has_view];
            world.nodes[node].thinks() && newest.is_candidate(unit, node) && !has.is_candidate(unit, node)
        };
        if (0..world.nodes.len()).any(lags) || self.is_left_to_others(world, unit, client) {
            let found_by = since + bounds::SLACK_NS + bounds::SILENT_NS;
            self.gaps.explained_until[unit] = self.gaps.explained_until[unit].max(found_by);
        }
        let is_mistaken = |node: usize| self.gaps.lost[unit][node] || world.nodes[node].kernel.refuses_writes;
        let is_anyone_silent = self.views.are_stale(world.now) || (0..world.nodes.len()).any(is_mistaken);
        let silent_ns = if is_anyone_silent { bounds::SILENT_NS } else { 0 };
        let deadline = (since + bounds::SLACK_NS + silent_ns)
            .max(self.gaps.explained_until[unit])
            .max(able_since + bounds::newcomer_ns(world.cluster.timing) + silent_ns);
        if world.now <= deadline {
            return Ok(());
        }
        let details = format!("unit {unit} to client {client} for {}", ms(world.now - since));
        self.violated(world, Property::NoAnswer, details)
    }
}
