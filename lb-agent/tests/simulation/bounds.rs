//! What the design promises ("Holding", Bounds), and what the simulation adds to it for its own clockwork.

use lb_agent::{
    holding::{ASK_INTERVAL_NS, ASKS, YIELD_AFTER_NS},
    run::TICK_NS,
    sbfd::Timing,
};

use crate::{
    cluster::{MS, S},
    wire::MAX_DELAY_NS,
};

/// Two answers, with equal views.
pub const DOUBLE_EQUAL_NS: u64 = 150 * MS;
/// Two answers, while views differ for a moment.
pub const DOUBLE_MOMENT_NS: u64 = S;
/// Two answers, with a stale view.
pub const DOUBLE_STALE_NS: u64 = 12 * S;
/// One holder, from when the peers hear each other again, S-BFD having come Up.
pub const HEAL_NS: u64 = 200 * MS;
/// No answer, after the detection time.
pub const TAKE_NS: u64 = 50 * MS;
/// A holder that is up but silent is replaced.
pub const SILENT_NS: u64 = 7 * S;
/// How long views may differ to count as for a moment.
pub const MOMENT_NS: u64 = S;

/// A frame there, one back, and two agents that are scheduled late in between.
pub const SLACK_NS: u64 = 2 * MAX_DELAY_NS + 2 * 5 * MS;
/// Three asks, each with its time: what a node takes that may not take at once.
pub const ASKING_NS: u64 = ASKS as u64 * ASK_INTERVAL_NS;
/// A holder with a stale view yields to a claim: it waits, asks, and hears the answer.
pub const YIELD_NS: u64 = YIELD_AFTER_NS + ASKING_NS + SLACK_NS;
/// Asks whose answers get lost are made up for by the next announcement of the new holder, and three asks more.
pub const LOST_NS: u64 = 1_100 * MS + ASKING_NS;
/// A move between two peers that have heard each other for so long is not due to what was before.
pub const SETTLED_NS: u64 = 5 * S;
/// After a wire that loses frames at random for a while: the announcements of a new holder go on for so long.
pub const CALM_NS: u64 = 15 * S;

/// From a node's death to the verdict: it may have answered a moment before, then `detect_mult` probes go out, the
/// last of which has its full interval.
pub fn detection_ns(timing: Timing) -> u64 {
    timing.interval_ns * (u64::from(timing.detect_mult) + 1) + SLACK_NS
}

/// From when two nodes hear each other again until S-BFD is Up: the next probe.
pub fn up_ns(timing: Timing) -> u64 {
    timing.interval_ns + SLACK_NS
}

/// From an agent's start, where nobody holds, to its first answer: it notices (an undrain, say)
/// with its next tick, hears the verdict about its predecessors, and asks.
pub fn newcomer_ns(timing: Timing) -> u64 {
    detection_ns(timing) + ASKING_NS + TAKE_NS + SLACK_NS + TICK_NS
}
