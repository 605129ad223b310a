//! Claims: other stations that say on the wire that they have a VIP.

/// For each VIP, the same claimant reaches the ring buffer with the same kind of claim no more than once in this time.
pub const CLAIM_INTERVAL_NS: u64 = 100_000_000;
/// Claims on one VIP that reach the ring buffer in [`CLAIM_INTERVAL_NS`], whoever makes them.
pub const CLAIMS_PER_INTERVAL: u8 = 8;

/// Another station said that it has a VIP that stands in `LB_VIPS_V4` or `LB_VIPS_V6`: an event in `LB_EVENTS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Claim {
    /// CLOCK_BOOTTIME of the claim, in ns.
    pub seen_ns: u64,
    /// Interface on which it was heard.
    pub ifindex: u32,
    /// Bytes of `address` in use: 4 or 16.
    pub address_len: u32,
    /// One of [`ClaimKind`], as its number.
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
    /// Link-layer address that the claimant gives as its own.
    pub claimant: [u8; 6],
    /// The VIP, left-aligned, rest zero.
    pub address: [u8; 16],
}

/// The form of a claim.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum ClaimKind {
    /// A request with spa = tpa (RFC 5227, 3); an unsolicited Neighbor Advertisement (RFC 4861, 7.2.6), or a solicitation
    /// from the address that it asks for.
    Announcement = 1,
    /// A reply with spa = tpa, which nobody asked for. NDP has no such form beside the announcement.
    GratuitousReply = 2,
    /// A reply to somebody's request; a solicited Neighbor Advertisement.
    Answer = 3,
    /// An announcement that was sent to this node alone.
    ToOne = 4,
}

impl ClaimKind {
    /// The kind with this number, or `None` when it is none of ours.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Announcement),
            2 => Some(Self::GratuitousReply),
            3 => Some(Self::Answer),
            4 => Some(Self::ToOne),
            _ => None,
        }
    }
}

/// Which claims on one VIP have been reported lately: part of [`super::VipStats`].
///
/// A claimant that repeats itself is held back; another one is let through at once, since it may be the one that
/// this node has to yield to, and so is its answer to the ask that follows its claim. How many of those there are is bounded, too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct ClaimLimit {
    /// CLOCK_BOOTTIME of the last claim that was reported, in ns; 0 for never.
    pub last_ns: u64,
    /// CLOCK_BOOTTIME at which the current interval began, in ns.
    pub interval_began_ns: u64,
    /// Who made the last claim that was reported.
    pub last_claimant: [u8; 6],
    /// Which kind it was, as its number.
    pub last_kind: u8,
    /// Claims reported in the current interval.
    pub in_interval: u8,
}

impl ClaimLimit {
    /// Whether a claim of this kind that `claimant` makes at `now_ns` is to be reported; if so it counts as reported.
    #[must_use]
    #[inline(always)]
    pub fn admits(&mut self, claimant: [u8; 6], kind: ClaimKind, now_ns: u64) -> bool {
        let is_recent = |since_ns: u64| since_ns != 0 && now_ns < since_ns + CLAIM_INTERVAL_NS;
        let is_same = self.last_claimant == claimant && self.last_kind == kind as u8;
        let (is_same_interval, is_repeated) =
            (is_recent(self.interval_began_ns), is_recent(self.last_ns) && is_same);
        if is_repeated || (is_same_interval && self.in_interval >= CLAIMS_PER_INTERVAL) {
            return false;
        }
        if !is_same_interval {
            self.interval_began_ns = now_ns;
            self.in_interval = 0;
        }
        self.in_interval += 1;
        self.last_ns = now_ns;
        self.last_claimant = claimant;
        self.last_kind = kind as u8;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn station(number: u64) -> [u8; 6] {
        [2, 0, 0, 0, 0, number.to_le_bytes()[0]]
    }

    /// Which of the claims, each a claimant and a time in ms, are reported.
    fn reported(claims: &[(u64, u64)]) -> Vec<bool> {
        let mut limit = ClaimLimit::default();
        claims.iter().map(|&(who, at_ms)| limit.admits(station(who), ClaimKind::Answer, at_ms * MS)).collect()
    }

    #[test]
    fn every_kind_survives_the_ring_buffer() {
        for kind in [ClaimKind::Announcement, ClaimKind::GratuitousReply, ClaimKind::Answer, ClaimKind::ToOne]
        {
            assert_eq!(ClaimKind::from_number(kind as u8), Some(kind));
        }
        assert_eq!((ClaimKind::from_number(0), ClaimKind::from_number(5)), (None, None));
    }

    #[test]
    fn the_same_claimant_is_reported_once_in_an_interval() {
        assert_eq!(
            reported(&[(1, 1_000), (1, 1_001), (1, 1_099), (1, 1_100), (1, 1_150), (1, 1_200)]),
            [true, false, false, true, false, true]
        );
    }

    #[test]
    fn the_answer_that_follows_an_announcement_is_reported_at_once() {
        let mut limit = ClaimLimit::default();
        let kinds = [ClaimKind::Announcement, ClaimKind::Announcement, ClaimKind::Answer, ClaimKind::Answer];
        assert_eq!(kinds.map(|kind| limit.admits(station(1), kind, 1_000 * MS)), [true, false, true, false]);
    }

    #[test]
    fn another_claimant_is_reported_at_once() {
        assert_eq!(
            reported(&[(1, 1_000), (2, 1_000), (2, 1_001), (1, 1_002), (1, 1_101), (1, 1_102)]),
            [true, true, false, true, false, true]
        );
    }

    #[test]
    fn many_claimants_are_reported_eight_times_in_an_interval() {
        let flood: Vec<(u64, u64)> = (0..300).map(|at_ms| (at_ms, 1_000 + at_ms)).collect();
        let reported = reported(&flood);
        let times: Vec<usize> = (0..300).filter(|&at| reported[at]).collect();
        let expected: Vec<usize> = [0, 100, 200].iter().flat_map(|&begin| begin..begin + 8).collect();
        assert_eq!(times, expected);
    }
}
