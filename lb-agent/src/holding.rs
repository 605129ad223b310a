//! Who holds a VIP: what this node claims, asks for or leaves to others, as a function of what it is told and
//! the time.
//!
//! The election says who should announce a unit (the VIPs that go together); who does is known from the wire. A node
//! takes a unit at once when all better-ranked candidates that it saw alive are gone. In every other case it asks
//! first ([`ASKS`] times, [`ASK_INTERVAL_NS`] apart), and leaves the unit to a peer that answers until it is its own
//! time to claim it. Of two that hold it at once, the better-ranked one goes on.

mod account;
mod crowd;
mod hold;
mod moves;
mod outward;
mod reactions;
mod rules;
mod stale_view;
mod standing;
mod steps;
mod timers;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

pub use account::{Account, Stance};
use hold::{CheckCause, Hold, State};
pub use hold::{Part, Wanted};
use lb_common::wire::ethernet::Mac;
pub use rules::{Failback, Rules};
use standing::Peers;
use timers::{Slot, Timers};

use crate::{
    announcements::{self, Form},
    election::NodeId,
    model::{BoottimeNs, Place},
    sbfd::Liveness,
};

/// Asks without an answer before a VIP is taken.
pub const ASKS: u8 = 3;
/// Time that each of them is given.
pub const ASK_INTERVAL_NS: u64 = 50_000_000;
/// Time between the asks that watch a stranger, for as long as it answers.
pub const WATCH_INTERVAL_NS: u64 = 2_000_000_000;
/// Time between two asks of the next in line.
pub const AUDIT_INTERVAL_NS: u64 = 2_000_000_000;
/// The same, and for a stranger, once an ask went without an answer.
pub const AUDIT_RETRY_NS: u64 = 250_000_000;
/// Asks without an answer before a VIP is taken by one that is not the first to: they go on for longer than the first
/// takes, whenever it begins.
const ASKS_OF_SECOND: u8 = 12;
const _: () = assert!(
    (ASKS_OF_SECOND as u64) * AUDIT_RETRY_NS >= AUDIT_INTERVAL_NS + (ASKS as u64 + 1) * AUDIT_RETRY_NS
);
/// A stranger's claim is answered by an announcement no more often than this (RFC 5227, 2.4: DEFEND_INTERVAL).
pub const DEFEND_INTERVAL_NS: u64 = 10_000_000_000;
/// A peer's claim is answered no more often than this: two that hold a VIP have to find out soon.
pub const PEER_DEFEND_INTERVAL_NS: u64 = 100_000_000;
/// How long a node that is no candidate any more answers on for want of another.
pub const LEAVE_AFTER_NS: u64 = 1_000_000_000;
/// How long a holder waits for its own view to follow a claim that its view does not explain.
pub const DEFEND_AFTER_NS: u64 = 1_000_000_000;
/// How long a holder with a stale view waits before it asks whoever claims the unit, and yields. A claimer of the same
/// view has heard better by then: of two that yield to each other at once neither would answer.
pub const YIELD_AFTER_NS: u64 = 2 * ASKS as u64 * ASK_INTERVAL_NS;
/// Time between the asks of a holder with a stale view: another may hold the unit by a view that does not know of it.
pub const STALE_ASK_INTERVAL_NS: u64 = 5_000_000_000;
/// How long a claimer that met with a defence waits before it claims for good.
pub const CLAIM_AGAIN_AFTER_NS: u64 = 10_000_000_000;
/// How long a better-ranked claimer waits when the holder says by its defence that it does not hear it answer.
pub const FAILBACK_AGAIN_AFTER_NS: u64 = 300_000_000_000;
/// An announcement by the holder that the unit was claimed from is a defence for so long.
const DEFENCE_WITHIN_NS: u64 = 5_000_000_000;
/// But not before the holder can have heard the claim and asked in vain.
const DEFENCE_NOT_BEFORE_NS: u64 = ASKS as u64 * ASK_INTERVAL_NS;
/// A second claim counts as insisting when the defence against the first is older than this.
const INSISTING_AFTER_NS: u64 = 5_000_000_000;
/// An agent whose turns are further apart than this was away: it has a turn each 200 ms.
pub const AWAY_AFTER_NS: u64 = 250_000_000;
/// A new holder that has only announced may be a node that nobody hears; by then that shows.
pub const BEFORE_COUNTS_NS: u64 = 2_000_000_000;
/// Not before the view changes.
const NEVER: BoottimeNs = BoottimeNs::MAX;

/// A frame to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// A request for the VIP from the node's own address, to everyone or to one peer.
    Ask(Option<NodeId>),
    /// An announcement in this form, to everyone.
    Announce(Form),
    /// An announcement to one peer that holds the VIP too: it is to announce it.
    Claim(NodeId),
}

/// Another station, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Station {
    /// Another agent's node.
    Peer(NodeId),
    /// Anyone else.
    Stranger(Mac),
}

/// How a station said that it has an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saying {
    /// It answered an ask.
    Answer,
    /// It announced, to everyone.
    Announcement,
    /// It announced, to this node alone.
    ClaimToUs,
}

/// Why a unit was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Asked for, and nobody answered.
    Unanswered,
    /// The better-ranked candidates are gone.
    PeersGone,
    /// This peer held it, is up, and did not answer.
    Silent(NodeId),
    /// This node ranks better than its live holder, this peer.
    Failback(NodeId),
    /// Its live holder, this peer, is no candidate any more.
    Moved(NodeId),
    /// This node gave way to this peer, and that peer to it.
    GivenBack(NodeId),
    /// Nobody is to be asked.
    Unasked,
}

/// A change that an operator wants to hear of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The VIP is announced here from now on.
    Taken(Cause),
    /// The VIP is not announced here any more.
    Released,
    /// The VIP is left to this peer, which announces it too and ranks better, or has the newer view.
    Yielded(NodeId),
    /// Another station, no peer, answers for the VIP.
    Contested(Mac),
    /// A station that is no peer claims a VIP that is announced here.
    Conflict(Mac),
    /// Two peers answer for the VIP: each is heard here, but perhaps not by the other.
    SplitSegment(NodeId, NodeId),
}

/// The holding state of all units.
#[derive(Debug)]
pub struct Holding {
    me: NodeId,
    rules: Rules,
    failback: Failback,
    /// By interface and first VIP.
    holds: BTreeMap<Place, Hold>,
    /// Where the unit of a VIP that is not the first of its unit stands in `holds`.
    unit_of: BTreeMap<Place, Place>,
    timers: Timers,
    peers: Peers,
    /// When [`Self::due`] was last called.
    awake_at: Option<BoottimeNs>,
    /// Nothing is claimed from a live holder before that; [`NEVER`] while the view is stale.
    claims_from: BoottimeNs,
    /// When a holder with a stale view asks next.
    asks_around_at: BoottimeNs,
    changes: Vec<(Place, Change)>,
    /// VIPs whose entry may be another than it was when they were last asked for.
    new_entries: BTreeSet<Place>,
    /// Units of whose needs the same is true.
    new_needs: BTreeSet<Place>,
    version: u64,
}

impl Holding {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(me: NodeId, rules: Rules) -> Self {
        Self {
            me,
            rules,
            failback: Failback::default(),
            holds: BTreeMap::new(),
            unit_of: BTreeMap::new(),
            timers: Timers::default(),
            peers: Peers::default(),
            awake_at: None,
            claims_from: 0,
            asks_around_at: NEVER,
            changes: Vec::new(),
            new_entries: BTreeSet::new(),
            new_needs: BTreeSet::new(),
            version: 0,
        }
    }

    /// Follows a new view of what is wanted, by interface and first VIP of each unit. VIPs that `is_held` names go on
    /// being held without being asked for: they stood in the map when this agent began, under a lease that has not
    /// ended.
    pub fn follow(
        &mut self,
        wanted: &BTreeMap<Place, Wanted>,
        failback: Failback,
        is_held: impl Fn(&Place) -> bool,
        now: BoottimeNs,
    ) {
        let gone: Vec<Place> = self.holds.keys().filter(|at| !wanted.contains_key(at)).copied().collect();
        gone.into_iter().for_each(|at| self.forget(at));
        let failback_changed = std::mem::replace(&mut self.failback, failback) != failback;
        for (&at, new) in wanted {
            if self.follow_unit(at, new, &is_held, now) && failback_changed {
                self.evaluate(at, false, now);
            }
        }
    }

    /// As [`Self::follow`] when only these units have changed; `None` for those that are gone.
    pub fn follow_some(&mut self, changed: &BTreeMap<Place, Option<Wanted>>, now: BoottimeNs) {
        let gone = changed.iter().filter(|(_, wanted)| wanted.is_none());
        gone.for_each(|(&at, _)| self.forget(at));
        for (&at, new) in changed {
            if let Some(new) = new {
                self.follow_unit(at, new, &|_| false, now);
            }
        }
    }

    /// Says whether the unit is known and wanted as it was.
    fn follow_unit(
        &mut self,
        at: Place,
        new: &Wanted,
        is_held: &impl Fn(&Place) -> bool,
        now: BoottimeNs,
    ) -> bool {
        match self.holds.get(&at) {
            Some(hold) if hold.wanted == *new => return true,
            Some(_) => self.update(at, new.clone(), now),
            None => self.add(at, new.clone(), is_held(&at), now),
        }
        false
    }

    /// A lapsed lease: whatever was held is asked for as by a newcomer.
    pub fn start_afresh(&mut self, now: BoottimeNs) {
        if !self.rules.starts_afresh {
            return;
        }
        let all: Vec<Place> = self.holds.keys().copied().collect();
        all.into_iter().for_each(|at| self.begin(at, now));
    }

    /// The map was changed behind this agent's back: what it held by its own account is asked for anew.
    pub fn doubt(&mut self, at: Place, now: BoottimeNs) {
        let at = self.unit(at);
        if self.holds.get(&at).is_some_and(Hold::is_held) {
            self.begin(at, now);
        }
    }

    /// What should have been announced before is only now: another node may have taken it meanwhile, and the
    /// neighbours have not heard of this one.
    pub fn spoken_late(&mut self, at: Place, now: BoottimeNs) {
        let at = self.unit(at);
        if matches!(self.holds.get(&at), Some(Hold { state: State::Holding(_), .. })) {
            self.check(at, None, CheckCause::Returned, now);
            self.arm(at, Slot::Announce, now, announcements::FIRST_STEP);
        }
    }

    /// A peer is up or down, or (`None`) no longer probed on this interface.
    pub fn liveness_changed(&mut self, ifindex: u32, node: NodeId, new: Option<Liveness>, now: BoottimeNs) {
        let old = self.peers.set(ifindex, node, new);
        if old == new {
            return;
        }
        // With its agent back, what its kernel holds is settled as after a partition.
        let came_up = new == Some(Liveness::Up { is_agent_seen: true });
        let concerned: Vec<Place> = self
            .holds
            .range(Place::all_of(ifindex))
            .filter(|(_, hold)| match hold.state {
                State::Standby(standby) => {
                    standby.holder == Some(node) || hold.predecessors(self.me).contains(&node)
                }
                State::Holding(_) => came_up && hold.predecessors(self.me).contains(&node),
                _ => false,
            })
            .map(|(&at, _)| at)
            .collect();
        for (_, hold) in self.holds.range_mut(Place::all_of(ifindex)) {
            hold.judged(node, old, new, now);
        }
        for at in concerned {
            match self.holds[&at].state {
                State::Standby(_) => self.evaluate(at, false, now),
                State::Holding(_) if self.rules.checks_returning_predecessors => {
                    self.check(at, Some(node), CheckCause::CameUp, now);
                }
                _ => {}
            }
        }
    }

    /// Takes what is due at `now` off the queue, about `limit` messages, in the order in which they must go out.
    pub fn due(&mut self, now: BoottimeNs, limit: usize) -> Vec<(Place, Message)> {
        self.notice_absence(now);
        self.ask_around(now);
        let mut messages = Vec::new();
        while messages.len() < limit {
            let Some((at, slot, step)) = self.timers.pop(now) else { break };
            let Some(hold) = self.holds.get_mut(&at) else { continue };
            hold.due[slot as usize] = None;
            let addresses = hold.wanted.addresses.clone();
            if let Some(message) = self.step(at, slot, step, now) {
                let place = |&address: &IpAddr| Place { ifindex: at.ifindex, address };
                messages.extend(addresses.iter().map(|address| (place(address), message)));
            }
        }
        messages
    }

    /// A node that stood still may have missed what others said: what it holds it asks for, and what it waits for it
    /// does not take without asking before it has heard of the holder.
    fn notice_absence(&mut self, now: BoottimeNs) {
        let was_here = self.awake_at.replace(now).is_none_or(|last| now <= last + AWAY_AFTER_NS);
        if was_here || !self.rules.checks_after_absence {
            return;
        }
        let mut held = Vec::new();
        for (&at, hold) in &mut self.holds {
            match &mut hold.state {
                State::Holding(_) if hold.wanted.asks() => held.push(at),
                State::Standby(standby) => standby.is_outdated = true,
                _ => {}
            }
        }
        held.into_iter().for_each(|at| self.check(at, None, CheckCause::Returned, now));
    }

    /// When [`Self::due`] has something next.
    #[must_use]
    pub fn next_due(&self) -> Option<BoottimeNs> {
        let asks_around_at = Some(self.asks_around_at).filter(|&at| at != NEVER);
        self.timers.first().into_iter().chain(asks_around_at).min()
    }

    /// Whether some VIP is being asked for.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.holds.values().any(|hold| matches!(hold.state, State::Asking { .. }))
    }

    /// Whether some VIP is held.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.holds.values().any(Hold::is_held)
    }

    /// The peer that was last heard to hold a VIP which this node does not.
    #[must_use]
    pub fn holder(&self, at: Place) -> Option<NodeId> {
        self.holds.get(&self.unit(at)).and_then(Hold::holder)
    }

    /// Changes since the last call, in the order in which they came about, unit by unit.
    pub fn take_changes(&mut self) -> Vec<(Place, Change)> {
        std::mem::take(&mut self.changes)
    }

    /// Where the unit of a VIP stands.
    fn unit(&self, at: Place) -> Place {
        self.unit_of.get(&at).copied().unwrap_or(at)
    }
}

#[cfg(test)]
mod tests;
