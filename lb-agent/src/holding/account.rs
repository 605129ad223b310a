//! How the units stand, for people and for what is told of them elsewhere.

use std::{net::IpAddr, sync::Arc};

use lb_common::wire::ethernet::Mac;

use super::{
    Holding,
    hold::{Hold, Part, State},
};
use crate::{election::NodeId, model::Place, sbfd::Liveness};

/// How a node stands to a unit on an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stance<N> {
    /// It announces it.
    Held,
    /// It announces it until another one does: it is no candidate any more, or drained.
    Leaving,
    /// It asks whether another node has it.
    Asking,
    /// It waits; this peer was last heard to hold it.
    StandingBy {
        /// `None`: none was heard.
        holder: Option<N>,
    },
    /// It must not answer.
    Suppressed,
    /// Another station answers, no peer.
    Contested(Mac),
}

/// A unit on an interface.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Its VIPs.
    pub vips: &'a Arc<[IpAddr]>,
    /// The candidates, best first.
    pub order: &'a [NodeId],
    /// What this node has to do with it.
    pub part: Part,
    /// How it stands.
    pub stance: Stance<NodeId>,
    /// Candidates that are up and did not answer for it when it was their turn.
    pub silent: &'a [NodeId],
}

impl Holding {
    /// Every unit, by interface and first VIP.
    pub fn accounts(&self) -> impl Iterator<Item = (Place, Account<'_>)> {
        self.holds.iter().map(|(&at, hold)| (at, hold.account()))
    }

    /// The unit of a VIP.
    #[must_use]
    pub fn account(&self, at: Place) -> Option<Account<'_>> {
        self.holds.get(&self.unit(at)).map(Hold::account)
    }

    /// Where the unit of a VIP is accounted for.
    #[must_use]
    pub fn unit_at(&self, at: Place) -> Place {
        self.unit(at)
    }

    /// What is known of a peer on an interface; `None`: it is not probed there.
    #[must_use]
    pub fn liveness(&self, ifindex: u32, node: NodeId) -> Option<Liveness> {
        self.peers.get(ifindex, node)
    }
}

impl Hold {
    fn account(&self) -> Account<'_> {
        let stance = match &self.state {
            State::Holding(_) => Stance::Held,
            State::Leaving => Stance::Leaving,
            State::Asking { .. } => Stance::Asking,
            State::Standby(standby) => Stance::StandingBy { holder: standby.holder },
            State::Suppressed => Stance::Suppressed,
            State::Contested { stranger, .. } => Stance::Contested(*stranger),
        };
        let Self { wanted, silent, .. } = self;
        Account { vips: &wanted.addresses, order: &wanted.order, part: wanted.part, stance, silent }
    }
}

impl<N> Stance<N> {
    /// The same with another way to name nodes.
    pub fn named<M>(self, name: impl FnOnce(N) -> M) -> Stance<M> {
        match self {
            Self::Held => Stance::Held,
            Self::Leaving => Stance::Leaving,
            Self::Asking => Stance::Asking,
            Self::StandingBy { holder } => Stance::StandingBy { holder: holder.map(name) },
            Self::Suppressed => Stance::Suppressed,
            Self::Contested(station) => Stance::Contested(station),
        }
    }
}
