//! What the programs need to know of an interface.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use lb_common::maps::{Iface, MAX_INTERFACES};

#[btf_map]
static LB_IFACES: HashMap<u32, Iface, { MAX_INTERFACES as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// An interface, once the agent knows it. Until then its addresses count as zero, which as the sender of a request is
/// that of an ARP Probe; a Neighbor Solicitation does not leave then.
#[inline(always)]
pub fn get(ifindex: u32) -> Option<&'static Iface> {
    // SAFETY: freed only after the program has ended (RCU); replaced whole.
    unsafe { LB_IFACES.get(ifindex) }
}
