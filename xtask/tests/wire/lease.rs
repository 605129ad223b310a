//! The kernel answers for as long as the lease lasts, whatever becomes of the agent.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{Agent, Prober, mac_text};

use crate::{Bed, INTERVAL, VIP, VIP_ADDRESS, assert_seamless, short_lease};

#[test]
fn a_restart_loses_no_answer() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = bed.agent()?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let prober = Prober::start(&bed.client, VIP_ADDRESS, INTERVAL)?;
        thread::sleep(Duration::from_millis(300));
        agent.end(signal)?;
        thread::sleep(Duration::from_millis(500));
        agent.spawn()?;
        agent.wait_for("the VIPs adopted", |agent| agent.log().contains("went on with the VIPs"))?;
        thread::sleep(Duration::from_millis(1_500));
        assert_seamless(&prober.finish()?);
    }
    let log = agent.log();
    assert_eq!(log.matches("VIP announced here").count(), 1, "a restart within the lease is no gain:\n{log}");
    Ok(())
}

#[test]
fn a_killed_agents_vips_fall_silent_when_the_lease_ends() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    // As under kube-proxy IPVS: without the program the kernel itself would answer.
    bed.node.add_to_loopback(&[VIP_ADDRESS])?;
    let mut agent = bed.agent_with(short_lease())?;
    let prober = Prober::start(&bed.client, VIP_ADDRESS, INTERVAL)?;
    thread::sleep(Duration::from_millis(200));
    agent.end(Signal::SIGKILL)?;
    thread::sleep(Duration::from_secs(5));
    let report = prober.finish()?;
    let answered_for = report.last_answer.expect("answers");
    let bounds = Duration::from_millis(1_200)..Duration::from_millis(3_300);
    assert!(bounds.contains(&answered_for), "answers for {answered_for:?} after a kill with 3 s of lease");
    bed.assert_silent()?;
    let status = agent.status()?;
    assert_eq!(status["lease"], "expired");
    assert_eq!(status["agent_running"], false);
    assert!(status["frames"]["lease_expired"].as_u64() > Some(100), "{status:#}");
    Ok(())
}

#[test]
fn a_frozen_agent_that_thaws_asks_before_it_announces_again() -> anyhow::Result<()> {
    let mut bed = Bed::new()?;
    let other = bed.segment.host("other")?;
    let agent = bed.agent_with(short_lease())?;
    bed.assert_answered()?;
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    bed.assert_silent()?;
    // Another host takes over meanwhile.
    other.netns.ip(&format!("address add {VIP}/32 dev eth0"))?;
    let prober = Prober::start(&bed.client, VIP_ADDRESS, INTERVAL)?;
    agent.signal(Signal::SIGCONT)?;
    agent.wait_role(VIP, "contested")?;
    thread::sleep(Duration::from_secs(2));
    let report = prober.finish()?;
    assert_eq!((report.unanswered, report.doubly_answered), (0, 0), "{report:?}");
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), [&other.mac]);
    assert!(agent.log().contains("the lease has lapsed"), "{}", agent.log());
    assert_eq!(agent.vip(VIP)?["mac"], mac_text(other.mac));
    // The other one leaves: the VIP is taken back.
    other.netns.ip(&format!("address delete {VIP}/32 dev eth0"))?;
    agent.wait_role(VIP, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_frozen_agent_that_thaws_alone_goes_on() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent_with(short_lease())?;
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    bed.assert_silent()?;
    agent.signal(Signal::SIGCONT)?;
    agent.wait_for("a lease", |agent| agent.status().is_ok_and(|status| status["lease"] == "valid"))?;
    agent.wait_role(VIP, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_drained_node_is_silent_at_once_and_stays_so_over_a_restart() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    bed.node.add_to_loopback(&[VIP_ADDRESS])?;
    let mut agent = bed.agent()?;
    let prober = Prober::start(&bed.client, VIP_ADDRESS, INTERVAL)?;
    thread::sleep(Duration::from_millis(300));
    agent.succeed("drain")?;
    thread::sleep(Duration::from_millis(1_500));
    let report = prober.finish()?;
    let answered_for = report.last_answer.expect("answers");
    assert!(
        answered_for < Duration::from_millis(800),
        "answers for {answered_for:?} although drained after 300 ms"
    );
    agent.wait_role(VIP, "suppress")?;
    assert_eq!(agent.status()?["drained"], true);
    agent.end(Signal::SIGTERM)?;
    agent.spawn()?;
    agent.wait_for("the second start", |agent| agent.log().matches("drained: no VIP").count() == 2)?;
    bed.assert_silent()?;
    agent.succeed("undrain")?;
    agent.wait_role(VIP, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_claim_is_answered_once_and_told() -> anyhow::Result<()> {
    let mut bed = Bed::new()?;
    let other = bed.segment.host("other")?;
    let agent = bed.agent()?;
    let claim = |agent: &Agent<'_>| -> anyhow::Result<()> {
        other.netns.command("arping").args(["-A", "-c", "1", "-I", "eth0", "-s", VIP, VIP]).output()?;
        agent.wait_for("the conflict told", |agent| agent.log().contains("address conflict"))
    };
    other.netns.ip(&format!("address add {VIP}/32 dev lo"))?;
    other.netns.run(|| std::fs::write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1"))??;
    claim(&agent)?;
    bed.assert_answered()?;
    assert!(agent.log().contains(&mac_text(other.mac)), "{}", agent.log());
    Ok(())
}
