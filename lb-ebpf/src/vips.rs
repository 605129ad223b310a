//! The maps of VIPs and, apart from them, their counters.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use lb_common::{
    maps::{ClaimKind, MAX_VIPS, VipEntry, VipKey, VipKeyV4, VipKeyV6, VipStats},
    wire::ethernet::Mac,
};

use crate::atomic::increment;

#[btf_map]
static LB_VIPS_V4: HashMap<VipKeyV4, VipEntry, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();
#[btf_map]
static LB_VIPS_V6: HashMap<VipKeyV6, VipEntry, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// The agent makes the entries, before the VIP's own; the programs only count in them.
#[btf_map]
static LB_STATS_V4: HashMap<VipKeyV4, VipStats, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();
/// As above.
#[btf_map]
static LB_STATS_V6: HashMap<VipKeyV6, VipStats, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// An address of a family: which maps know of it.
pub trait Address: Copy {
    /// Bytes of the address.
    const LEN: u32;

    /// What to do about the VIP.
    fn vip(key: &VipKey<Self>) -> Option<&'static VipEntry>;
    /// Counters of the VIP; without them (the agent has made none yet) nothing is counted.
    fn stats(key: &VipKey<Self>) -> Option<*mut VipStats>;
    /// The address left-aligned in 16 bytes, the rest zero.
    fn left_aligned(self) -> [u8; 16];
}

impl Address for [u8; 4] {
    const LEN: u32 = 4;

    #[inline(always)]
    fn vip(key: &VipKeyV4) -> Option<&'static VipEntry> {
        // SAFETY: the kernel frees an element only after the program has ended (RCU); the agent replaces elements
        // whole, so what is read is one entry. A reused element is at worst another entry of ours.
        unsafe { LB_VIPS_V4.get(key) }
    }

    #[inline(always)]
    fn stats(key: &VipKeyV4) -> Option<*mut VipStats> {
        LB_STATS_V4.get_ptr_mut(key)
    }

    #[inline(always)]
    fn left_aligned(self) -> [u8; 16] {
        // By way of an integer: as an array the compiler would call memset, which no program may.
        u128::from(u32::from_le_bytes(self)).to_le_bytes()
    }
}

impl Address for [u8; 16] {
    const LEN: u32 = 16;

    #[inline(always)]
    fn vip(key: &VipKeyV6) -> Option<&'static VipEntry> {
        // SAFETY: as above.
        unsafe { LB_VIPS_V6.get(key) }
    }

    #[inline(always)]
    fn stats(key: &VipKeyV6) -> Option<*mut VipStats> {
        LB_STATS_V6.get_ptr_mut(key)
    }

    #[inline(always)]
    fn left_aligned(self) -> [u8; 16] {
        self
    }
}

/// What the programs do with a VIP's counters.
pub trait Stats {
    /// A request was seen.
    fn requested(&self);
    /// A request was answered at `now_ns`.
    fn answered(&self, now_ns: u64);
    /// Whether a claim of this kind that `claimant` makes at `now_ns` is to be reported; if so it counts as reported. Two CPUs that
    /// ask within the same few nanoseconds may both be told yes: 5.10 has no compare-and-exchange.
    fn is_claim_due(&self, claimant: Mac, kind: ClaimKind, now_ns: u64) -> bool;
}

impl Stats for Option<*mut VipStats> {
    #[inline(always)]
    fn requested(&self) {
        let Some(stats) = *self else { return };
        // SAFETY: map memory, alive until the program ends.
        increment(unsafe { &raw mut (*stats).requests });
    }

    #[inline(always)]
    fn answered(&self, now_ns: u64) {
        let Some(stats) = *self else { return };
        // SAFETY: map memory, alive until the program ends.
        increment(unsafe { &raw mut (*stats).answers });
        // SAFETY: as above.
        let last_answer_ns = unsafe { &raw mut (*stats).last_answer_ns };
        // SAFETY: as above; the field is aligned, so the store is whole.
        unsafe { last_answer_ns.write_volatile(now_ns) };
    }

    #[inline(always)]
    fn is_claim_due(&self, claimant: Mac, kind: ClaimKind, now_ns: u64) -> bool {
        let Some(stats) = *self else { return false };
        // SAFETY: map memory, alive until the program ends.
        let shared = unsafe { &raw mut (*stats).claims };
        // SAFETY: as above. Another CPU may write meanwhile; every bit pattern is a value, and a mixed one lets a claim
        // too many or too few through.
        let mut claims = unsafe { shared.read_volatile() };
        let is_due = claims.admits(claimant, kind, now_ns);
        if is_due {
            // SAFETY: as above.
            unsafe { shared.write_volatile(claims) };
        }
        is_due
    }
}
