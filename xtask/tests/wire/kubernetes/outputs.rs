//! What the agents write to the API.

use std::{collections::BTreeSet, thread, time::Duration};

use xtask::testbed::{Families, LoadBalancer, SYSTEM, api::Permission};

use super::{Cluster, web};

#[test]
fn who_announces_a_service_stands_in_its_status_and_events_and_goes_with_it() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let expected = vec![("web".to_owned(), format!("n{}", holder + 1))];
    let announcers = || cluster.plane.announcers().unwrap_or_default();
    kube.wait_for("one ServiceL2Status", |_| announcers() == expected)?;
    kube.wait_for("the event nodeAssigned", |_| {
        let events = cluster.plane.events("default").unwrap_or_default();
        events.iter().filter(|(reason, _)| reason == "nodeAssigned").count() == 1
    })?;
    kube.wait_for("a ConfigurationState of each node", |_| {
        let states = cluster.plane.client().list("metallb.io/v1beta1", "ConfigurationState", SYSTEM);
        let valid = |state: &serde_json::Value| state["status"]["result"] == "Valid";
        states.is_ok_and(|states| states.iter().filter(|state| valid(state)).count() == 3)
    })?;
    // The port is cut, and another one says that it announces it.
    cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)?;
    kube.wait_for("the status of another node", |kube| {
        let now = announcers();
        let others = now.iter().filter(|told| **told != expected[0]).count();
        others == 1 && kube.group.holders(unit).len() == 1
    })?;
    cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], true)?;
    kube.wait_for("the first node's status alone", |_| announcers() == expected)?;
    cluster.plane.delete_service(&web)?;
    kube.wait_for("no ServiceL2Status", |_| announcers().is_empty())?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

#[test]
fn nothing_is_written_and_nothing_listed_while_nothing_changes() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    for number in 10..20 {
        let service = LoadBalancer::new(&format!("web{number}"), Families::V4.vip(number));
        cluster.plane.set_service(&service)?;
    }
    for number in 10..20 {
        kube.group.wait_holder(Families::V4.vip(number))?;
    }
    kube.wait_for("ten ServiceL2Statuses", |_| {
        cluster.plane.announcers().is_ok_and(|announcers| announcers.len() == 10)
    })?;
    thread::sleep(Duration::from_secs(6));
    cluster.plane.stand_in()?.forget_requests();
    for second in 1..10 {
        cluster.plane.heartbeat(second)?;
        thread::sleep(Duration::from_secs(1));
    }
    let seen = cluster.plane.stand_in()?.requests_where(|record| record.is_write() || record.verb == "list");
    assert!(seen.is_empty(), "{seen:#?}\n{}", kube.group.logs());
    Ok(())
}

#[test]
fn each_right_of_the_manifests_is_made_use_of() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    kube.wait_for("a ServiceL2Status", |_| cluster.plane.announcers().is_ok_and(|told| told.len() == 1))?;
    cluster.plane.delete_service(&web)?;
    kube.wait_for("no ServiceL2Status", |_| cluster.plane.announcers().is_ok_and(|told| told.is_empty()))?;
    cluster.plane.assert_nothing_refused();
    let (granted, used) = cluster.plane.stand_in()?.permissions();
    let unused: BTreeSet<&Permission> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:#?}");
    Ok(())
}
