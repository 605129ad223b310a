//! One unit on one interface, and how it stands there.

use std::{net::IpAddr, sync::Arc};

use lb_common::{
    maps::{Role, VipEntry},
    wire::ethernet::Mac,
};

use super::{crowd::Crowd, timers::Due};
use crate::{election::NodeId, model::BoottimeNs, sbfd::Liveness};

/// What is wanted of a unit on one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// The unit's VIPs here.
    pub addresses: Arc<[IpAddr]>,
    /// The candidates, best first.
    pub order: Arc<[NodeId]>,
    /// The interface's own link-layer address.
    pub mac: Mac,
    /// What this node has to do with it.
    pub part: Part,
}

/// What a node has to do with a unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// It is one of the candidates.
    Candidate {
        /// Whether to ask before: not where a proxy-ARP router would answer for any address.
        asks: bool,
    },
    /// It is none any more: what it holds it answers for until another claims it, one second at most.
    Leaver,
    /// It must not answer.
    Bystander,
}

impl Wanted {
    /// Whether others are asked before it is taken.
    pub(super) fn asks(&self) -> bool {
        matches!(self.part, Part::Candidate { asks: true })
    }

    /// The candidates that rank better than `me`.
    pub(super) fn predecessors(&self, me: NodeId) -> &[NodeId] {
        let rank = self.order.iter().position(|&node| node == me).unwrap_or(self.order.len());
        &self.order[..rank]
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Not to be announced.
    Suppressed,
    /// `asked` asks are out, the last of them waits for its answer.
    Asking { asked: u8 },
    /// Others come first.
    Standby(Standby),
    /// Announced here.
    Holding(Tenure),
    /// Announced until another claims it.
    Leaving,
    /// Strangers answer, this one among them; `unheard` asks in a row went without its answer, `silent` without any.
    Contested { stranger: Mac, unheard: u8, silent: u8 },
}

/// A node that waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Standby {
    /// The peer that was last heard to hold the unit.
    pub holder: Option<NodeId>,
    /// The live peer that held it before, and until when that counts: the holder has only announced so far, and may be
    /// one that nobody hears.
    pub before: Option<(NodeId, BoottimeNs)>,
    /// This node was away, and has not heard of the holder since.
    pub is_outdated: bool,
    /// Asks of the audit without an answer.
    pub unanswered: u8,
    /// A stranger that answered the audit.
    pub stranger: Option<Mac>,
    /// No claim before this time.
    pub not_before: BoottimeNs,
    /// The next claim is the second one, and stands.
    pub is_for_good: bool,
    /// The last peer that answered, and when.
    pub answered: Option<(NodeId, BoottimeNs)>,
    /// That two peers hold it has been told.
    pub is_split_told: bool,
}

impl Standby {
    /// The peer that held the unit before, if that still counts.
    pub fn before(&self, now: BoottimeNs) -> Option<NodeId> {
        self.before.filter(|&(_, until)| now < until).map(|(peer, _)| peer)
    }
}

/// A node that holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tenure {
    /// The live holder that it has claimed the unit from.
    pub claimed_from: Option<NodeId>,
    /// It gives way to that holder's defence no more.
    pub is_for_good: bool,
    /// When it was taken; zero if it was held when this agent began.
    pub taken_at: BoottimeNs,
    /// A peer of no better rank claims the unit.
    pub challenge: Option<Challenge>,
    /// Whether others hold the unit too is being asked.
    pub check: Option<Check>,
    pub defended_at: Option<BoottimeNs>,
    /// When a stranger's claim was last told.
    pub conflict_told_at: Option<BoottimeNs>,
}

impl Tenure {
    /// Somebody else's claim on the unit is undecided.
    pub(super) fn is_disputed(&self) -> bool {
        let is_challenged = matches!(self.challenge, Some(Challenge { defended_at: None, .. }));
        is_challenged || self.check.is_some_and(|check| check.cause.is_a_claim())
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub by: NodeId,
    /// When it last claimed the unit.
    pub heard_at: BoottimeNs,
    pub defended_at: Option<BoottimeNs>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Check {
    /// Whom; `None` for everyone.
    pub peer: Option<NodeId>,
    pub cause: CheckCause,
    /// Whoever is yielded to is told so: it may not know of this node.
    pub tells: bool,
    pub asked: u8,
}

impl Check {
    pub fn new(peer: Option<NodeId>, cause: CheckCause) -> Self {
        let tells = matches!(cause, CheckCause::Returned | CheckCause::CameUp);
        Self { peer, cause, tells, asked: 0 }
    }

    /// This check, and another. Those who rank better can be asked all at once, for the graver reason.
    pub fn merged(self, other: Self) -> Self {
        match (self.cause.is_for_better(), other.cause.is_for_better()) {
            (true, true) => Self {
                peer: self.peer.filter(|_| self.peer == other.peer),
                cause: self.cause.max(other.cause),
                tells: self.tells || other.tells,
                asked: self.asked,
            },
            (false, true) => self,
            (_, false) if (self.peer, self.cause) == (other.peer, other.cause) => self,
            (_, false) => other,
        }
    }

    /// Whether an answer of `peer` is one to this check.
    pub fn is_for(&self, peer: NodeId) -> bool {
        self.peer.is_none_or(|asked| asked == peer)
    }
}

/// Why peers are asked, the graver reasons last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum CheckCause {
    /// This node was away, and may have missed that it was followed.
    Returned,
    /// It has come up, and ranks better.
    CameUp,
    /// It claims the unit, and ranks better.
    Claimed,
    /// The unit was claimed from it, and it announces it.
    Defends,
    /// It claims the unit by another view, which may be the newer one: again although that was defended, or while this
    /// node's own is stale.
    NewerView,
}

impl CheckCause {
    /// Whether another one claims the unit.
    pub fn is_a_claim(self) -> bool {
        match self {
            Self::Claimed | Self::Defends | Self::NewerView => true,
            Self::Returned | Self::CameUp => false,
        }
    }

    /// Whether it is one of a better rank that is to answer.
    pub fn is_for_better(self) -> bool {
        match self {
            Self::Returned | Self::CameUp | Self::Claimed => true,
            Self::Defends | Self::NewerView => false,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub wanted: Wanted,
    pub state: State,
    pub due: Due,
    /// Since when this node has been a candidate without a break.
    pub fit_since: BoottimeNs,
    /// Peers that are up and did not answer when it was their turn.
    pub silent: Vec<NodeId>,
    /// A peer that answers asks although its S-BFD session is not up: a firewall, say.
    pub answering: Option<NodeId>,
    /// Whether what is heard is all there is.
    pub crowd: Crowd,
}

impl Hold {
    pub(super) fn new(wanted: Wanted, now: BoottimeNs) -> Self {
        Self {
            wanted,
            state: State::Suppressed,
            due: Due::default(),
            fit_since: now,
            silent: Vec::new(),
            answering: None,
            crowd: Crowd::default(),
        }
    }

    /// The candidates that rank better than `me`.
    pub(super) fn predecessors(&self, me: NodeId) -> &[NodeId] {
        self.wanted.predecessors(me)
    }

    pub(super) fn is_candidate(&self, node: NodeId) -> bool {
        self.wanted.order.contains(&node)
    }

    /// The peer that was last heard to hold the unit.
    pub(super) fn holder(&self) -> Option<NodeId> {
        match &self.state {
            State::Standby(standby) => standby.holder,
            _ => None,
        }
    }

    /// What another verdict about a peer makes of what it was heard to say.
    pub(super) fn judged(
        &mut self,
        peer: NodeId,
        old: Option<Liveness>,
        new: Option<Liveness>,
        now: BoottimeNs,
    ) {
        // What it answered under the old verdict says nothing about the new one.
        self.answering.take_if(|answering| *answering == peer);
        let State::Standby(standby) = &mut self.state else { return };
        if standby.holder != Some(peer) {
            return;
        }
        // Nor do asks that it did not answer say anything about one that held the unit before.
        if standby.before(now).is_some() {
            standby.unanswered = 0;
        }
        // One that was gone when it ceased to be probed lives no more for that.
        if new.is_none() && matches!(old, Some(Liveness::Down | Liveness::AdminDown)) {
            standby.holder = None;
        }
    }

    /// Whether the peer was heard to hold the unit, and has not been followed by one that is proven to.
    pub(super) fn may_hold(&self, peer: NodeId, now: BoottimeNs) -> bool {
        match &self.state {
            State::Standby(standby) => standby.holder == Some(peer) || standby.before(now) == Some(peer),
            _ => false,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Holding(_) | State::Leaving)
    }

    pub(super) fn entry(&self) -> VipEntry {
        let mac = self.wanted.mac;
        match self.state {
            State::Holding(_) | State::Leaving => VipEntry::new(Role::Announce, mac),
            State::Asking { .. } | State::Standby(_) | State::Suppressed => {
                VipEntry::new(Role::Suppress, mac)
            }
            State::Contested { stranger, .. } => VipEntry::new(Role::Contested, stranger),
        }
    }
}
