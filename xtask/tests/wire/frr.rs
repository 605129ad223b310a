//! FRRouting as an initiator against our reflector, over IPv6.

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use xtask::testbed::{Frr, witness::Tcpdump};

use crate::{Bed, raw, short_lease};

/// FRR takes the interval from the reflector's replies: a second, thrice.
const PATIENCE: Duration = Duration::from_secs(15);

fn wait_states(frr: &Frr, states: &[&str]) {
    let begun = Instant::now();
    while frr.states() != states {
        assert!(begun.elapsed() < PATIENCE, "{:?} instead of {states:?}:\n{}", frr.states(), frr.log());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn frr_finds_the_node_up_and_down_when_its_port_is_cut() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let agent = bed.agent_with(short_lease())?;
    let discriminator = u32::from_be_bytes(raw::discriminator(&bed.node));
    let frr = Frr::initiator(&bed.client, bed.node.ipv6, discriminator)?;
    wait_states(&frr, &["up"]);
    bed.segment.set_port(&bed.node, false)?;
    wait_states(&frr, &["up", "down"]);
    bed.segment.set_port(&bed.node, true)?;
    wait_states(&frr, &["up", "down", "up"]);

    // Past the lease the replies to FRR's probes say so. (It does not heed that.)
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    let tcpdump = Tcpdump::start(&bed.client, "udp src port 7784")?;
    thread::sleep(Duration::from_millis(300));
    let replies = tcpdump.finish()?;
    assert!(!replies.is_empty(), "{}", frr.log());
    assert!(replies.iter().all(|reply| reply.contains("State AdminDown")), "{replies:#?}");
    Ok(())
}
