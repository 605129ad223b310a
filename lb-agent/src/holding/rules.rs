//! What the operator may set, and what the simulation may switch off.

use crate::model::BoottimeNs;

/// When a node that has come back takes a VIP from a live holder of a worse rank.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failback {
    /// At once.
    Immediate,
    /// When it has been fit for so long, in ns.
    After(BoottimeNs),
    /// Not while the holder lives.
    Never,
}

impl Default for Failback {
    fn default() -> Self {
        Self::After(30_000_000_000)
    }
}

/// The rules of holding, each of which can be switched off: the simulation shows that none of them is idle. An agent
/// runs with all of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// A node whose predecessors have all gone takes without asking.
    pub takes_at_once: bool,
    /// In every other case it asks first, and leaves the VIP to a peer that answers.
    pub asks_first: bool,
    /// A lapsed lease is a fresh start.
    pub starts_afresh: bool,
    /// A node that has come back waits for its time of failback.
    pub waits_for_failback: bool,
    /// A holder asks a predecessor that comes up whether it holds too.
    pub checks_returning_predecessors: bool,
    /// A holder that stood still asks whether it has been followed meanwhile.
    pub checks_after_absence: bool,
    /// A holder yields to a better-ranked peer.
    pub yields: bool,
    /// It does so only if that peer answers an ask.
    pub verifies_before_yielding: bool,
    /// The next in line asks for the VIP now and then.
    pub audits: bool,
    /// A holder that its own view excludes answers until another claims the VIP, one second at most.
    pub leaves_softly: bool,
    /// A holder that its own view keeps defends the VIP against a claim, after a second.
    pub defends: bool,
    /// A claimer gives way to that defence.
    pub gives_way: bool,
    /// A node whose view may be out of date yields to a live peer's claim, and claims nothing from a live holder.
    pub distrusts_stale_views: bool,
    /// A peer whose agent is gone counts only for what it was heard to hold.
    pub doubts_stale_agents: bool,
    /// What a stranger answers for is left to it.
    pub respects_strangers: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            takes_at_once: true,
            asks_first: true,
            starts_afresh: true,
            waits_for_failback: true,
            checks_returning_predecessors: true,
            checks_after_absence: true,
            yields: true,
            verifies_before_yielding: true,
            audits: true,
            leaves_softly: true,
            defends: true,
            gives_way: true,
            distrusts_stale_views: true,
            doubts_stale_agents: true,
            respects_strangers: true,
        }
    }
}
