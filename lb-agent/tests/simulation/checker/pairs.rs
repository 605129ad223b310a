//! Two nodes that answer for the same unit.

use lb_agent::{model::BoottimeNs, run::TICK_NS};

use super::{Checker, Property, Verdict, clients, ms};
use crate::{bounds, wire::End, world::World};

/// What is so between two nodes.
#[derive(Debug)]
pub struct Pairs {
    /// Since when two nodes have heard each other, both thinking and able to act.
    mutual_since: Vec<Vec<Option<BoottimeNs>>>,
    /// Since when two nodes have both answered for a unit.
    double_since: Vec<Vec<Vec<Option<BoottimeNs>>>>,
    /// Since when a node has answered for a unit.
    answers_since: Vec<Vec<Option<BoottimeNs>>>,
    /// When it last did.
    answered_at: Vec<Vec<Option<BoottimeNs>>>,
}

impl Pairs {
    pub fn new(nodes: usize, units: usize) -> Self {
        Self {
            mutual_since: vec![vec![None; nodes]; nodes],
            double_since: vec![vec![vec![None; nodes]; nodes]; units],
            answers_since: vec![vec![None; nodes]; units],
            answered_at: vec![vec![None; nodes]; units],
        }
    }

    /// Who answers.
    pub fn note_answers(&mut self, answering: &[Vec<bool>], now: BoottimeNs) {
        for (since, answers) in self.answers_since.iter_mut().flatten().zip(answering.iter().flatten()) {
            *since = answers.then(|| since.unwrap_or(now));
        }
        for (at, answers) in self.answered_at.iter_mut().flatten().zip(answering.iter().flatten()) {
            if *answers {
                *at = Some(now);
            }
        }
    }

    pub fn answered_at(&self, unit: usize, node: usize) -> Option<BoottimeNs> {
        self.answered_at[unit][node]
    }

    pub fn look(&mut self, world: &World) {
        let is_able = |node: usize| {
            let node = &world.nodes[node];
            node.thinks() && !node.kernel.refuses_writes
        };
        for a in 0..world.nodes.len() {
            for b in 0..a {
                let is_mutual = is_able(a) && is_able(b) && world.wire.connects(End::Node(a), End::Node(b));
                let since = &mut self.mutual_since[a][b];
                *since = is_mutual.then(|| since.unwrap_or(world.now));
            }
        }
    }

    pub fn mutual_since(&self, a: usize, b: usize) -> Option<BoottimeNs> {
        self.mutual_since[a.max(b)][a.min(b)]
    }

    /// A node that answers on as one that leaves will be a holder again by its own account, from its next turn on. Then
    /// it has to settle that with others.
    pub fn undrained(&mut self, node: usize, now: BoottimeNs) {
        self.anew(node, now);
    }

    /// So has a node with a view of old that has the newest one now.
    pub fn restored(&mut self, node: usize, now: BoottimeNs) {
        self.anew(node, now);
    }

    fn anew(&mut self, node: usize, now: BoottimeNs) {
        for pairs in &mut self.double_since {
            let others = (0..pairs.len()).filter(|&other| other != node);
            for (a, b) in others.map(|other| (other.max(node), other.min(node))) {
                pairs[a][b] = pairs[a][b].map(|_| now + TICK_NS);
            }
        }
    }

    pub fn forgive(&mut self) {
        self.double_since.iter_mut().flatten().flatten().for_each(|since| *since = None);
    }
}

impl Checker {
    pub(super) fn check_pairs(&mut self, world: &World) -> Verdict {
        self.pairs.note_answers(&self.answering, world.now);
        for unit in 0..self.answering.len() {
            if self.answering[unit].iter().filter(|&&answers| answers).count() < 2 {
                self.pairs.double_since[unit].iter_mut().flatten().for_each(|since| *since = None);
                continue;
            }
            for a in 0..world.nodes.len() {
                for b in 0..a {
                    self.check_pair(world, unit, a, b)?;
                }
            }
        }
        Ok(())
    }

    fn check_pair(&mut self, world: &World, unit: usize, a: usize, b: usize) -> Verdict {
        let is_heard = clients().any(|client| {
            [a, b].iter().all(|&node| world.wire.connects(End::Client(client), End::Node(node)))
        });
        let both = self.answering[unit][a] && self.answering[unit][b] && is_heard;
        let mutual = self.pairs.mutual_since(a, b);
        let since = &mut self.pairs.double_since[unit][a][b];
        let (true, Some(mutual_since)) = (both, mutual) else {
            *since = None;
            return Ok(());
        };
        let since = *since.get_or_insert(world.now);
        let lost_ns = if world.wire.loss_percent > 0 { bounds::LOST_NS } else { 0 };
        let deadline = lost_ns
            + match self.stale_deadline(world, unit, [a, b], since, mutual_since) {
                Some(deadline) => deadline,
                None => self.deadline(world, unit, [a, b], since, mutual_since),
            };
        if world.now <= deadline {
            return Ok(());
        }
        let details = format!(
            "nodes {b} and {a} for unit {unit} for {}; they have heard each other for {}",
            ms(world.now.saturating_sub(since)),
            ms(world.now - mutual_since)
        );
        self.violated(world, Property::TwoAnswers, details)
    }

    /// By when one of two that answer has to fall silent.
    fn deadline(
        &self,
        world: &World,
        unit: usize,
        pair: [usize; 2],
        since: BoottimeNs,
        mutual_since: BoottimeNs,
    ) -> BoottimeNs {
        let healed_by = mutual_since + bounds::up_ns(world.cluster.timing) + bounds::HEAL_NS;
        // A holder that its own view excludes answers until it hears a claim, one second at most.
        let is_leaving =
            pair.iter().any(|&node| world.nodes[node].is_drained || !world.is_candidate(unit, node));
        let leaving_ns = if is_leaving { bounds::DOUBLE_MOMENT_NS + bounds::SLACK_NS } else { 0 };
        (since + self.views.double_bound_ns(world.now).max(leaving_ns)).max(healed_by)
    }

    /// The same where one of them knows its view to be stale.
    fn stale_deadline(
        &self,
        world: &World,
        unit: usize,
        pair: [usize; 2],
        since: BoottimeNs,
        mutual_since: BoottimeNs,
    ) -> Option<BoottimeNs> {
        let stale_since = pair.iter().filter_map(|&node| world.nodes[node].stale_since).max()?;
        // Having just come to hear each other, they find out when the one asks around.
        let healed_by = mutual_since + bounds::up_ns(world.cluster.timing) + bounds::DOUBLE_STALE_NS;
        let is_leaving =
            |node: usize| world.nodes[node].is_drained || !world.view_of(node).is_candidate(unit, node);
        let answers_since = |node: usize| self.pairs.answers_since[unit][node];
        let newcomer = pair.into_iter().max_by_key(|&node| answers_since(node))?;
        // What the one with the stale view takes, the other first keeps for a second.
        let is_patient = since < stale_since
            || world.nodes[newcomer].stale_since.is_some()
            || pair.into_iter().any(is_leaving);
        let patience_ns = if is_patient { bounds::MOMENT_NS } else { 0 };
        let yields_by = since.max(stale_since) + patience_ns + bounds::YIELD_NS;
        let have_met = since > mutual_since + bounds::SETTLED_NS;
        Some(if have_met { yields_by } else { yields_by.max(healed_by) })
    }
}
