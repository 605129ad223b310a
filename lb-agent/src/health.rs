//! Whether the agent is well, as its decision loop tells and others ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::model::BoottimeNs;

/// A loop that has not turned for this long hangs.
pub const HANGS_AFTER_NS: u64 = 2_000_000_000;

/// What the loop last told.
#[derive(Debug, Default)]
pub struct Health {
    turned_ns: AtomicU64,
    valid_until_ns: AtomicU64,
    is_known: AtomicBool,
    is_attached: AtomicBool,
}

/// What is amiss.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum Ailment {
    /// The loop hangs.
    #[error("the decision loop has not turned for 2 s")]
    Hangs,
    /// There is no view of the cluster, not even an old one.
    #[error("it is not known yet what to announce: no word from the Kubernetes API, and nothing on disk")]
    NothingKnown,
    /// There is no program.
    #[error("no program is attached: is there an interface to announce on?")]
    NotAttached,
    /// The kernel does not answer.
    #[error("the kernel answers for nothing: the lease is not valid")]
    NoLease,
}

impl Health {
    /// The loop turns, with a lease until then, and programs in place or not.
    pub fn turned(&self, now: BoottimeNs, valid_until: BoottimeNs, is_attached: bool) {
        self.valid_until_ns.store(valid_until, Ordering::Relaxed);
        self.is_attached.store(is_attached, Ordering::Relaxed);
        self.turned_ns.store(now, Ordering::Relaxed);
    }

    /// It is known what to announce.
    pub fn knows(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// Why the agent should be started anew.
    #[must_use]
    pub fn unhealthy(&self, now: BoottimeNs) -> Option<Ailment> {
        // Before the first turn it waits for the first word of the cluster: another start would not bring that nearer.
        let has_turned = |&turned: &BoottimeNs| turned != 0;
        let turned = Some(self.turned_ns.load(Ordering::Relaxed)).filter(has_turned)?;
        (now.saturating_sub(turned) >= HANGS_AFTER_NS).then_some(Ailment::Hangs)
    }

    /// Why it is not ready to announce.
    #[must_use]
    pub fn unready(&self, now: BoottimeNs) -> Vec<Ailment> {
        let is_known = self.is_known.load(Ordering::Relaxed);
        let is_attached = self.is_attached.load(Ordering::Relaxed);
        let has_lease = now < self.valid_until_ns.load(Ordering::Relaxed);
        let checks = [
            (is_known, Ailment::NothingKnown),
            (is_attached, Ailment::NotAttached),
            (has_lease, Ailment::NoLease),
        ];
        let amiss = checks.into_iter().filter(|(is_well, _)| !is_well).map(|(_, ailment)| ailment);
        self.unhealthy(now).into_iter().chain(amiss).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn before_the_first_turn_it_is_not_ready_and_does_not_hang() {
        let all = [Ailment::NothingKnown, Ailment::NotAttached, Ailment::NoLease];
        assert_eq!(
            (Health::default().unhealthy(5 * S), Health::default().unready(5 * S)),
            (None, all.to_vec())
        );
    }

    #[test]
    fn a_loop_that_turns_and_knows_what_to_announce_is_ready() {
        let health = Health::default();
        health.knows();
        health.turned(5 * S, 35 * S, true);
        assert_eq!((health.unhealthy(6 * S), health.unready(6 * S)), (None, vec![]));
    }

    #[test]
    fn two_seconds_after_the_last_turn_the_loop_hangs() {
        let health = Health::default();
        health.knows();
        health.turned(5 * S, 35 * S, true);
        assert_eq!([7 * S - 1, 7 * S].map(|now| health.unhealthy(now)), [None, Some(Ailment::Hangs)]);
    }

    #[test]
    fn without_lease_or_program_it_lives_and_is_not_ready() {
        let health = Health::default();
        health.knows();
        health.turned(5 * S, 5 * S, false);
        assert_eq!((health.unhealthy(5 * S)), None);
        assert_eq!(health.unready(5 * S), [Ailment::NotAttached, Ailment::NoLease]);
    }
}
