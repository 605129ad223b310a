//! The agent's side of its lease: whether there is one, and when more time is due.

use crate::model::BoottimeNs;

/// Between two renewals of the lease, less half a tick: a second is not missed by a hair.
pub const RENEW_INTERVAL_NS: u64 = 900_000_000;

/// How the lease stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// There is one: asks and announcements may go out.
    Valid,
    /// It has ended since the last look, so many ns ago: what was held by it is asked for anew.
    Lapsed {
        /// How long ago, in ns.
        late_ns: u64,
    },
    /// There was none at the last look either.
    Absent,
}

/// What the agent has seen of its lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseWatch {
    has_lease: bool,
    renewed_at: BoottimeNs,
}

impl LeaseWatch {
    /// An agent begins, with a lease that another has left it or without one. The first renewal is due at once.
    #[must_use]
    pub const fn new(has_lease: bool) -> Self {
        Self { has_lease, renewed_at: 0 }
    }

    /// Looks at the kernel's record of the lease.
    pub fn look(&mut self, valid_until: BoottimeNs, now: BoottimeNs) -> Look {
        let had_lease = std::mem::replace(&mut self.has_lease, now < valid_until);
        match (had_lease, self.has_lease) {
            (_, true) => Look::Valid,
            (true, false) => Look::Lapsed { late_ns: now - valid_until },
            (false, false) => Look::Absent,
        }
    }

    /// Whether the last look found a lease.
    #[must_use]
    pub const fn has_lease(&self) -> bool {
        self.has_lease
    }

    /// Whether a tick at `now` is to renew the lease; if so that is noted.
    pub fn is_renewal_due(&mut self, now: BoottimeNs) -> bool {
        let is_due = self.renewed_at == 0 || now >= self.renewed_at + RENEW_INTERVAL_NS;
        if is_due {
            self.renewed_at = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_lapse_is_told_once() {
        let mut watch = LeaseWatch::new(true);
        let looks = [(100, 99), (100, 100), (100, 130), (200, 140), (200, 250)];
        let seen = looks.map(|(valid_until, now)| watch.look(valid_until, now));
        let lapsed = |late_ns| Look::Lapsed { late_ns };
        assert_eq!(seen, [Look::Valid, lapsed(0), Look::Absent, Look::Valid, lapsed(50)]);
    }

    #[test]
    fn an_agent_that_finds_no_lease_has_not_seen_one_lapse() {
        assert_eq!(LeaseWatch::new(false).look(100, 130), Look::Absent);
    }

    #[test]
    fn the_lease_is_renewed_by_the_first_tick_and_each_second() {
        let mut watch = LeaseWatch::new(false);
        let renewed: Vec<u64> =
            (1..=12).map(|tick| tick * 200).filter(|&ms| watch.is_renewal_due(ms * MS)).collect();
        assert_eq!(renewed, [200, 1_200, 2_200]);
    }
}
