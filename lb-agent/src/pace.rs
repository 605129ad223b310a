//! How many frames may go out now: a token bucket.

use crate::model::BoottimeNs;

/// Frames a second that the agent sends at most, of all kinds together.
pub const FRAMES_PER_SECOND: u64 = 10_000;
/// Frames that may go out at once after a silence.
pub const BURST: u64 = 200;

const NS_PER_FRAME: u64 = 1_000_000_000 / FRAMES_PER_SECOND;

/// The bucket, as the time at which it would be empty had frames gone out evenly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    spent_until: BoottimeNs,
}

impl Pace {
    /// Frames that may go out at `now`.
    #[must_use]
    pub fn allowance(&self, now: BoottimeNs) -> usize {
        let free_ns = (now + BURST * NS_PER_FRAME).saturating_sub(self.spent_until);
        usize::try_from((free_ns / NS_PER_FRAME).min(BURST)).unwrap_or(0)
    }

    /// Takes note of frames that went out at `now`.
    pub fn spend(&mut self, frames: usize, now: BoottimeNs) {
        self.spent_until = self.spent_until.max(now) + frames as u64 * NS_PER_FRAME;
    }

    /// From when on at least half a burst may go out: waking up for each single frame would cost more than it brings.
    #[must_use]
    pub fn ready_at(&self) -> BoottimeNs {
        self.spent_until.saturating_sub(BURST / 2 * NS_PER_FRAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut pace = Pace::default();
        let mut now = 1_000_000_000;
        assert_eq!(pace.allowance(now), 200);
        pace.spend(200, now);
        assert_eq!(pace.allowance(now), 0);
        now += 10_000_000;
        assert_eq!(pace.ready_at(), now);
        assert_eq!(pace.allowance(now), 100);
        now += 3_600_000_000_000;
        assert_eq!(pace.allowance(now), 200);
    }

    #[test]
    fn over_a_second_the_rate_holds() {
        let (mut pace, mut sent) = (Pace::default(), 0);
        for ms in 0..1_000_u64 {
            let now = 5_000_000_000 + ms * 1_000_000;
            let frames = pace.allowance(now);
            pace.spend(frames, now);
            sent += frames;
        }
        assert!((10_000..=10_200).contains(&sent), "{sent}");
    }
}
