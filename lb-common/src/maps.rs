//! Layouts of the BPF maps: the contract between kernel side and user side.
//!
//! A change of any layout or of a map's meaning raises [`SCHEMA_VERSION`]; maps of another version are rebuilt,
//! never misread. Addresses are byte arrays in wire order; integers are in host byte order.

/// Version of everything in this module. Pinned maps live in a directory that carries it.
pub const SCHEMA_VERSION: u32 = 1;

/// Entries in each map that is keyed by VIP.
pub const MAX_VIPS: u32 = 131_072;
/// Entries in `LB_IFACES`.
pub const MAX_INTERFACES: u32 = 1024;
/// Bytes in the ring buffer `LB_EVENTS`; a multiple of every page size.
pub const EVENT_BYTES: u32 = 65_536;

/// Past the end of the lease by this long, the programs touch nothing any more: an abandoned program must not
/// deafen a host.
pub const ABANDONED_AFTER_NS: u64 = 24 * 3600 * 1_000_000_000;
/// Claims of one VIP reach the ring buffer no closer together than this.
pub const CLAIM_INTERVAL_NS: u64 = 1_000_000_000;

/// The interface of the self-test entry: the loopback, where BPF_PROG_TEST_RUN places a frame without context.
pub const SELF_TEST_IFINDEX: u32 = 1;
/// The link-layer address that the self-test entry answers with (locally administered).
pub const SELF_TEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];

/// Key of a VIP on an interface. `A` is `[u8; 4]` or `[u8; 16]`, in wire order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(C)]
pub struct VipKey<A> {
    /// Interface index, host byte order.
    pub ifindex: u32,
    /// The VIP.
    pub address: A,
}

/// Key of `LB_VIPS_V4` and `LB_STATS_V4`.
pub type VipKeyV4 = VipKey<[u8; 4]>;

/// What the kernel does about a VIP on one interface: the value of `LB_VIPS_V4`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct VipEntry {
    /// One of [`Role`], as its number; anything else counts as no entry.
    pub role: u8,
    /// Zero.
    pub reserved: u8,
    /// The interface's own link-layer address, which answers carry; with [`Role::Contested`] the stranger's.
    pub mac: [u8; 6],
}

/// What an entry asks of the kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Role {
    /// Requests are answered while the lease lasts, and dropped after it.
    Announce = 1,
    /// Requests are dropped.
    Suppress = 2,
    /// Requests are answered whatever the lease; nothing is counted or reported.
    SelfTest = 3,
    /// Another station answers for the VIP: as if there were no entry. It stands here for people to read.
    Contested = 4,
}

impl VipEntry {
    /// An entry with this role and answering address.
    #[must_use]
    pub const fn new(role: Role, mac: [u8; 6]) -> Self {
        Self { role: role as u8, reserved: 0, mac }
    }

    /// The role, or `None` when the number is none of ours.
    #[must_use]
    #[inline(always)]
    pub const fn role(&self) -> Option<Role> {
        match self.role {
            1 => Some(Role::Announce),
            2 => Some(Role::Suppress),
            3 => Some(Role::SelfTest),
            4 => Some(Role::Contested),
            _ => None,
        }
    }
}

/// Counters of one VIP on one interface: the value of `LB_STATS_V4`. Kept apart from [`VipEntry`] so that a
/// change of role does not reset them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct VipStats {
    /// Requests seen, whatever became of them.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// CLOCK_BOOTTIME of the last answer, in ns; 0 for never.
    pub last_answer_ns: u64,
    /// CLOCK_BOOTTIME of the last claim that was reported, in ns; 0 for never.
    pub last_claim_ns: u64,
}

/// State of the agent: the only value of `LB_AGENT`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Agent {
    /// CLOCK_BOOTTIME at which the lease ends, in ns. Zero: there was never a lease, and the host is left as it was.
    pub valid_until_ns: u64,
}

/// How the lease stands at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lease {
    /// Answers go out.
    Valid,
    /// The agent is late: VIPs fall silent.
    Expired,
    /// The agent is gone for good, or has never come so far: everything passes.
    Abandoned,
}

impl Agent {
    /// How the lease stands at `now_ns` (CLOCK_BOOTTIME).
    #[must_use]
    #[inline(always)]
    pub const fn lease(&self, now_ns: u64) -> Lease {
        if now_ns < self.valid_until_ns {
            Lease::Valid
        } else if self.valid_until_ns != 0 && now_ns - self.valid_until_ns < ABANDONED_AFTER_NS {
            Lease::Expired
        } else {
            Lease::Abandoned
        }
    }
}

/// What the egress program needs to know of an interface: the value of `LB_IFACES`, keyed by interface index.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Iface {
    /// The interface's own IPv4 address, which replaces a foreign VIP as sender. All zero where there is none:
    /// the request then leaves as an ARP Probe (RFC 5227, 1.1), which changes nobody's cache.
    pub ipv4: [u8; 4],
}

/// A station that is not this node claimed a VIP announced here: an event in `LB_EVENTS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Claim {
    /// CLOCK_BOOTTIME of the claim, in ns.
    pub seen_ns: u64,
    /// Interface on which it was heard.
    pub ifindex: u32,
    /// Bytes of `address` in use: 4 or 16.
    pub address_len: u32,
    /// Zero.
    pub reserved: [u8; 2],
    /// Link-layer address that the claimant gives as its own.
    pub claimant: [u8; 6],
    /// The VIP, left-aligned, rest zero.
    pub address: [u8; 16],
}

const _: () = assert!(size_of::<VipKeyV4>() == 8);
const _: () = assert!(size_of::<VipEntry>() == 8);
const _: () = assert!(size_of::<VipStats>() == 32);
const _: () = assert!(size_of::<Agent>() == 8);
const _: () = assert!(size_of::<Iface>() == 4);
const _: () = assert!(size_of::<Claim>() == 40);

#[cfg(feature = "user")]
mod user {
    use super::{Agent, Iface, VipEntry, VipKeyV4, VipStats};
    use crate::reason::FrameCounters;

    // SAFETY: `repr(C)`, made of integers and byte arrays only, and by the size asserts above without
    // padding, so every bit pattern is a value and no byte is uninitialized.
    unsafe impl aya::Pod for VipKeyV4 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for VipEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for VipStats {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Agent {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Iface {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FrameCounters {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_valid_then_expired_then_abandoned() {
        let agent = Agent { valid_until_ns: 100 };
        assert_eq!(agent.lease(99), Lease::Valid);
        assert_eq!(agent.lease(100), Lease::Expired);
        assert_eq!(agent.lease(99 + ABANDONED_AFTER_NS), Lease::Expired);
        assert_eq!(agent.lease(100 + ABANDONED_AFTER_NS), Lease::Abandoned);
        assert_eq!(Agent::default().lease(99), Lease::Abandoned);
    }

    #[test]
    fn every_role_survives_the_map() {
        for role in [Role::Announce, Role::Suppress, Role::SelfTest, Role::Contested] {
            assert_eq!(VipEntry::new(role, [0; 6]).role(), Some(role));
        }
        assert_eq!(VipEntry { role: 0, reserved: 0, mac: [0; 6] }.role(), None);
        assert_eq!(VipEntry { role: 5, reserved: 0, mac: [0; 6] }.role(), None);
    }
}
