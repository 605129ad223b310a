//! The one instruction that the language does not offer for this target.

use core::arch::asm;

/// Adds one, for all CPUs to see. core offers no atomic addition on a target without compare-and-exchange, and
/// the form that returns nothing is the only one that 5.10 knows.
#[inline(always)]
pub fn increment(counter: *mut u64) {
    // SAFETY: the callers pass aligned map memory; the instruction touches nothing else.
    unsafe { asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64) };
}
