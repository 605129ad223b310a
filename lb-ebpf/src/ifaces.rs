//! What the egress program needs to know of an interface.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use lb_common::maps::{Iface, MAX_INTERFACES};

#[btf_map]
static LB_IFACES: HashMap<u32, Iface, { MAX_INTERFACES as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// The interface's own address; zero (the sender of an ARP Probe) while the agent knows none.
#[inline(always)]
pub fn own_ipv4(ifindex: u32) -> [u8; 4] {
    // SAFETY: freed only after the program has ended (RCU); replaced whole.
    unsafe { LB_IFACES.get(ifindex) }.map_or([0; 4], |iface| iface.ipv4)
}
