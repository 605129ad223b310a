//! What the liveness of the better-ranked candidates means for a unit.

use std::collections::BTreeMap;

use super::{ASKS, ASKS_OF_SECOND, hold::Hold, rules::Rules};
use crate::{election::NodeId, model::BoottimeNs, sbfd::Liveness};

/// Whether a node's turn has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// A better-ranked candidate lives.
    Behind,
    /// None is known to live, but of some nothing is known yet.
    Unknown,
    /// All better-ranked candidates are gone, or there are none. Without `is_sure` the kernel of one may answer still.
    First { is_sure: bool },
}

/// What is known of the peers, on each interface.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_interface: BTreeMap<u32, Vec<Option<Liveness>>>,
}

impl Peers {
    /// Takes note of a verdict; `None` when the peer is no longer probed. Says what was known before.
    pub(super) fn set(&mut self, ifindex: u32, node: NodeId, liveness: Option<Liveness>) -> Option<Liveness> {
        let nodes = self.by_interface.entry(ifindex).or_default();
        let at = usize::from(node);
        if nodes.len() <= at {
            nodes.resize(at + 1, None);
        }
        std::mem::replace(&mut nodes[at], liveness)
    }

    pub(super) fn get(&self, ifindex: u32, node: NodeId) -> Option<Liveness> {
        *self.by_interface.get(&ifindex)?.get(usize::from(node))?
    }

    /// Peers are probed, and none of them is up: this node is cut off, or the only one left.
    pub(super) fn is_isolated(&self) -> bool {
        let mut known = self.by_interface.values().flatten().flatten().peekable();
        known.peek().is_some() && !known.any(|liveness| matches!(liveness, Liveness::Up { .. }))
    }

    pub(super) fn standing(
        &self,
        ifindex: u32,
        hold: &Hold,
        me: NodeId,
        rules: Rules,
        now: BoottimeNs,
    ) -> Standing {
        let (mut is_unknown, mut is_sure) = (false, rules.takes_at_once);
        for &node in hold.predecessors(me) {
            if hold.silent.contains(&node) {
                continue;
            }
            if hold.answering == Some(node) {
                return Standing::Behind;
            }
            match self.get(ifindex, node) {
                None => is_unknown = true,
                Some(Liveness::Up { is_agent_seen: true }) => return Standing::Behind,
                Some(Liveness::Up { is_agent_seen: false })
                    if hold.may_hold(node, now) || !rules.doubts_stale_agents =>
                {
                    return Standing::Behind;
                }
                Some(Liveness::Up { is_agent_seen: false }) => is_sure = false,
                Some(Liveness::Down | Liveness::AdminDown) => {}
            }
        }
        if is_unknown { Standing::Unknown } else { Standing::First { is_sure } }
    }

    /// Whether the peer that was heard to hold the unit still does, as far as is known.
    pub(super) fn is_live_holder(&self, ifindex: u32, hold: &Hold, holder: NodeId) -> bool {
        if hold.silent.contains(&holder) {
            return false;
        }
        hold.answering == Some(holder)
            || match self.get(ifindex, holder) {
                None | Some(Liveness::Up { .. }) => true,
                Some(Liveness::Down | Liveness::AdminDown) => false,
            }
    }

    /// After how many asks in vain this node takes the unit from whoever holds it, or should; `None` when others are
    /// to ask.
    ///
    /// Nobody that lives may come between the holder and this node. One may come before them: it should hold the unit
    /// and is about to claim it, or believes by mistake that it does, and then asks for nothing. It is given the time
    /// to ask first.
    pub(super) fn asks_in_vain(&self, ifindex: u32, hold: &Hold, me: NodeId, rules: Rules) -> Option<u8> {
        let is_gone = |node: NodeId| {
            let cannot = match self.get(ifindex, node) {
                Some(Liveness::Down | Liveness::AdminDown) => true,
                Some(Liveness::Up { is_agent_seen }) => !is_agent_seen && rules.doubts_stale_agents,
                // If it lives it asks as well: better twice than never.
                None => true,
            };
            hold.silent.contains(&node) || cannot && hold.answering != Some(node)
        };
        let lives = |&&node: &&NodeId| !is_gone(node) && hold.holder() != Some(node);
        // One that is no candidate any more and not probed has gone, or is about to.
        let stays = |holder| hold.is_candidate(holder) || self.get(ifindex, holder).is_some();
        let holder =
            hold.holder().filter(|&holder| stays(holder) && self.is_live_holder(ifindex, hold, holder));
        let predecessors = hold.predecessors(me);
        let rank = holder.and_then(|holder| predecessors.iter().position(|&node| node == holder));
        let (before, between) = predecessors.split_at(rank.unwrap_or(predecessors.len()));
        if between.iter().any(|node| lives(&node)) {
            return None;
        }
        match (before.iter().filter(lives).take(2).count(), holder) {
            (0, _) | (1, None) => Some(ASKS),
            (1, Some(_)) => Some(ASKS_OF_SECOND),
            _ => None,
        }
    }
}
