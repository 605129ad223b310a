//! The machine of a holder shuts down: logind asks first, and waits.

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use xtask::testbed::{AgentOptions, Hosts, Logind, Prober, require_root};

use crate::INTERVAL;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);

#[test]
fn a_shutdown_waits_until_the_vips_are_handed_over_and_one_that_is_called_off_is_undone() -> anyhow::Result<()>
{
    require_root("test")?;
    let hosts = Hosts::new(3)?;
    let mut group = hosts.start(&[VIP], "immediate", &AgentOptions::default())?;
    let holder = group.wait_holder(VIP)?;
    let logind = Logind::start(&hosts.nodes[holder], group.agents[holder].bus_path())?;
    group.agents[holder].end(nix::sys::signal::Signal::SIGTERM)?;
    group.agents[holder].spawn()?;
    let is_waited_for = |_: &_| logind.inhibitors().is_ok_and(|inhibitors| inhibitors.contains("lb-agent"));
    group.agents[holder].wait_for("an inhibitor", is_waited_for)?;

    let prober = Prober::start(&hosts.client, VIP, INTERVAL)?;
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    logind.prepare_for_shutdown(true)?;
    group.agents[holder].wait_for("the shutdown to go on", |agent| !is_waited_for(agent))?;
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(3), "logind waits for 5 s at most, and waited {waited:?}");
    assert_ne!(group.wait_holder(VIP)?, holder, "handed over before the shutdown goes on");
    thread::sleep(Duration::from_millis(300));
    let report = prober.finish()?;
    assert!(report.longest_silence < Duration::from_millis(100), "{report:?}\n{}", group.logs());

    logind.prepare_for_shutdown(false)?;
    group.wait_held_by(VIP, holder)?;
    group.agents[holder].wait_for("an inhibitor for the next shutdown", is_waited_for)?;
    Ok(())
}

#[test]
fn a_shutdown_that_is_called_off_does_not_undrain_a_node_that_was_drained_before() -> anyhow::Result<()> {
    require_root("test")?;
    let hosts = Hosts::new(1)?;
    let mut group = hosts.start(&[VIP], "immediate", &AgentOptions::default())?;
    let logind = Logind::start(&hosts.nodes[0], group.agents[0].bus_path())?;
    let agent = &mut group.agents[0];
    agent.end(nix::sys::signal::Signal::SIGTERM)?;
    agent.spawn()?;
    agent.wait_for("an inhibitor", |_| logind.inhibitors().is_ok_and(|held| held.contains("lb-agent")))?;
    agent.succeed("drain")?;
    logind.prepare_for_shutdown(true)?;
    logind.prepare_for_shutdown(false)?;
    thread::sleep(Duration::from_secs(1));
    assert_eq!(agent.role(VIP)?, "suppress");
    assert_eq!(agent.status()?["drained"], true, "{:#}", agent.status()?);
    Ok(())
}
