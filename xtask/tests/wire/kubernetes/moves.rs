//! Planned moves: each within its bound.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use serde_json::json;
use xtask::testbed::{Probers, api::Reach};

use super::{Cluster, PLANNED, VIEWS_DIFFER, assert_answered, assert_seamless, last, on_each_api, probe};
use crate::INTERVAL;

on_each_api! {
    for IPv4 {
        an_advertisement_for_another_node_moves_the_vip
        a_condition_moves_the_vip_and_its_end_brings_it_back
        nodes_that_are_all_not_ready_hold_what_they_have
        a_node_that_is_cut_off_from_the_api_holds_on_until_it_is_marked_not_ready
        a_restart_of_all_agents_one_after_another_moves_nothing_and_loses_no_answer
    }
    for each family {
        a_label_moves_the_vip_and_its_end_brings_it_back
    }
}

/// Keeps a node from announcing.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

fn a_label_moves_the_vip_and_its_end_brings_it_back(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let gone =
        probe(&kube, unit, Duration::from_secs(3), || cluster.plane.label_node(holder, EXCLUDED, Some("")))?;
    assert_answered(&gone, PLANNED, VIEWS_DIFFER, &kube);
    assert_ne!(last(&gone, &kube)?, holder, "\n{}", kube.group.logs());
    let back =
        probe(&kube, unit, Duration::from_secs(6), || cluster.plane.label_node(holder, EXCLUDED, None))?;
    assert_answered(&back, PLANNED, VIEWS_DIFFER, &kube);
    assert_eq!(last(&back, &kube)?, holder, "\n{}", kube.group.logs());
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn an_advertisement_for_another_node_moves_the_vip(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let next = (holder + 1) % 3;
    let selector = json!({"matchLabels": {"kubernetes.io/hostname": format!("n{}", next + 1)}});
    let report = probe(&kube, unit, Duration::from_secs(3), || {
        cluster.plane.set_advertisement(&json!({"nodeSelectors": [selector]}))
    })?;
    assert_answered(&report, PLANNED, VIEWS_DIFFER, &kube);
    assert_eq!(last(&report, &kube)?, next, "\n{}", kube.group.logs());
    Ok(())
}

fn a_condition_moves_the_vip_and_its_end_brings_it_back(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    for (condition, bad) in [("Ready", false), ("NetworkUnavailable", true)] {
        let set = |status| move || cluster.plane.set_condition(holder, condition, status);
        let gone = probe(&kube, unit, Duration::from_secs(3), set(bad))?;
        assert_answered(&gone, PLANNED, VIEWS_DIFFER, &kube);
        assert_ne!(last(&gone, &kube)?, holder, "{condition}\n{}", kube.group.logs());
        let back = probe(&kube, unit, Duration::from_secs(6), set(!bad))?;
        assert_answered(&back, PLANNED, VIEWS_DIFFER, &kube);
        assert_eq!(last(&back, &kube)?, holder, "{condition}\n{}", kube.group.logs());
    }
    Ok(())
}

fn nodes_that_are_all_not_ready_hold_what_they_have(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    // The holder last, so that nothing moves on the way.
    let report = probe(&kube, unit, Duration::from_secs(3), || {
        [1, 2, 3].iter().try_for_each(|next| cluster.plane.set_condition((holder + next) % 3, "Ready", false))
    })?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder, "\n{}", kube.group.logs());
    Ok(())
}

fn a_node_that_is_cut_off_from_the_api_holds_on_until_it_is_marked_not_ready(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let cut = probe(&kube, unit, Duration::from_secs(4), || cluster.plane.set_reach(holder, Reach::Hanging))?;
    assert_answered(&cut, PLANNED, Duration::ZERO, &kube);
    assert_eq!(last(&cut, &kube)?, holder, "\n{}", kube.group.logs());
    // A real cluster marks it after 40 s. By its own view it is Ready, so it gives way to a claim once that view is old.
    let marked =
        probe(&kube, unit, Duration::from_secs(15), || cluster.plane.set_condition(holder, "Ready", false))?;
    assert_answered(&marked, PLANNED, Duration::from_secs(12), &kube);
    assert_ne!(last(&marked, &kube)?, holder, "\n{}", kube.group.logs());
    assert_eq!(kube.group.wait_holder(unit)?, last(&marked, &kube)?);
    Ok(())
}

fn a_restart_of_all_agents_one_after_another_moves_nothing_and_loses_no_answer(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let mut kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    for number in 0..3 {
        // As a rolling update does it: the pod goes, is no endpoint, comes back, is ready.
        cluster.plane.set_agents(|other| Some(other != number))?;
        kube.group.agents[number].end(Signal::SIGTERM)?;
        thread::sleep(Duration::from_millis(500));
        kube.group.agents[number].spawn()?;
        kube.wait_ready(number)?;
        cluster.plane.set_agents(|_| Some(true))?;
    }
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    Ok(())
}
