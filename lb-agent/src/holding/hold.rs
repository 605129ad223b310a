//! One unit on one interface, and how it stands there.

use std::{net::IpAddr, sync::Arc};

use lb_common::{
    maps::{Role, VipEntry},
    wire::ethernet::Mac,
};

use super::{crowd::Crowd, timers::Due};
use crate::{election::NodeId, model::BoottimeNs};

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

/// A node that holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tenure {
    /// The live holder that it has claimed the unit from, and when.
    pub claimed_from: Option<(NodeId, BoottimeNs)>,
    /// It gives way to that holder's defence no more.
    pub is_for_good: bool,
    /// A peer of no better rank claims the unit.
    pub challenge: Option<Challenge>,
    /// A peer that is being asked whether it holds the unit too.
    pub check: Option<Check>,
    pub defended_at: Option<BoottimeNs>,
    /// When a stranger's claim was last told.
    pub conflict_told_at: Option<BoottimeNs>,
}

impl Tenure {
    /// Somebody else's claim on the unit is undecided.
    pub(super) fn is_disputed(&self) -> bool {
        let is_challenged = matches!(self.challenge, Some(Challenge { defended_at: None, .. }));
        is_challenged || self.check.is_some_and(|check| check.cause != CheckCause::CameUp)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    pub by: NodeId,
    pub defended_at: Option<BoottimeNs>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Check {
    pub peer: NodeId,
    pub cause: CheckCause,
    pub asked: u8,
}

/// Why a peer is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CheckCause {
    /// It has come up, and ranks better.
    CameUp,
    /// It claims the unit, and ranks better.
    Claimed,
    /// It claims the unit again although that was defended: its view is another, and may be the newer one.
    Insists,
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
        let order = &self.wanted.order;
        let rank = order.iter().position(|&node| node == me).unwrap_or(order.len());
        &order[..rank]
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
