//! The agent, and its lease: until when it has said that answers may go out.

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

/// What the agent has said of itself. Index 0 of one is always there, but the verifier wants to see it asked.
#[inline(always)]
pub fn agent() -> Option<&'static Agent> {
    LB_AGENT.get(0)
}

/// How the lease stands at `now_ns`.
#[inline(always)]
pub fn state(now_ns: u64) -> Lease {
    agent().map_or(Lease::Abandoned, |agent| agent.lease(now_ns))
}
