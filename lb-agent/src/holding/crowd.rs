//! Whether so many stations claim a unit that the kernel side cannot report all of them.

use lb_common::maps::{CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL};

use crate::model::BoottimeNs;

/// After a crowd nothing is concluded from silence for this long: the asks of an audit go out within it.
const REMEMBERED_NS: u64 = 1_000_000_000;

/// Claims on one unit, as they are heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd {
    interval_began: BoottimeNs,
    in_interval: u8,
    /// When as many were last heard in one interval as the kernel reports of one VIP.
    full_at: Option<BoottimeNs>,
}

impl Crowd {
    /// A claim was heard.
    pub(super) fn heard(&mut self, now: BoottimeNs) {
        if now >= self.interval_began + CLAIM_INTERVAL_NS {
            (self.interval_began, self.in_interval) = (now, 0);
        }
        self.in_interval = self.in_interval.saturating_add(1);
        if self.in_interval >= CLAIMS_PER_INTERVAL {
            self.full_at = Some(now);
        }
    }

    /// Whether an answer may have been lost among other claims lately: silence proves nothing then.
    pub(super) fn may_have_drowned_an_answer(&self, now: BoottimeNs) -> bool {
        self.full_at.is_some_and(|full_at| now < full_at + REMEMBERED_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Whether answers may have been lost at 2 s, after claims at these times in ms.
    fn is_crowded(claims_ms: impl IntoIterator<Item = u64>) -> bool {
        let mut crowd = Crowd::default();
        claims_ms.into_iter().for_each(|at_ms| crowd.heard(at_ms * MS));
        crowd.may_have_drowned_an_answer(2_000 * MS)
    }

    #[test]
    fn as_many_claims_as_are_reported_at_most_are_a_crowd_for_a_second() {
        let limit = u64::from(CLAIMS_PER_INTERVAL);
        assert!(!is_crowded([]));
        assert!(!is_crowded(1_500..1_500 + limit - 1));
        assert!(is_crowded(1_500..1_500 + limit));
        assert!(!is_crowded(900..900 + limit), "a second ago");
        assert!(!is_crowded((0..100).map(|number| 100 + number * 15)), "7 in 100 ms");
    }
}
