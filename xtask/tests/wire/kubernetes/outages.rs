//! The API is away: what stands goes on standing, and failover goes on.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{LoadBalancer, Probers, api::Reach};

use super::{
    Cluster, FAILOVER, assert_answered, assert_answered_by_holder, assert_falls_silent, assert_seamless,
    assert_silent, last, on_each_api, probe,
};
use crate::INTERVAL;

on_each_api! {
    for IPv4 {
        agents_that_restart_without_the_api_go_on_from_their_last_state
        what_changed_meanwhile_is_done_when_the_api_is_back
    }
    for each family {
        a_cut_port_is_followed_as_fast_without_the_api
    }
}

fn a_cut_port_is_followed_as_fast_without_the_api(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    // Until the views count as old.
    thread::sleep(Duration::from_secs(11));
    let report = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)
    })?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    assert_ne!(last(&report, &kube)?, holder, "\n{}", kube.group.logs());
    Ok(())
}

fn agents_that_restart_without_the_api_go_on_from_their_last_state(cluster: &Cluster) -> anyhow::Result<()> {
    let mut kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    cluster.wait_kept(&kube, unit)?;
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    for number in 0..3 {
        kube.group.agents[number].end(Signal::SIGTERM)?;
        kube.group.agents[number].spawn()?;
        kube.wait_ready(number)?;
    }
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    // They know enough to take over, too.
    let cut = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)
    })?;
    assert_answered(&cut, FAILOVER, Duration::ZERO, &kube);
    assert_ne!(last(&cut, &kube)?, holder, "\n{}", kube.group.logs());
    Ok(())
}

fn what_changed_meanwhile_is_done_when_the_api_is_back(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let [kept, gone, new] = [10, 11, 12].map(|number| cluster.vip(number));
    let service = |name: &str, unit| LoadBalancer::new(name, unit);
    cluster.plane.set_service(&service("kept", kept))?;
    cluster.plane.set_service(&service("gone", gone))?;
    let holder = kube.group.wait_holder(kept)?;
    kube.group.wait_holder(gone)?;
    let probers = Probers::start(&cluster.hosts.client, kept.addresses(), INTERVAL)?;
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    cluster.plane.delete_service(&service("gone", gone))?;
    cluster.plane.set_service(&service("new", new))?;
    thread::sleep(Duration::from_secs(2));
    assert_answered_by_holder(&kube, gone)?;
    assert_silent(&kube, new)?;
    // The watches cannot go on from where they were.
    cluster.plane.forget_history()?;
    cluster.plane.set_reach_of_all(Reach::Open)?;
    assert_answered_by_holder(&kube, new)?;
    assert_falls_silent(&kube, gone)?;
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    cluster.plane.assert_nothing_refused();
    Ok(())
}
