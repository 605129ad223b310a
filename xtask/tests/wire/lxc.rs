//! Nodes that are LXC containers.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{
    Agent, AgentOptions, Privilege, Segment, Unit, agent_binary, require_root, witness::Tcpdump,
};

use crate::{Bed, UNITS_OF_ALL_KINDS, VIP, VIP_ADDRESS, assert_seamless, hooks::tc_ingress};

/// A segment with one node, a container, and a client.
fn bed(privilege: Privilege, units: &[Unit]) -> anyhow::Result<Bed> {
    require_root("test")?;
    agent_binary()?;
    let mut segment = Segment::new()?;
    let node = segment.container("node", privilege)?;
    let client = segment.host("client")?;
    Ok(Bed { segment, node, client, units: units.to_vec() })
}

#[test]
fn a_privileged_container_answers_through_tc_and_restarts_without_a_gap() -> anyhow::Result<()> {
    let bed = bed(Privilege::Privileged, &UNITS_OF_ALL_KINDS)?;
    let mut agent = bed.agent()?;
    bed.assert_answered()?;
    let status = agent.status()?;
    assert_eq!(status["hooks"][0]["hook"], tc_ingress(), "{status:#}");
    assert!(agent.log().contains("hook=tc") && agent.log().contains("veth"), "{}", agent.log());
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let probers = bed.probers()?;
        thread::sleep(Duration::from_millis(300));
        agent.end(signal)?;
        agent.spawn()?;
        agent.wait_for("the VIPs adopted", |agent| agent.log().contains("went on with the VIPs"))?;
        thread::sleep(Duration::from_millis(1_500));
        assert_seamless(&probers.finish()?);
    }
    Ok(())
}

#[test]
fn cleanup_gives_a_container_its_own_arp_back() -> anyhow::Result<()> {
    let bed = bed(Privilege::Privileged, &[VIP_ADDRESS.into()])?;
    let mut agent = bed.agent()?;
    bed.assert_answered()?;
    agent.end(Signal::SIGTERM)?;
    agent.succeed("cleanup")?;
    bed.assert_silent()?;
    bed.node.add_to_loopback([VIP_ADDRESS])?;
    let tcpdump = Tcpdump::start(&bed.client, "arp")?;
    bed.assert_answered()?;
    // The kernel's own answers have no padding here.
    let replies: Vec<String> = tcpdump.finish()?.into_iter().filter(|line| line.contains("Reply")).collect();
    assert!(replies.iter().all(|line| line.contains("length 42")), "{replies:?}");
    Ok(())
}

#[test]
fn an_unprivileged_container_is_told_why_it_cannot_and_what_to_do() -> anyhow::Result<()> {
    let bed = bed(Privilege::Unprivileged, &[VIP_ADDRESS.into()])?;
    let mut agent = Agent::prepare(&bed.node, &format!("vips: [{VIP}]"), AgentOptions::default())?;
    agent.spawn()?;
    assert!(!agent.wait_end()?, "the agent should have failed:\n{}", agent.log());
    let log = agent.log();
    for part in ["user namespace", "remove lxc.idmap", "run the agent on the host"] {
        assert!(log.contains(part), "{part:?} is not in\n{log}");
    }
    bed.assert_silent()
}
