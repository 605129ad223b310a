//! The properties. At every step the checker knows what is physically so (who runs, who hears whom), and which nodes
//! a client would hear an answer from; it keeps clocks for what must not last.

mod gaps;
mod moves;
mod pairs;
mod views;

use std::fmt;

use lb_agent::model::BoottimeNs;
use lb_common::maps::AGENT_STALE_AFTER_NS;

use crate::{
    action::Action,
    agent::Deeds,
    bounds,
    cluster::{ClusterView, S},
    wire::{CLIENTS, End},
    world::{BEGIN, World},
};

/// A bound that was not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    pub at: BoottimeNs,
    pub property: Property,
    pub details: String,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Property {
    /// Two nodes answer for too long.
    TwoAnswers,
    /// Nobody answers for too long.
    NoAnswer,
    /// The VIPs of a unit have different holders.
    UnitTornApart,
    /// An answer past the lease.
    PastTheLease,
    /// A lease that lapsed was renewed over VIPs that nobody was asked for.
    NotAfresh,
    /// A unit went from a sound holder to one that does not rank better.
    NeedlessMove,
    /// A unit was taken from a sound holder before its time.
    TakenTooEarly,
    /// A unit was taken while a stranger answers for it.
    TakenFromStranger,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = (self.at - BEGIN) / 1_000;
        write!(f, "{:?} at {}.{:03} ms: {}", self.property, us / 1_000, us % 1_000, self.details)
    }
}

pub type Verdict = Result<(), Violation>;

pub struct Checker {
    ranks: Vec<Vec<usize>>,
    /// Which nodes answer for each unit, as of the last look.
    answering: Vec<Vec<bool>>,
    pairs: pairs::Pairs,
    gaps: gaps::Gaps,
    views: views::Views,
    moves: moves::Moves,
    had_lease: Vec<bool>,
    renewed_at: Vec<BoottimeNs>,
    /// Nothing is held against the agents before that.
    excused_until: BoottimeNs,
    /// Two nodes do not hear each other, or did not just now, but others hear both: no rank can resolve that, and
    /// moves are not judged.
    torn_until: BoottimeNs,
}

impl Checker {
    pub fn new(world: &World) -> Self {
        let (nodes, units) = (world.nodes.len(), world.cluster.units.len());
        Self {
            ranks: world.cluster.ranks(),
            answering: vec![vec![false; nodes]; units],
            pairs: pairs::Pairs::new(nodes, units),
            gaps: gaps::Gaps::new(nodes, units),
            views: views::Views::default(),
            moves: moves::Moves::new(nodes, units),
            had_lease: vec![false; nodes],
            renewed_at: vec![0; nodes],
            excused_until: 0,
            torn_until: 0,
        }
    }

    /// After something has happened from outside.
    pub fn after(&mut self, world: &World, action: &Action) {
        match *action {
            Action::Halt(node)
            | Action::PowerOff(node)
            | Action::Cut(node)
            | Action::Deafen(node)
            | Action::Mute(node) => self.gaps.outage(world, &self.answering, node),
            Action::Block(from, to) => {
                self.gaps.outage(world, &self.answering, from);
                self.gaps.outage(world, &self.answering, to);
            }
            Action::Split(_) => self.gaps.parted(world),
            Action::LoseEntries(unit) => self.gaps.lost(world, unit, &self.answering[unit]),
            // Whoever is next may be one without an agent now, which shows after a second.
            Action::Kill(_) | Action::Freeze(_) => {
                let stale_ns = AGENT_STALE_AFTER_NS + bounds::up_ns(world.cluster.timing) + bounds::ASKING_NS;
                self.gaps.delayed(world.now, stale_ns);
            }
            Action::Thaw(node) | Action::Resume(node) => self.gaps.returned(node, world.now),
            Action::Drain(node) => self.gaps.drained(world, &self.answering, node),
            Action::Undrain(node) => self.pairs.undrained(node, world.now),
            Action::AcceptWrites(_) => self.gaps.writes_accepted(world.now),
            Action::StrangerComes(unit) => self.moves.stranger_since[unit] = Some(world.now),
            Action::StrangerGoes(unit) => {
                self.moves.stranger_since[unit] = None;
                self.gaps.stranger_gone(world.now, unit);
            }
            Action::Start(node) | Action::PowerOn(node) => {
                self.moves.unfit(node, world.now);
                self.gaps.started(world, &self.answering);
            }
            _ => {}
        }
    }

    /// An agent that knew its view to be stale has the newest one.
    pub fn view_restored(&mut self, world: &World, node: usize) {
        self.pairs.restored(node, world.now);
    }

    /// An agent has another view.
    pub fn view_taken(&mut self, world: &World, node: usize) {
        self.gaps.view_taken(world, &self.answering, node);
    }

    /// What an agent did.
    pub fn note(&mut self, world: &World, node: usize, deeds: &Deeds) -> Verdict {
        if deeds.has_renewed {
            self.renewed_at[node] = world.now;
            let kernel = &world.nodes[node].kernel;
            if let Some(place) = kernel.stale.first().filter(|_| !kernel.has_refused) {
                return self.violated(world, Property::NotAfresh, format!("node {node}, {}", place.address));
            }
        }
        if deeds.has_started_afresh {
            self.moves.unfit(node, world.now);
            self.gaps.lapsed(world.now, node, &self.answering);
        }
        self.check_takings(world, node, deeds)
    }

    /// Looks at everything.
    pub fn look(&mut self, world: &World) -> Verdict {
        self.views.look(world);
        self.pairs.look(world);
        self.moves.look_at_candidates(world);
        self.look_at_leases(world)?;
        let before = self.look_at_answers(world)?;
        if world.wire.is_merciless {
            self.excused_until = world.now + bounds::CALM_NS;
        }
        if world.wire.is_torn() {
            self.torn_until = world.now + bounds::SETTLED_NS;
        }
        if world.now < self.excused_until {
            self.gaps.forgive();
            self.pairs.forgive();
            return Ok(());
        }
        if world.now >= self.torn_until {
            self.check_moves(world, &before)?;
        }
        self.check_pairs(world)?;
        self.check_gaps(world)
    }

    fn look_at_leases(&mut self, world: &World) -> Verdict {
        for (number, node) in world.nodes.iter().enumerate() {
            let has_lease = node.is_running() && node.kernel.has_lease(world.now);
            if self.had_lease[number] && !has_lease {
                self.gaps.outage(world, &self.answering, number);
            }
            self.had_lease[number] = has_lease;
        }
        Ok(())
    }

    /// Who answers for what. Gives back who did before.
    fn look_at_answers(&mut self, world: &World) -> Result<Vec<Vec<bool>>, Violation> {
        let before = self.answering.clone();
        for unit in 0..self.answering.len() {
            for node in 0..world.nodes.len() {
                let answers = world.answers(node, unit);
                self.answering[unit][node] = answers;
                let last = self.renewed_at[node] + world.cluster.lease_ttl_ns;
                if answers && world.now >= last {
                    return self.violated(world, Property::PastTheLease, format!("node {node}, unit {unit}"));
                }
                if !answers && !self.gaps.is_lost(unit, node) && world.answers_in_part(node, unit) {
                    return self.violated(
                        world,
                        Property::UnitTornApart,
                        format!("node {node}, unit {unit}"),
                    );
                }
            }
        }
        Ok(before)
    }

    /// Whether a node goes before another by a view.
    fn is_better(&self, view: &ClusterView, unit: usize, one: usize, other: usize) -> bool {
        let preferred = &view.units[unit].preferred;
        let key = |node: usize| (!preferred.contains(&node), self.ranks[unit][node]);
        key(one) < key(other)
    }

    fn violated<T>(&self, world: &World, property: Property, details: String) -> Result<T, Violation> {
        Err(Violation { at: world.now, property, details })
    }

    /// Nodes that answer a client for a unit.
    fn heard_by(&self, world: &World, unit: usize, client: usize) -> Vec<usize> {
        let is_heard = |&node: &usize| {
            self.answering[unit][node] && world.wire.connects(End::Client(client), End::Node(node))
        };
        (0..world.nodes.len()).filter(is_heard).collect()
    }
}

/// For messages.
fn ms(ns: u64) -> String {
    format!("{}.{:03} ms", ns / (S / 1_000), ns / 1_000 % 1_000)
}

/// Every client.
fn clients() -> impl Iterator<Item = usize> {
    0..CLIENTS
}
