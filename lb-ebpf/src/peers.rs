//! Who probes this node by S-BFD, and how much of it is answered.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use lb_common::maps::{MAX_PEERS, PeerKeyV4, PeerKeyV6, PeerStats, UnknownLimit, VipKey};

use crate::atomic::increment;

/// The agent makes the entries; the programs only count in them.
#[btf_map]
static LB_PEERS_V4: HashMap<PeerKeyV4, PeerStats, { MAX_PEERS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();
/// As above.
#[btf_map]
static LB_PEERS_V6: HashMap<PeerKeyV6, PeerStats, { MAX_PEERS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static LB_SBFD_LIMIT: Array<UnknownLimit, 1> = Array::new();

/// An address of a family: which map knows of it.
pub trait Address: Copy {
    /// The known peer with this address.
    fn peer(key: &VipKey<Self>) -> Option<*mut PeerStats>;
}

impl Address for [u8; 4] {
    #[inline(always)]
    fn peer(key: &PeerKeyV4) -> Option<*mut PeerStats> {
        LB_PEERS_V4.get_ptr_mut(key)
    }
}

impl Address for [u8; 16] {
    #[inline(always)]
    fn peer(key: &PeerKeyV6) -> Option<*mut PeerStats> {
        LB_PEERS_V6.get_ptr_mut(key)
    }
}

/// Whether a sender may have an answer at `now_ns`; if so it is counted. Known peers always may.
#[inline(always)]
pub fn is_reply_due<A: Address>(sender: &VipKey<A>, now_ns: u64) -> bool {
    let Some(peer) = A::peer(sender) else { return is_unknown_due(now_ns) };
    // SAFETY: map memory, alive until the program ends.
    increment(unsafe { &raw mut (*peer).reflected });
    // SAFETY: as above.
    let last_ns = unsafe { &raw mut (*peer).last_ns };
    // SAFETY: as above; the field is aligned, so the store is whole.
    unsafe { last_ns.write_volatile(now_ns) };
    true
}

/// Two CPUs that ask within the same few nanoseconds may spend the same reply: 5.10 has no compare-and-exchange.
#[inline(always)]
fn is_unknown_due(now_ns: u64) -> bool {
    // Index 0 of one: always there.
    let Some(shared) = LB_SBFD_LIMIT.get_ptr_mut(0) else { return false };
    // SAFETY: map memory, alive until the program ends; one aligned word, so the load is whole.
    let mut limit = unsafe { shared.read_volatile() };
    let is_due = limit.admits(now_ns);
    if is_due {
        // SAFETY: as above.
        unsafe { shared.write_volatile(limit) };
    }
    is_due
}
