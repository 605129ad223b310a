//! What the agent has to hear of at once.

use aya_ebpf::{btf_maps::RingBuf, macros::btf_map};
use lb_common::{
    maps::{Claim, ClaimKind, EVENT_BYTES},
    wire::arp::Frame,
};

/// Of [`Claim`]s. The unit type here keeps the map loadable by libbpf too, which wants a ring buffer's value to
/// have no size.
#[btf_map]
static LB_EVENTS: RingBuf<(), { EVENT_BYTES as usize }> = RingBuf::new();

/// Reports that the sender of `frame` claims a VIP of the map. A full buffer loses it: the claimant will
/// claim again, and the agent that is so far behind has other troubles.
#[inline(always)]
pub fn claim(seen_ns: u64, ifindex: u32, frame: &Frame, kind: ClaimKind) {
    // Left-aligned, by way of an integer: as an array the compiler would call memset, which no program may.
    let address = u128::from(u32::from_le_bytes(frame.spa)).to_le_bytes();
    let kind = kind as u8;
    let claim = Claim { seen_ns, ifindex, address_len: 4, kind, reserved: 0, claimant: frame.sha, address };
    let _ = LB_EVENTS.output_untyped::<Claim>(claim, 0);
}
