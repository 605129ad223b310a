//! The API is away: what stands goes on standing, and failover goes on.

use std::{fs, thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{Families, api::Reach};

use super::{Cluster, FAILOVER, assert_answered, assert_seamless, last, probe, web};
use crate::for_each_family;

for_each_family! {
    a_cut_port_is_followed_as_fast_without_the_api
}

fn a_cut_port_is_followed_as_fast_without_the_api(families: Families) -> anyhow::Result<()> {
    let cluster = Cluster::new(families)?;
    let kube = cluster.start()?;
    let (unit, web) = web(families);
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

/// Whether what a node keeps for a restart tells of a VIP.
fn is_kept(cluster: &Cluster, node: usize, vip: &str) -> bool {
    let directory = cluster.plane.state_directory(&cluster.hosts.nodes[node].name);
    let files = fs::read_dir(directory).into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    files.filter_map(|path| fs::read_to_string(path).ok()).any(|text| text.contains(vip))
}

#[test]
fn agents_that_restart_without_the_api_go_on_from_their_last_state() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let mut kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    // The state is written behind the decisions.
    kube.wait_for("the VIP in the state that is kept", |_| {
        (0..3).all(|node| is_kept(&cluster, node, "10.77.1.10"))
    })?;
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    let probers = xtask::testbed::Probers::start(&cluster.hosts.client, unit.addresses(), crate::INTERVAL)?;
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

#[test]
fn what_changed_meanwhile_is_done_when_the_api_is_back() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    cluster.plane.set_service(&web)?;
    thread::sleep(Duration::from_secs(2));
    assert_eq!(kube.group.holders(unit), [0; 0]);
    // The watches cannot go on from where they were.
    cluster.plane.stand_in()?.compact();
    cluster.plane.set_reach_of_all(Reach::Open)?;
    kube.group.wait_holder(unit)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}
