//! What goes wrong with requests, as a test wants it. The test's own requests are spared.

use std::time::Duration;

use super::refusal::Refusal;

/// The faults that are on.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// How long each request waits.
    pub delay: Duration,
    /// What each request is refused with.
    pub refuse: Option<Refuse>,
    /// Lists are of this revision at most.
    pub stale_at: Option<u64>,
    /// Each event of a watch comes twice.
    pub are_events_doubled: bool,
}

/// How requests are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refuse {
    /// 429, with this many seconds to wait.
    TooManyRequests(u32),
    /// 500.
    InternalError,
}

impl Refuse {
    /// The answer.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::TooManyRequests(seconds) => Refusal::too_many_requests(seconds),
            Self::InternalError => Refusal::internal("the test wants it so"),
        }
    }
}
