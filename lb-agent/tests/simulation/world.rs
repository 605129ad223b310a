//! A run: nodes, wire and clock, and what happens to them. Everything follows from the scenario and its seed.

mod source;

use lb_agent::{holding::Rules, model::BoottimeNs};
use lb_common::maps::Agent as Record;

use crate::{
    agent::{Agent, Deeds},
    checker::{Checker, Violation},
    cluster::{Cluster, ClusterView, S},
    kernel::Kernel,
    queue::{Event, Queue},
    scenario::Scenario,
    wire::{Body, End, Frame, Wire},
};

/// How long `lb-agent drain` waits for the agent to hand over.
const HAND_OVER_NS: u64 = 1_500_000_000;
/// Between two looks of the checker when nothing happens.
const LOOK_INTERVAL_NS: u64 = 5_000_000;
/// CLOCK_BOOTTIME at the beginning of a run: machines have been up for a while.
pub const BEGIN: BoottimeNs = 1_000 * S;

/// One node.
pub struct Node {
    pub kernel: Kernel,
    pub agent: Option<Agent>,
    pub is_frozen: bool,
    /// The machine runs.
    pub is_on: bool,
    pub is_halted: bool,
    /// On disk.
    pub is_drained: bool,
    wake_at: BoottimeNs,
    pub has_view: usize,
    /// Since when its agent has not heard from the source.
    pub cut_since: Option<BoottimeNs>,
    /// Since when the agent knows that its view may be stale.
    pub stale_since: Option<BoottimeNs>,
}

impl Node {
    /// Whether its kernel side works.
    pub const fn is_running(&self) -> bool {
        self.is_on && !self.is_halted
    }

    /// Whether its agent works.
    pub const fn thinks(&self) -> bool {
        self.is_running() && self.agent.is_some() && !self.is_frozen
    }
}

/// Everything.
pub struct World {
    pub now: BoottimeNs,
    pub cluster: Cluster,
    pub nodes: Vec<Node>,
    pub wire: Wire,
    pub views: Vec<ClusterView>,
    /// When the source told each of them.
    told_at: Vec<BoottimeNs>,
    /// Units that the stranger answers for.
    pub strange: Vec<bool>,
    queue: Queue,
    rules: Rules,
    random: fastrand::Rng,
    is_traced: bool,
}

impl World {
    fn new(scenario: &Scenario, rules: Rules, is_traced: bool) -> Self {
        let cluster = scenario.cluster.clone();
        let mut random = fastrand::Rng::with_seed(scenario.seed ^ 0x5eed);
        let node = |node| Node {
            kernel: Kernel::new(node),
            agent: None,
            is_frozen: false,
            is_on: true,
            is_halted: false,
            is_drained: false,
            wake_at: BoottimeNs::MAX,
            has_view: 0,
            cut_since: None,
            stale_since: None,
        };
        let mut world = Self {
            now: BEGIN,
            nodes: (0..cluster.nodes).map(node).collect(),
            wire: Wire::new(cluster.nodes, scenario.loss_percent, random.u64(..)),
            views: vec![scenario.view.clone()],
            told_at: vec![BEGIN],
            strange: vec![false; cluster.units.len()],
            cluster,
            queue: Queue::default(),
            rules,
            random,
            is_traced,
        };
        for (number, (at, _)) in scenario.schedule.actions.iter().enumerate() {
            world.queue.push(BEGIN + at, Event::Act(number));
        }
        world.queue.push(BEGIN, Event::Look);
        world
    }

    fn trace(&self, text: impl FnOnce() -> String) {
        if self.is_traced {
            let ms = (self.now - BEGIN) / 1_000;
            println!("{:>10}.{:03} ms  {}", ms / 1_000, ms % 1_000, text());
        }
    }

    /// An agent is scheduled a little late, at times by a few ms.
    fn latency(&mut self) -> u64 {
        if self.random.u8(..) < 4 {
            self.random.u64(1_000_000..5_000_000)
        } else {
            self.random.u64(20_000..300_000)
        }
    }

    fn wake_soon(&mut self, node: usize) {
        let latency = self.latency();
        self.wake_by(node, self.now + latency);
    }

    /// Has an agent wake up at `at`, unless it does so before.
    fn wake_by(&mut self, node: usize, at: BoottimeNs) {
        if at < self.nodes[node].wake_at {
            self.nodes[node].wake_at = at;
            self.queue.push(at, Event::Wake(node));
        }
    }

    fn wake(&mut self, number: usize) -> Option<Deeds> {
        let node = &mut self.nodes[number];
        if node.wake_at != self.now || !node.thinks() {
            return None;
        }
        node.wake_at = BoottimeNs::MAX;
        let agent = node.agent.as_mut()?;
        let deeds = agent.wake(&mut node.kernel, node.is_drained, self.now);
        let next = agent.next_wake();
        let latency = self.latency();
        self.wake_by(number, next.max(self.now) + latency);
        for frame in &deeds.frames {
            self.send(frame);
        }
        for (place, change) in &deeds.changes {
            self.trace(|| format!("node {number}: {}: {change:?}", place.address));
        }
        for (peer, liveness) in &deeds.verdicts {
            self.trace(|| format!("node {number}: node {peer} is {liveness:?}"));
        }
        Some(deeds)
    }

    fn send(&mut self, frame: &Frame) {
        if !matches!(frame.body, Body::Probe(_) | Body::Reflection(_)) {
            self.trace(|| format!("{:?} -> {:?}: {:?}", frame.from, frame.to, frame.body));
        }
        for (delay, to) in self.wire.send(frame) {
            self.queue.push(self.now + delay, Event::Arrive(to, *frame));
        }
    }

    fn arrive(&mut self, to: End, frame: &Frame) {
        let number = match to {
            End::Node(number) => number,
            End::Client(_) => return,
            End::Stranger => {
                if let Body::Ask(vip) = frame.body
                    && self.strange[self.cluster.unit_of(vip)]
                {
                    let body = Body::Answer(vip);
                    self.send(&Frame { from: End::Stranger, to: Some(frame.from), body });
                }
                return;
            }
        };
        let node = &mut self.nodes[number];
        if !node.is_running() {
            return;
        }
        if let (Body::Reflection(control), End::Node(peer)) = (frame.body, frame.from) {
            if let Some(agent) = &mut node.agent {
                agent.inbox.push((peer, control));
                self.wake_soon(number);
            }
            return;
        }
        let reply = node.kernel.receive(frame, self.now);
        let has_news = !node.kernel.ring.is_empty();
        if let Some(reply) = reply {
            self.send(&reply);
        }
        if has_news {
            self.wake_soon(number);
        }
    }

    pub fn start(&mut self, number: usize) {
        let seed = self.random.u64(..);
        let node = &mut self.nodes[number];
        if !node.is_running() || node.agent.is_some() {
            return;
        }
        let mut agent = Agent::new(&self.cluster, number, &node.kernel, self.rules, seed, self.now);
        // Without word from the source it begins with what is on disk.
        if node.cut_since.is_none() {
            node.has_view = self.views.len() - 1;
        }
        agent.set_view(&self.cluster, &self.views[node.has_view]);
        agent.set_view_stale(node.stale_since.is_some());
        node.agent = Some(agent);
        node.is_frozen = false;
        node.wake_at = BoottimeNs::MAX;
        self.wake_soon(number);
    }

    pub fn kill(&mut self, number: usize) {
        self.nodes[number].agent = None;
        self.nodes[number].is_frozen = false;
    }

    /// The agent goes on after it stood still.
    pub fn go_on(&mut self, number: usize) {
        self.nodes[number].wake_at = BoottimeNs::MAX;
        self.wake_soon(number);
    }

    /// `lb-agent drain`.
    pub fn drain(&mut self, number: usize) {
        let now = self.now;
        let node = &mut self.nodes[number];
        node.is_drained = true;
        let has_agent = node.agent.is_some();
        let record = Record { admin_down: 1, ..node.kernel.agent() };
        node.kernel.set_agent(record, now);
        self.queue.push(now + if has_agent { HAND_OVER_NS } else { 0 }, Event::DrainEnds(number));
    }

    fn end_drain(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if node.is_running() && node.is_drained && node.kernel.announces_any() {
            let record = Record { admin_down: 1, valid_until_ns: self.now, ..node.kernel.agent() };
            node.kernel.set_agent(record, self.now);
        }
    }
}

/// Plays a scenario to its end, or to the first violation.
pub fn play(scenario: &Scenario, rules: Rules, is_traced: bool) -> Result<(), Violation> {
    let mut world = World::new(scenario, rules, is_traced);
    let mut checker = Checker::new(&world);
    let ends_at = BEGIN + scenario.schedule.ends_at;
    while let Some((now, event)) = world.queue.pop() {
        if now > ends_at {
            break;
        }
        world.now = now;
        match event {
            Event::Arrive(to, frame) => {
                world.arrive(to, &frame);
                continue; // nothing that the checker looks at has changed
            }
            Event::Wake(node) => {
                let Some(deeds) = world.wake(node) else { continue };
                checker.note(&world, node, &deeds)?;
                if deeds.changes.is_empty() && !deeds.has_renewed {
                    continue;
                }
            }
            Event::View(node, version) => {
                let was_stale = world.nodes[node].stale_since.is_some();
                world.take_view(node, version);
                checker.view_taken(&world, node);
                if was_stale && world.nodes[node].stale_since.is_none() {
                    checker.view_restored(&world, node);
                }
            }
            Event::ViewStale(node, since) => world.view_stale(node, since),
            Event::DrainEnds(node) => world.end_drain(node),
            Event::Act(number) => {
                let action = &scenario.schedule.actions[number].1;
                world.trace(|| format!("*** {action:?}"));
                crate::faults::act(&mut world, action);
                checker.after(&world, action);
            }
            Event::Look => world.queue.push(now + LOOK_INTERVAL_NS, Event::Look),
        }
        checker.look(&world)?;
    }
    Ok(())
}

impl World {
    /// Whether a node's kernel answers for some VIPs of a unit and not for others.
    pub fn answers_in_part(&self, node: usize, unit: usize) -> bool {
        let node = &self.nodes[node];
        node.is_running() && self.cluster.units[unit].iter().any(|&vip| node.kernel.answers(vip, self.now))
    }

    /// Whether a node's kernel answers for each VIP of a unit.
    pub fn answers(&self, node: usize, unit: usize) -> bool {
        let node = &self.nodes[node];
        node.is_running() && self.cluster.units[unit].iter().all(|&vip| node.kernel.answers(vip, self.now))
    }
}
