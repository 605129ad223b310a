//! What is announced follows from Services, their endpoints, pools and advertisements.

use std::{net::IpAddr, time::Duration};

use serde_json::json;
use xtask::testbed::{LoadBalancer, Unit};

use super::{
    Cluster, PLANNED, VIEWS_DIFFER, assert_answered, assert_answered_by_holder, assert_falls_silent,
    assert_silent, last, on_each_api, probe,
};

on_each_api! {
    for IPv4 {
        a_service_of_policy_local_is_answered_where_it_has_an_endpoint_and_follows_it
        an_address_of_no_pool_and_a_pool_of_no_advertisement_are_silent
        an_advertisement_restricts_nodes_and_interfaces
    }
    for each family {
        a_service_is_answered_by_one_node_until_it_is_deleted
        a_service_is_silent_while_it_has_no_ready_endpoint
    }
}

fn a_service_is_answered_by_one_node_until_it_is_deleted(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    assert_answered_by_holder(&kube, unit)?;
    cluster.plane.delete_service(&web)?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn a_service_is_silent_while_it_has_no_ready_endpoint(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    let other = cluster.vip(11);
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

fn a_service_of_policy_local_is_answered_where_it_has_an_endpoint_and_follows_it(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
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
    assert_answered(&report, PLANNED, VIEWS_DIFFER, &kube);
    assert_eq!(last(&report, &kube)?, 0);
    Ok(())
}

fn an_address_of_no_pool_and_a_pool_of_no_advertisement_are_silent(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
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

fn an_advertisement_restricts_nodes_and_interfaces(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
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
