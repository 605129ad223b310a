//! What the agent has to hear of at once.

use aya_ebpf::{btf_maps::RingBuf, macros::btf_map};
use lb_common::{
    maps::{Claim, EVENT_BYTES},
    wire::arp::Frame,
};

#[btf_map]
static LB_EVENTS: RingBuf<Claim, { EVENT_BYTES as usize }> = RingBuf::new();

/// Reports that the sender of `frame` claims a VIP announced here. A full buffer loses it: the claimant will
/// claim again, and the agent that is so far behind has other troubles.
#[inline(always)]
pub fn claim(seen_ns: u64, ifindex: u32, frame: &Frame) {
    let mut address = [0; 16];
    let [a, b, c, d] = frame.spa;
    (address[0], address[1], address[2], address[3]) = (a, b, c, d);
    let claim = Claim { seen_ns, ifindex, address_len: 4, reserved: [0; 5], claimant: frame.sha, address };
    let _ = LB_EVENTS.output(claim, 0);
}
