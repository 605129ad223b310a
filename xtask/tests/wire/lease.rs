//! The kernel answers for as long as the lease lasts, whatever becomes of the agent.

use std::{net::IpAddr, thread, time::Duration};

use lb_common::wire::{arp, ethernet::ETHERTYPE_ARP, icmpv6::ndp};
use nix::sys::signal::Signal;
use xtask::testbed::{Agent, Host, PacketSocket, mac_text};

use crate::{Bed, assert_seamless, short_lease};

#[test]
fn a_restart_loses_no_answer() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let mut agent = bed.agent()?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let probers = bed.probers()?;
        thread::sleep(Duration::from_millis(300));
        agent.end(signal)?;
        thread::sleep(Duration::from_millis(500));
        agent.spawn()?;
        agent.wait_for("the VIPs adopted", |agent| agent.log().contains("went on with the VIPs"))?;
        thread::sleep(Duration::from_millis(1_500));
        assert_seamless(&probers.finish()?);
    }
    let log = agent.log();
    let gains = log.matches("VIP announced here").count();
    assert_eq!(gains, bed.units.len(), "a restart within the lease is no gain:\n{log}");
    Ok(())
}

#[test]
fn a_killed_agents_vips_fall_silent_when_the_lease_ends() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    // As under kube-proxy IPVS: without the program the kernel itself would answer.
    bed.node.add_to_loopback(bed.vips())?;
    let mut agent = bed.agent_with(short_lease())?;
    let probers = bed.probers()?;
    thread::sleep(Duration::from_millis(200));
    agent.end(Signal::SIGKILL)?;
    thread::sleep(Duration::from_secs(5));
    let bounds = Duration::from_millis(1_200)..Duration::from_millis(3_300);
    for report in probers.finish()? {
        let answered_for = report.last_answer.expect("answers");
        assert!(
            bounds.contains(&answered_for),
            "answers for {answered_for:?} after a kill with 3 s of lease"
        );
    }
    bed.assert_silent()?;
    let status = agent.status()?;
    assert_eq!(status["lease"], "expired");
    assert_eq!(status["agent_running"], false);
    assert!(status["frames"]["lease_expired"].as_u64() > Some(100), "{status:#}");
    Ok(())
}

#[test]
fn a_frozen_agent_that_thaws_asks_before_it_announces_again() -> anyhow::Result<()> {
    let mut bed = Bed::of_all_kinds()?;
    let other = bed.segment.host("other")?;
    let agent = bed.agent_with(short_lease())?;
    bed.assert_answered()?;
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    bed.assert_silent()?;
    // Another host takes over meanwhile.
    add_vips(&bed, &other)?;
    let probers = bed.probers()?;
    agent.signal(Signal::SIGCONT)?;
    bed.wait_role(&agent, "contested")?;
    thread::sleep(Duration::from_secs(2));
    for report in probers.finish()? {
        assert_seamless([&report]);
        assert_eq!(report.answers.keys().collect::<Vec<_>>(), [&other.mac]);
    }
    assert!(agent.log().contains("the lease has lapsed"), "{}", agent.log());
    for vip in bed.vips() {
        assert_eq!(agent.vip(vip)?["mac"], mac_text(other.mac));
    }
    Ok(())
}

#[test]
fn a_frozen_agent_that_thaws_alone_goes_on() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let agent = bed.agent_with(short_lease())?;
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    bed.assert_silent()?;
    agent.signal(Signal::SIGCONT)?;
    agent.wait_for("a lease", |agent| agent.status().is_ok_and(|status| status["lease"] == "valid"))?;
    bed.wait_role(&agent, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_drained_node_is_silent_at_once_and_stays_so_over_a_restart() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    bed.node.add_to_loopback(bed.vips())?;
    let mut agent = bed.agent()?;
    let probers = bed.probers()?;
    thread::sleep(Duration::from_millis(300));
    agent.succeed("drain")?;
    thread::sleep(Duration::from_millis(1_500));
    for report in probers.finish()? {
        let answered_for = report.last_answer.expect("answers");
        let at_most = Duration::from_millis(800);
        assert!(answered_for < at_most, "answers for {answered_for:?} although drained after 300 ms");
    }
    bed.wait_role(&agent, "suppress")?;
    assert_eq!(agent.status()?["drained"], true);
    agent.end(Signal::SIGTERM)?;
    agent.spawn()?;
    agent.wait_for("the second start", |agent| agent.log().matches("drained: no VIP").count() == 2)?;
    bed.assert_silent()?;
    agent.succeed("undrain")?;
    bed.wait_role(&agent, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_claim_is_answered_once_and_told() -> anyhow::Result<()> {
    let mut bed = Bed::of_all_kinds()?;
    let other = bed.segment.host("other")?;
    let agent = bed.agent()?;
    for unit in &bed.units {
        claim(&other, unit.addresses().last().expect("a VIP"))?;
    }
    let told = |agent: &Agent<'_>| agent.log().matches("address conflict").count();
    agent.wait_for("the conflicts told", |agent| told(agent) == bed.units.len())?;
    bed.assert_answered()?;
    assert!(agent.log().contains(&mac_text(other.mac)), "{}", agent.log());
    Ok(())
}

/// A host says once that it has an address, which it does not answer for.
fn claim(host: &Host, vip: IpAddr) -> anyhow::Result<()> {
    let frame: Vec<u8> = match vip {
        IpAddr::V4(vip) => arp::Frame::announcement_reply(host.mac, vip.octets()).as_bytes().into(),
        IpAddr::V6(vip) => ndp::Frame::unsolicited_advertisement(host.mac, vip.octets()).as_bytes().into(),
    };
    Ok(PacketSocket::open(host, ETHERTYPE_ARP)?.send(&frame)?)
}

/// Another host has the VIPs among its addresses.
fn add_vips(bed: &Bed, host: &Host) -> anyhow::Result<()> {
    bed.vips().try_for_each(|vip| host.netns.ip(&format!("address add {vip} dev eth0")))
}
