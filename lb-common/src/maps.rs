//! Layouts of the BPF maps: the contract between kernel side and user side.
//!
//! A change of any layout or of a map's meaning raises [`SCHEMA_VERSION`]; maps of another version are rebuilt,
//! never misread. Addresses are byte arrays in wire order; integers are in host byte order.

mod agent;
mod claim;
mod iface;
mod peer;
mod vip;

pub use agent::{ABANDONED_AFTER_NS, AGENT_STALE_AFTER_NS, Agent, Lease};
pub use claim::{CLAIM_INTERVAL_NS, CLAIMS_PER_INTERVAL, Claim, ClaimKind, ClaimLimit};
pub use iface::{Iface, NotANeighbour};
pub use peer::{PeerKeyV4, PeerKeyV6, PeerStats, UNKNOWN_REPLIES_PER_SECOND, UnknownLimit};
pub use vip::{Role, SELF_TEST_IFINDEX, SELF_TEST_MAC, VipEntry, VipKey, VipKeyV4, VipKeyV6, VipStats};

/// Version of everything in this module. Pinned maps live in a directory that carries it.
pub const SCHEMA_VERSION: u32 = 3;

/// Entries in each map that is keyed by VIP.
pub const MAX_VIPS: u32 = 131_072;
/// Entries in each map that is keyed by peer.
pub const MAX_PEERS: u32 = 16_384;
/// Entries in `LB_IFACES`.
pub const MAX_INTERFACES: u32 = 1024;
/// Bytes in the ring buffer `LB_EVENTS`; a multiple of every page size.
pub const EVENT_BYTES: u32 = 65_536;

const _: () = assert!(size_of::<VipKeyV4>() == 8);
const _: () = assert!(size_of::<VipKeyV6>() == 20);
const _: () = assert!(size_of::<VipEntry>() == 8);
const _: () = assert!(size_of::<ClaimLimit>() == 24);
const _: () = assert!(size_of::<VipStats>() == 24 + size_of::<ClaimLimit>());
const _: () = assert!(size_of::<Agent>() == 24);
const _: () = assert!(size_of::<Iface>() == 64);
const _: () = assert!(size_of::<PeerStats>() == 16);
const _: () = assert!(size_of::<UnknownLimit>() == 8);
const _: () = assert!(size_of::<Claim>() == 40);

#[cfg(feature = "user")]
mod user {
    use super::{Agent, Iface, PeerStats, UnknownLimit, VipEntry, VipKeyV4, VipKeyV6, VipStats};
    use crate::reason::FrameCounters;

    // SAFETY: `repr(C)`, made of integers and byte arrays only, and by the size asserts above without
    // padding, so every bit pattern is a value and no byte is uninitialized.
    unsafe impl aya::Pod for VipKeyV4 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for VipKeyV6 {}
    // SAFETY: as above.
    unsafe impl aya::Pod for VipEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for VipStats {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Agent {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Iface {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PeerStats {}
    // SAFETY: as above.
    unsafe impl aya::Pod for UnknownLimit {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FrameCounters {}
}
