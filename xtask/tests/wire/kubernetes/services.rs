//! What is announced follows from Services, their endpoints, pools and advertisements.

use std::{net::IpAddr, time::Duration};

use serde_json::json;
use xtask::testbed::{Families, KubeGroup, LoadBalancer, Unit, mac_text, witness};

use super::{Cluster, PLANNED, assert_answered, last, probe, web};
use crate::for_each_family;

for_each_family! {
    a_service_is_answered_by_one_node_until_it_is_deleted
    a_service_is_silent_while_it_has_no_ready_endpoint
}

/// Fails unless nobody answers for the VIPs of a unit, within a moment.
fn assert_falls_silent(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<()> {
    kube.wait_for(&format!("silence about {unit}"), |kube| kube.group.holders(unit).is_empty())?;
    assert_silent(kube, unit)
}

fn assert_silent(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<()> {
    for (vip, answers) in witness::stations_of_all(&kube.group.hosts.client, unit.addresses())? {
        assert!(answers.is_empty(), "{vip} is answered by {answers:?}\n{}", kube.group.logs());
    }
    Ok(())
}

/// Fails unless the node that announces the VIPs, and only it, answers for them; says which it is.
fn assert_answered_by_holder(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<usize> {
    let holder = kube.group.wait_holder(unit)?;
    let expected = [mac_text(kube.group.hosts.nodes[holder].mac)];
    for (vip, answers) in witness::stations_of_all(&kube.group.hosts.client, unit.addresses())? {
        assert_eq!(answers, expected, "{vip}\n{}", kube.group.logs());
    }
    Ok(holder)
}

fn a_service_is_answered_by_one_node_until_it_is_deleted(families: Families) -> anyhow::Result<()> {
    let cluster = Cluster::new(families)?;
    let kube = cluster.start()?;
    let (unit, web) = web(families);
    cluster.plane.set_service(&web)?;
    assert_answered_by_holder(&kube, unit)?;
    cluster.plane.delete_service(&web)?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn a_service_is_silent_while_it_has_no_ready_endpoint(families: Families) -> anyhow::Result<()> {
    let cluster = Cluster::new(families)?;
    let kube = cluster.start()?;
    let (unit, web) = web(families);
    let other = families.vip(11);
    cluster.plane.set_service(&web.clone().unready())?;
    // By the time that this one is answered, the agents have seen the other too.
    cluster.plane.set_service(&LoadBalancer::new("other", other))?;
    assert_answered_by_holder(&kube, other)?;
    assert_silent(&kube, unit)?;
    cluster.plane.set_service(&web)?;
    assert_answered_by_holder(&kube, unit)?;
    cluster.plane.set_service(&web.unready())?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

#[test]
fn a_service_of_policy_local_is_answered_where_it_has_an_endpoint_and_follows_it() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    let web = web.local();
    for node in 0..3 {
        let name = format!("n{}", node + 1);
        cluster.plane.set_service(&web.clone().endpoints_on(&[&name]))?;
        kube.group.wait_held_by(unit, node)?;
        assert_eq!(assert_answered_by_holder(&kube, unit)?, node);
    }
    // From one endpoint to another beside it: nobody has to wait.
    cluster.plane.set_service(&web.clone().endpoints_on(&["n1", "n3"]))?;
    kube.group.wait_holder(unit)?;
    let report = probe(&kube, unit, Duration::from_secs(3), || {
        cluster.plane.set_service(&web.clone().endpoints_on(&["n1"]))
    })?;
    assert_answered(&report, PLANNED, super::VIEWS_DIFFER, &kube);
    assert_eq!(last(&report, &kube)?, 0);
    Ok(())
}

#[test]
fn an_address_of_no_pool_and_a_pool_of_no_advertisement_are_silent() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    let foreign: Unit = IpAddr::from([10, 77, 2, 10]).into();
    cluster.plane.set_service(&LoadBalancer::new("foreign", foreign))?;
    cluster.plane.set_service(&web)?;
    assert_answered_by_holder(&kube, unit)?;
    assert_silent(&kube, foreign)?;
    cluster.plane.set_advertisement(&json!({"ipAddressPools": ["another"]}))?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.set_advertisement(&json!({"ipAddressPools": ["all"]}))?;
    assert_answered_by_holder(&kube, unit)?;
    Ok(())
}

#[test]
fn an_advertisement_restricts_nodes_and_interfaces() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    for node in 0..3 {
        let name = format!("n{}", node + 1);
        let selectors = json!([{"matchLabels": {"kubernetes.io/hostname": name}}]);
        cluster.plane.set_advertisement(&json!({"nodeSelectors": selectors}))?;
        kube.group.wait_held_by(unit, node)?;
    }
    cluster.plane.set_advertisement(&json!({"interfaces": ["eth7"]}))?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.set_advertisement(&json!({"interfaces": ["eth0"]}))?;
    assert_answered_by_holder(&kube, unit)?;
    Ok(())
}
