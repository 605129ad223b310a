//! Which node answers, where there is a choice: what Services share, prefer, and are for.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::testbed::LoadBalancer;

use super::{
    Cluster, FAILOVER, PLANNED, VIEWS_DIFFER, assert_answered, assert_answered_by_holder,
    assert_falls_silent, assert_silent, last, on_each_api, probe,
};

on_each_api! {
    for IPv4 {
        a_preferred_node_answers_and_another_when_it_cannot
        an_agent_of_a_class_answers_for_the_services_of_that_class_alone
    }
    for each family {
        services_that_share_a_vip_are_answered_by_a_node_that_suits_both
    }
}

/// A class of load balancers, and an agent's argument for it.
const CLASS: &str = "example.com/layer2";

fn services_that_share_a_vip_are_answered_by_a_node_that_suits_both(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let unit = cluster.vip(10);
    let web = LoadBalancer::new("web", unit).local().endpoints_on(&["n1", "n2"]);
    let mail = LoadBalancer::new("mail", unit).local();
    cluster.plane.set_service(&web)?;
    cluster.plane.set_service(&mail.clone().endpoints_on(&["n2", "n3"]))?;
    kube.group.wait_held_by(unit, 1)?;
    assert_eq!(assert_answered_by_holder(&kube, unit)?, 1);
    cluster.plane.set_service(&mail.clone().endpoints_on(&["n3"]))?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.set_service(&mail.clone().endpoints_on(&["n2", "n3"]))?;
    kube.group.wait_held_by(unit, 1)?;
    // The VIP outlives one of them, wherever it is then.
    let report = probe(&kube, unit, Duration::from_secs(4), || cluster.plane.delete_service(&mail))?;
    assert_answered(&report, PLANNED, VIEWS_DIFFER, &kube);
    assert!(last(&report, &kube)? < 2, "\n{}", kube.group.logs());
    cluster.plane.delete_service(&web)?;
    assert_falls_silent(&kube, unit)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

/// The spec of an advertisement that would rather have a VIP on one node.
fn preferring(node: usize) -> Value {
    let preference = |weight: u8, node: usize| {
        let name = format!("n{}", node + 1);
        json!({"weight": weight, "preference": {"matchLabels": {"kubernetes.io/hostname": name}}})
    };
    json!({"preferredNodeSelectors": [preference(10, (node + 1) % 3), preference(90, node)]})
}

fn a_preferred_node_answers_and_another_when_it_cannot(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    for node in 0..3 {
        let change = || cluster.plane.set_advertisement(&preferring(node));
        let report = probe(&kube, unit, Duration::from_secs(5), change)?;
        assert_answered(&report, PLANNED, VIEWS_DIFFER, &kube);
        assert_eq!(last(&report, &kube)?, node, "\n{}", kube.group.logs());
    }
    // The third was preferred most, and the first after it.
    let report = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[2], false)
    })?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    assert_eq!(last(&report, &kube)?, 0, "\n{}", kube.group.logs());
    Ok(())
}

fn an_agent_of_a_class_answers_for_the_services_of_that_class_alone(cluster: &Cluster) -> anyhow::Result<()> {
    let [of_none, of_class, of_another] = [10, 11, 12].map(|number| cluster.vip(number));
    cluster.plane.set_service(&LoadBalancer::new("none", of_none))?;
    cluster.plane.set_service(&LoadBalancer::new("class", of_class).of_class(CLASS))?;
    cluster.plane.set_service(&LoadBalancer::new("another", of_another).of_class("example.com/another"))?;
    let kube = cluster.start()?;
    assert_answered_by_holder(&kube, of_none)?;
    assert_silent(&kube, of_class)?;
    assert_silent(&kube, of_another)?;
    drop(kube);
    let kube = cluster.start_with(&["--lb-class", CLASS])?;
    assert_answered_by_holder(&kube, of_class)?;
    assert_silent(&kube, of_none)?;
    assert_silent(&kube, of_another)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}
