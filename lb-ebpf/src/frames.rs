//! Frames by fate, counted per CPU.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use lb_common::reason::{Fate, FrameCounters};

#[btf_map]
static LB_FRAMES: PerCpuArray<FrameCounters, 1> = PerCpuArray::new();

/// Counts one frame; the self-test leaves no trace.
#[inline(always)]
pub fn count(fate: Fate) {
    if matches!(fate, Fate::SelfTest) {
        return;
    }
    let Some(counters) = LB_FRAMES.get_ptr_mut(0) else { return };
    let place = hidden(fate as u32) as usize;
    if place < Fate::ALL.len() {
        // SAFETY: `place` is within the struct, which lb-common asserts to be one u64 for each fate.
        let counter = unsafe { counters.cast::<u64>().add(place) };
        // SAFETY: as above; this CPU's copy has no other writer while the program runs.
        unsafe { *counter += 1 };
    }
}

/// Hides from the compiler that the value is in range, so that the check which the verifier needs stays.
#[inline(always)]
fn hidden(value: u32) -> u32 {
    // SAFETY: a valid, initialized, aligned local.
    unsafe { core::ptr::read_volatile(&value) }
}
