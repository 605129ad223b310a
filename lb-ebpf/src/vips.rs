//! The map of VIPs and, apart from it, their counters.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use lb_common::maps::{CLAIM_INTERVAL_NS, MAX_VIPS, VipEntry, VipKeyV4, VipStats};

#[btf_map]
static LB_VIPS_V4: HashMap<VipKeyV4, VipEntry, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// The agent makes the entries, before the VIP's own; the programs only count in them.
#[btf_map]
static LB_STATS_V4: HashMap<VipKeyV4, VipStats, { MAX_VIPS as usize }, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// What to do about a VIP.
#[inline(always)]
pub fn get(key: &VipKeyV4) -> Option<&'static VipEntry> {
    // SAFETY: the kernel frees an element only after the program has ended (RCU); the agent replaces elements
    // whole, so what is read is one entry. A reused element is at worst another entry of ours.
    unsafe { LB_VIPS_V4.get(key) }
}

/// Counters of a VIP, or a stand-in that counts nothing while the agent has made none.
#[inline(always)]
pub fn stats(key: &VipKeyV4) -> Option<&'static VipStats> {
    // SAFETY: as in `get`; the fields are changed only through atomics and aligned stores.
    unsafe { LB_STATS_V4.get(key) }
}

/// What the programs do with a VIP's counters.
pub trait Stats {
    /// A request was seen.
    fn requested(&self);
    /// A request was answered at `now_ns`.
    fn answered(&self, now_ns: u64);
    /// Whether a claim may be reported at `now_ns`; if so it counts as reported. Two CPUs that ask within the same
    /// few nanoseconds may both be told yes: 5.10 has no compare-and-exchange.
    fn is_claim_due(&self, now_ns: u64) -> bool;
}

impl Stats for Option<&VipStats> {
    #[inline(always)]
    fn requested(&self) {
        let Some(stats) = self else { return };
        cell(&stats.requests).fetch_add(1, Relaxed);
    }

    #[inline(always)]
    fn answered(&self, now_ns: u64) {
        let Some(stats) = self else { return };
        cell(&stats.answers).fetch_add(1, Relaxed);
        cell(&stats.last_answer_ns).store(now_ns, Relaxed);
    }

    #[inline(always)]
    fn is_claim_due(&self, now_ns: u64) -> bool {
        let Some(stats) = self else { return false };
        let last_ns = cell(&stats.last_claim_ns);
        if last_ns.load(Relaxed) != 0 && now_ns < last_ns.load(Relaxed) + CLAIM_INTERVAL_NS {
            return false;
        }
        last_ns.store(now_ns, Relaxed);
        true
    }
}

/// A counter as other CPUs see it. Without a returned value the addition is the one atomic of 5.10.
#[inline(always)]
fn cell(counter: &u64) -> &AtomicU64 {
    // SAFETY: map memory, aligned to 8, alive until the program ends, and never accessed but through this.
    unsafe { AtomicU64::from_ptr(core::ptr::from_ref(counter).cast_mut()) }
}
