//! The lease: until when the agent has said that answers may go out.

use aya_ebpf::{btf_maps::Array, helpers::bpf_ktime_get_boot_ns, macros::btf_map};
use lb_common::maps::{Agent, Lease};

#[btf_map]
static LB_AGENT: Array<Agent, 1> = Array::new();

/// CLOCK_BOOTTIME, in ns: it goes on while the machine sleeps, as the other nodes' clocks do.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// How the lease stands at `now_ns`.
#[inline(always)]
pub fn state(now_ns: u64) -> Lease {
    // Index 0 of one: always there.
    LB_AGENT.get(0).map_or(Lease::Abandoned, |agent| agent.lease(now_ns))
}
