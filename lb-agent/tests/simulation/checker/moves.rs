//! Units that go from one node to another.

use lb_agent::{
    holding::{Cause, Change, Failback},
    model::BoottimeNs,
};

use super::{Checker, Property, Verdict, ms};
use crate::{agent::Deeds, bounds, cluster::MS, wire::End, world::World};

/// What moves are judged by.
#[derive(Debug)]
pub struct Moves {
    /// By unit and node: since when it has been a candidate at the earliest.
    fit_since: Vec<Vec<BoottimeNs>>,
    was_candidate: Vec<Vec<bool>>,
    pub stranger_since: Vec<Option<BoottimeNs>>,
}

impl Moves {
    pub fn new(nodes: usize, units: usize) -> Self {
        Self {
            fit_since: vec![vec![0; nodes]; units],
            was_candidate: vec![vec![false; nodes]; units],
            stranger_since: vec![None; units],
        }
    }

    /// Whatever the node was, it begins anew.
    pub fn unfit(&mut self, node: usize, now: BoottimeNs) {
        for unit in &mut self.fit_since {
            unit[node] = now;
        }
    }

    pub fn look_at_candidates(&mut self, world: &World) {
        for unit in 0..self.fit_since.len() {
            for (number, node) in world.nodes.iter().enumerate() {
                let is_candidate = !node.is_drained && world.view_of(number).is_candidate(unit, number);
                if is_candidate && !self.was_candidate[unit][number] {
                    self.fit_since[unit][number] = world.now;
                }
                self.was_candidate[unit][number] = is_candidate;
            }
        }
    }
}

impl Checker {
    /// Whether a node is as good a holder as can be.
    fn is_sound(&self, world: &World, unit: usize, number: usize) -> bool {
        let node = &world.nodes[number];
        node.thinks()
            && node.kernel.has_lease(world.now)
            && !node.is_drained
            && node.stale_since.is_none()
            && !node.kernel.refuses_writes
            && !self.gaps.is_lost(unit, number)
            && world.is_candidate(unit, number)
            && self.views.have_been_equal_for(bounds::DOUBLE_STALE_NS, world.now)
            // One that was drained until just now has been asked for as one that leaves.
            && world.now >= self.moves.fit_since[unit][number] + bounds::newcomer_ns(world.cluster.timing)
    }

    fn have_settled(&self, world: &World, a: usize, b: usize) -> bool {
        self.pairs.mutual_since(a, b).is_some_and(|since| world.now >= since + bounds::SETTLED_NS)
    }

    /// A sound holder lets go only where one of a better rank has come.
    pub(super) fn check_moves(&mut self, world: &World, before: &[Vec<bool>]) -> Verdict {
        for (unit, before) in before.iter().enumerate() {
            for a in (0..before.len()).filter(|&a| before[a] && !self.answering[unit][a]) {
                let mut takers = (0..before.len()).filter(|&b| self.answering[unit][b]).peekable();
                let is_explained = takers.peek().is_none()
                    || takers.any(|b| {
                        !self.have_settled(world, a, b) || self.is_better(world.newest_view(), unit, b, a)
                    });
                if self.is_sound(world, unit, a) && !is_explained {
                    return self.violated(
                        world,
                        Property::NeedlessMove,
                        format!("node {a} lets go of unit {unit}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// What is taken from a sound holder is taken by a better rank, and in time.
    pub(super) fn check_takings(&mut self, world: &World, b: usize, deeds: &Deeds) -> Verdict {
        for (place, change) in &deeds.changes {
            let &Change::Taken(cause) = change else { continue };
            let unit = world.cluster.unit_of(place.address);
            self.gaps.taken(unit, world.now);
            self.check_stranger(world, unit, b, cause)?;
            // One that knows its view to be stale follows those that are gone by that view, and then yields.
            let is_stale = world.nodes[b].stale_since.is_some();
            if is_stale || world.now < self.excused_until.max(self.torn_until) {
                continue;
            }
            // A kernel that answered without its agent until it died is followed by those who heard it alone.
            let detection_ns = bounds::detection_ns(world.cluster.timing);
            let is_followed = |c: usize| {
                c != b
                    && !world.nodes[c].thinks()
                    && self.pairs.answered_at(unit, c).is_some_and(|at| world.now <= at + detection_ns)
            };
            if (0..world.nodes.len()).any(is_followed) {
                continue;
            }
            let holders = (0..world.nodes.len()).filter(|&a| {
                a != b
                    && self.answering[unit][a]
                    && self.is_sound(world, unit, a)
                    && self.have_settled(world, a, b)
            });
            for a in holders.collect::<Vec<_>>() {
                let fit_ns = world.now - self.moves.fit_since[unit][b];
                let is_time = match world.cluster.failback {
                    Failback::Immediate => true,
                    Failback::After(wait_ns) => fit_ns >= wait_ns,
                    Failback::Never => false,
                };
                if !is_time || self.is_better(world.newest_view(), unit, a, b) {
                    let details =
                        format!("unit {unit} from node {a} by node {b} ({cause:?}), fit for {}", ms(fit_ns));
                    return self.violated(world, Property::TakenTooEarly, details);
                }
            }
        }
        Ok(())
    }

    fn check_stranger(&self, world: &World, unit: usize, node: usize, cause: Cause) -> Verdict {
        let has_asked = matches!(cause, Cause::Unanswered | Cause::Silent(_));
        let hears = world.wire.connects(End::Stranger, End::Node(node));
        let answered_ns = self.moves.stranger_since[unit].map_or(0, |since| world.now - since);
        if has_asked && hears && answered_ns > 2 * (bounds::ASKING_NS + 50 * MS) && !world.wire.is_merciless {
            return self.violated(world, Property::TakenFromStranger, format!("unit {unit} by node {node}"));
        }
        Ok(())
    }
}
