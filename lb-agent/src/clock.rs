//! The clock that the kernel side measures the lease by.

use nix::time::{ClockId, clock_gettime};

use crate::model::BoottimeNs;

/// CLOCK_BOOTTIME now. It goes on while the machine sleeps.
///
/// # Panics
/// Never on Linux, which has this clock since 2.6.39.
#[must_use]
pub fn boottime_ns() -> BoottimeNs {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("read CLOCK_BOOTTIME");
    let seconds = u64::try_from(now.tv_sec()).expect("CLOCK_BOOTTIME is not negative");
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec()).expect("nanoseconds are not negative")
}
