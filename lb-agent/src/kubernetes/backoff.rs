//! How long to wait before something is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);
/// A failure so long after the last one is a new story.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Waits that double with each failure, each shortened at random by up to a half, so that a thousand agents do not come
/// back as one.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    /// When the last wait ends.
    until: Option<Duration>,
}

impl Backoff {
    /// How long to wait after a failure at `now`, on any clock that goes forward. `random` is from 0 to 1.
    pub fn failed(&mut self, now: Duration, random: f64) -> Duration {
        if self.until.is_some_and(|until| now >= until + FORGOTTEN_AFTER) {
            self.failures = 0;
        }
        let longest = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures += 1;
        let wait = longest.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0);
        self.until = Some(now + wait);
        wait
    }

    /// It worked.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits, in ms, of failures each of which comes as soon as the last wait is over.
    fn waits(backoff: &mut Backoff, count: usize, random: f64) -> Vec<u128> {
        let mut now = backoff.until.unwrap_or_default();
        let mut wait = || {
            let wait = backoff.failed(now, random);
            now += wait;
            wait.as_millis()
        };
        (0..count).map(|_| wait()).collect()
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let expected = [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000];
        assert_eq!(waits(&mut Backoff::default(), 8, 0.0), expected);
    }

    #[test]
    fn chance_shortens_a_wait_by_up_to_a_half() {
        assert_eq!(waits(&mut Backoff::default(), 3, 1.0), [400, 800, 1_600]);
        assert_eq!(waits(&mut Backoff::default(), 3, 0.5), [600, 1_200, 2_400]);
    }

    #[test]
    fn success_begins_anew() {
        let mut backoff = Backoff::default();
        waits(&mut backoff, 5, 0.0);
        backoff.succeeded();
        assert_eq!(waits(&mut backoff, 2, 0.0), [800, 1_600]);
    }

    #[test]
    fn a_failure_a_minute_after_the_last_wait_begins_anew() {
        let mut backoff = Backoff::default();
        waits(&mut backoff, 5, 0.0);
        let over = backoff.until.expect("a wait");
        let later = |after_s| backoff.clone().failed(over + Duration::from_secs(after_s), 0.0).as_millis();
        assert_eq!((later(59), later(60)), (25_600, 800));
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        assert_eq!(waits(&mut Backoff::default(), 1_000, 0.0).last(), Some(&30_000));
    }
}
