//! What the agent has to hear of at once.

use aya_ebpf::{btf_maps::RingBuf, macros::btf_map};
use lb_common::maps::{Claim, ClaimKind, EVENT_BYTES, VipKey};

use crate::vips::Address;

/// Of [`Claim`]s. The unit type here keeps the map loadable by libbpf too, which wants a ring buffer's value to
/// have no size.
#[btf_map]
static LB_EVENTS: RingBuf<(), { EVENT_BYTES as usize }> = RingBuf::new();

/// Reports that the station `claimant` claims a VIP of the map. A full buffer loses it: the claimant will
/// claim again, and the agent that is so far behind has other troubles.
#[inline(always)]
pub fn claim<A: Address>(seen_ns: u64, vip: VipKey<A>, claimant: [u8; 6], kind: ClaimKind) {
    let (ifindex, address, kind) = (vip.ifindex, vip.address.left_aligned(), kind as u8);
    let claim = Claim { seen_ns, ifindex, address_len: A::LEN, kind, reserved: 0, claimant, address };
    let _ = LB_EVENTS.output_untyped::<Claim>(claim, 0);
}
