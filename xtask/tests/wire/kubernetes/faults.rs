//! An API server that misbehaves: nothing moves, and what changed is followed when it is well again.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{
    Families, LoadBalancer, Probers,
    api::{Faults, Refuse},
};

use super::{Cluster, FAILOVER, VIEWS_DIFFER, assert_answered, assert_seamless, last, web};
use crate::INTERVAL;

/// How long each fault lasts: some attempts of each agent.
const LASTS: Duration = Duration::from_secs(3);

/// Two VIPs: one that is to stay where it is, and one that comes while the fault lasts.
fn is_survived(faults: Faults) -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    let new = Families::V4.vip(11);
    let api = cluster.plane.stand_in()?;
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    api.set_faults(faults);
    // All of them have to come again, and the watches that go on find that it is too late.
    api.cut_watches();
    api.compact();
    cluster.plane.set_service(&LoadBalancer::new("new", new))?;
    thread::sleep(LASTS);
    api.set_faults(Faults::default());
    kube.group.wait_holder(new)?;
    kube.group.wait_held_by(unit, holder)?;
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    Ok(())
}

#[test]
fn a_slow_api_is_survived() -> anyhow::Result<()> {
    is_survived(Faults { delay: Duration::from_millis(700), ..Faults::default() })
}

#[test]
fn an_api_that_asks_for_patience_is_survived() -> anyhow::Result<()> {
    is_survived(Faults { refuse: Some(Refuse::TooManyRequests(1)), ..Faults::default() })
}

#[test]
fn an_api_with_errors_of_its_own_is_survived() -> anyhow::Result<()> {
    is_survived(Faults { refuse: Some(Refuse::InternalError), ..Faults::default() })
}

#[test]
fn doubled_events_are_survived() -> anyhow::Result<()> {
    is_survived(Faults { are_events_doubled: true, ..Faults::default() })
}

#[test]
fn an_agent_that_starts_from_a_stale_list_catches_up_at_once() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let mut kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    let stale_at = Some(cluster.plane.stand_in()?.revision());
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    cluster.plane.stand_in()?.set_faults(Faults { stale_at, ..Faults::default() });
    // It does not see the Service in the list, but in the watch that follows.
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    kube.group.agents[holder].end(Signal::SIGTERM)?;
    kube.group.agents[holder].spawn()?;
    thread::sleep(LASTS);
    let report = probers.finish()?;
    assert_answered(&report, FAILOVER, VIEWS_DIFFER, &kube);
    kube.group.wait_held_by(unit, holder)?;
    Ok(())
}
