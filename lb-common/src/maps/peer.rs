//! Peers: nodes whose agents probe this one by S-BFD.

use super::VipKey;

/// Replies in one second, all interfaces and CPUs together, to probes of senders that are no known peers: a peer's
/// view may be newer than ours, so they are answered, but nobody makes a host send without bounds.
pub const UNKNOWN_REPLIES_PER_SECOND: u64 = 100;
const INTERVAL_NS: u64 = 1_000_000_000 / UNKNOWN_REPLIES_PER_SECOND;

/// Key of `LB_PEERS_V4`: a peer's address on an interface.
pub type PeerKeyV4 = VipKey<[u8; 4]>;
/// Key of `LB_PEERS_V6`.
pub type PeerKeyV6 = VipKey<[u8; 16]>;

/// A known peer: the value of `LB_PEERS_V4` and `LB_PEERS_V6`. The agent makes the entries; such a peer is answered without limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct PeerStats {
    /// Probes answered.
    pub reflected: u64,
    /// CLOCK_BOOTTIME of the last answer, in ns; 0 for never.
    pub last_ns: u64,
}

/// How much has been said to unknown senders: the only value of `LB_SBFD_LIMIT`. Each reply is worth one interval, and
/// one second's worth may be spent at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct UnknownLimit {
    /// CLOCK_BOOTTIME, in ns, at which all replies so far would have been sent at an even rate.
    pub spent_until_ns: u64,
}

impl UnknownLimit {
    /// Whether a reply may go out at `now_ns`; if so it counts as sent.
    #[must_use]
    #[inline(always)]
    pub const fn admits(&mut self, now_ns: u64) -> bool {
        let begins_ns = if self.spent_until_ns > now_ns { self.spent_until_ns } else { now_ns };
        let spent_until_ns = begins_ns + INTERVAL_NS;
        if spent_until_ns > now_ns + UNKNOWN_REPLIES_PER_SECOND * INTERVAL_NS {
            return false;
        }
        self.spent_until_ns = spent_until_ns;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_worth_a_hundred_replies_at_once_or_evenly() {
        let mut limit = UnknownLimit::default();
        let mut burst = |now_ns| (0..1_000).filter(|_| limit.admits(now_ns)).count();
        assert_eq!(burst(5_000_000_000), 100);
        assert_eq!(burst(5_000_000_000 + INTERVAL_NS - 1), 0);
        assert_eq!(burst(5_000_000_000 + INTERVAL_NS), 1);
        assert_eq!(burst(5_100_000_000), 9);
        assert_eq!(burst(9_000_000_000), 100);
    }
}
