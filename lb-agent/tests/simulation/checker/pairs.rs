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
}

impl Pairs {
    pub fn new(nodes: usize, units: usize) -> Self {
        Self {
            mutual_since: vec![vec![None; nodes]; nodes],
            double_since: vec![vec![vec![None; nodes]; nodes]; units],
        }
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
        let healed_by = mutual_since + bounds::up_ns(world.cluster.timing) + bounds::HEAL_NS + lost_ns;
        // A holder that its own view excludes answers until it hears a claim, one second at most.
        let is_leaving =
            [a, b].iter().any(|&node| world.nodes[node].is_drained || !world.is_candidate(unit, node));
        let leaving_ns = if is_leaving { bounds::DOUBLE_MOMENT_NS + bounds::SLACK_NS } else { 0 };
        let deadline =
            (since + self.views.double_bound_ns(world.now).max(leaving_ns) + lost_ns).max(healed_by);
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
}
