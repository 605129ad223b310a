//! The API is away: what stands goes on standing, and failover goes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use nix::sys::signal::Signal;
use xtask::testbed::{KubeGroup, LoadBalancer, Probers, api::Reach};

use super::{
    Cluster, FAILOVER, assert_answered, assert_answered_by_holder, assert_falls_silent, assert_seamless,
    assert_silent, last, on_each_api, probe,
};
use crate::INTERVAL;

on_each_api! {
    for IPv4 {
        agents_that_restart_without_the_api_go_on_from_their_last_state
        what_changed_meanwhile_is_done_when_the_api_is_back
        a_hole_before_the_api_makes_the_view_stale_in_time_and_slows_no_failover
    }
    for each family {
        a_cut_port_is_followed_as_fast_without_the_api
    }
}

/// A view without word for 10 s is stale, and a silent connection shows within 6 s.
const STALE_WITHIN: Duration = Duration::from_secs(16);
/// An attempt that began in the hole, and a wait that has grown for so long.
const BACK_WITHIN: Duration = Duration::from_secs(12);
/// By then the waits between attempts have grown.
const HOLE: Duration = Duration::from_secs(45);
/// For a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// Waits until `lb-agent status` says this of the view of each node's agent, `most` after `begun` at the latest.
fn wait_views(kube: &KubeGroup<'_>, view: &str, begun: Instant, most: Duration) -> anyhow::Result<()> {
    let says_so = |status: &serde_json::Value| {
        status["source"]["kind"] == "kubernetes" && status["source"]["view"] == view
    };
    loop {
        let statuses = kube.group.agents.iter().map(|agent| agent.status());
        let statuses = statuses.collect::<anyhow::Result<Vec<_>>>()?;
        if statuses.iter().all(says_so) {
            return Ok(());
        }
        let told: Vec<_> = statuses.iter().map(|status| &status["source"]).collect();
        ensure!(begun.elapsed() < most, "not {view} within {most:?}: {told:?}\n{}", kube.group.logs());
        thread::sleep(Duration::from_millis(50));
    }
}

fn a_hole_before_the_api_makes_the_view_stale_in_time_and_slows_no_failover(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    let new = cluster.vip(11);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    wait_views(&kube, "up to date", Instant::now(), BACK_WITHIN)?;
    let begun = Instant::now();
    cluster.plane.set_reach_of_all(Reach::Lost)?;
    cluster.plane.set_service(&LoadBalancer::new("new", new))?;
    let report = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)
    })?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    let next = last(&report, &kube)?;
    assert_ne!(next, holder, "\n{}", kube.group.logs());
    wait_views(&kube, "stale", begun, STALE_WITHIN + SLACK)?;
    let told = kube.group.agents[next].succeed("status")?;
    assert!(told.contains("source   kubernetes, view stale, last word 1"), "{told}");
    // The next port, with views that are stale.
    let report = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[next], false)
    })?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    let third = last(&report, &kube)?;
    assert!(third != holder && third != next, "\n{}", kube.group.logs());
    for node in [holder, next] {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[node], true)?;
    }
    assert_silent(&kube, new)?;
    thread::sleep(HOLE.saturating_sub(begun.elapsed()));
    let closed = Instant::now();
    cluster.plane.set_reach_of_all(Reach::Open)?;
    wait_views(&kube, "up to date", closed, BACK_WITHIN + SLACK)?;
    // Of every kind: what makes the view count as up to date is the word of one.
    let fresh = Instant::now();
    kube.group.wait_holder(new)?;
    assert!(fresh.elapsed() < SLACK, "after {:?}\n{}", fresh.elapsed(), kube.group.logs());
    assert_answered_by_holder(&kube, new)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
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
