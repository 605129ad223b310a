//! What the agents write to the API.

use std::{collections::BTreeSet, thread, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::testbed::{
    Agent, AgentOptions, ControlPlane, Families, LoadBalancer, SYSTEM,
    api::{At, Permission},
    mac_text,
};

use super::{Cluster, on_each_api, web};

on_each_api! {
    for IPv4 {
        who_announces_a_service_stands_in_its_status_and_events_and_goes_with_it
        agents_tell_each_other_their_own_addresses
        what_is_wrong_with_the_configuration_is_told_and_the_last_valid_one_stays
        a_service_that_nobody_may_announce_has_an_event_and_only_one
        a_stranger_that_has_the_address_is_an_event_and_only_one
        what_a_lost_node_has_left_is_deleted_by_another
    }
}

/// The ConfigurationStates.
fn states(plane: &ControlPlane) -> Vec<Value> {
    plane.client().list("metallb.io/v1beta1", "ConfigurationState", SYSTEM).unwrap_or_default()
}

/// Whether all three say this of a condition, and this in their summary.
fn all_say(plane: &ControlPlane, condition: [&str; 2], summary: &str) -> bool {
    let says = |state: &&Value| {
        let conditions = state["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let has = conditions.iter().any(|of| of["type"] == condition[0] && of["status"] == condition[1]);
        let told = state["status"]["errorSummary"].as_str().unwrap_or_default();
        has && told.contains(summary) && told.is_empty() == summary.is_empty()
    };
    states(plane).iter().filter(says).count() == 3
}

fn who_announces_a_service_stands_in_its_status_and_events_and_goes_with_it(
    cluster: &Cluster,
) -> anyhow::Result<()> {
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
        let valid = |state: &Value| state["status"]["result"] == "Valid";
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

#[test]
fn a_restart_writes_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let mut kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    kube.wait_for("the event nodeAssigned", |_| {
        cluster.plane.events("default").is_ok_and(|events| events.len() == 1)
    })?;
    kube.wait_for("a ConfigurationState of each node", |_| {
        all_say(&cluster.plane, ["ConfigurationValid", "True"], "")
    })?;
    cluster.plane.stand_in()?.forget_requests();
    kube.group.agents[holder].end(Signal::SIGTERM)?;
    thread::sleep(Duration::from_secs(1));
    kube.group.agents[holder].spawn()?;
    kube.wait_ready(holder)?;
    thread::sleep(Duration::from_secs(5));
    let written =
        cluster.plane.stand_in()?.requests_where(|record| record.is_write() && record.is_from_account());
    assert!(written.is_empty(), "{written:#?}\n{}", kube.group.logs());
    Ok(())
}

fn agents_tell_each_other_their_own_addresses(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    kube.wait_for("the addresses of each node", |_| {
        let states = states(&cluster.plane);
        cluster.hosts.nodes.iter().all(|node| {
            let state =
                states.iter().find(|state| state["metadata"]["name"] == format!("speaker-{}", node.name));
            let told =
                state.and_then(|state| state["metadata"]["annotations"]["lb.metallb.io/addresses"].as_str());
            let told: Vec<&str> = told.unwrap_or_default().split(',').collect();
            let has = |address: &str| told.contains(&address);
            has(&node.address.to_string())
                && has(&node.ipv6.to_string())
                && told.iter().any(|address| address.starts_with("fe80::"))
        })
    })?;
    Ok(())
}

fn what_is_wrong_with_the_configuration_is_told_and_the_last_valid_one_stays(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    let plane = &cluster.plane;
    plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    // The schema does not see it.
    let pool = |addresses: &str| {
        let metadata = json!({"namespace": SYSTEM, "name": "all"});
        let spec = json!({"addresses": [addresses]});
        json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec})
    };
    plane.client().apply(pool("10.77.1.9-10.77.1.1"))?;
    let summary = "IPAddressPool all: ";
    kube.wait_for("the problem in each state", |_| all_say(plane, ["ConfigurationValid", "False"], summary))?;
    kube.group.wait_held_by(unit, holder)?;
    plane.client().apply(pool("10.77.1.0/24"))?;
    kube.wait_for("no problem in any state", |_| all_say(plane, ["ConfigurationValid", "True"], ""))?;
    plane.set_advertisement(&json!({"ipAddressPools": ["another"]}))?;
    kube.wait_for("that it selects nothing", |_| all_say(plane, ["AdvertisementsEffective", "False"], ""))?;
    Ok(())
}

fn a_service_that_nobody_may_announce_has_an_event_and_only_one(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (_, web) = web(Families::V4);
    cluster.plane.set_service(&web.local().endpoints_on(&["n9"]))?;
    let failures = || -> Vec<String> {
        let events = cluster.plane.events("default").unwrap_or_default();
        events.into_iter().filter(|(reason, _)| reason == "announceFailed").map(|(_, note)| note).collect()
    };
    kube.wait_for("the event announceFailed", |_| !failures().is_empty())?;
    thread::sleep(Duration::from_secs(2));
    let told = failures();
    assert!(told.len() == 1 && told[0].starts_with("none of the Nodes"), "{told:?}");
    Ok(())
}

fn a_stranger_that_has_the_address_is_an_event_and_only_one(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (_, web) = web(Families::V4);
    cluster.hosts.client.netns.ip("address add 10.77.1.10/16 dev eth0")?;
    cluster.plane.set_service(&web)?;
    let conflicts = || -> Vec<String> {
        let events = cluster.plane.events("default").unwrap_or_default();
        events.into_iter().filter(|(reason, _)| reason == "AddressConflict").map(|(_, note)| note).collect()
    };
    let claim = format!("{} claims 10.77.1.10 on eth0", mac_text(cluster.hosts.client.mac));
    kube.wait_for("the event AddressConflict", |_| conflicts().iter().any(|note| note.starts_with(&claim)))?;
    thread::sleep(Duration::from_secs(3));
    assert_eq!(conflicts().len(), 1, "{:?}", conflicts());
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn what_a_lost_node_has_left_is_deleted_by_another(cluster: &Cluster) -> anyhow::Result<()> {
    let mut kube = cluster.start()?;
    let (unit, web) = web(Families::V4);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let node = format!("n{}", holder + 1);
    let announcers = || cluster.plane.announcers().unwrap_or_default();
    kube.wait_for("its status", |_| announcers() == [("web".to_owned(), node.clone())])?;
    kube.group.agents[holder].end(Signal::SIGKILL)?;
    cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)?;
    kube.wait_for("the status of another", |_| announcers().iter().any(|(_, other)| *other != node))?;
    assert_eq!(announcers().len(), 2, "the node may come back");
    cluster.plane.client().delete(At { api_version: "v1", kind: "Node", namespace: "", name: &node })?;
    kube.wait_for("the status of the other alone", |_| {
        announcers().iter().all(|(_, other)| *other != node) && announcers().len() == 1
    })?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

#[test]
fn two_agents_of_one_name_say_so_and_write_no_more() -> anyhow::Result<()> {
    let cluster = Cluster::new(Families::V4)?;
    let mut kube = cluster.start()?;
    kube.wait_for("a ConfigurationState of each node", |_| {
        all_say(&cluster.plane, ["ConfigurationValid", "True"], "")
    })?;
    kube.group.agents[2].end(Signal::SIGTERM)?;
    let state = cluster.plane.state_directory("twin");
    let arguments = ["--source", "kubernetes", "--node", "n1", "--namespace", SYSTEM, "--state-dir"];
    let mut options = AgentOptions::default();
    options.arguments.extend(arguments.map(Into::into));
    options.arguments.push(state.into());
    options.environment.push(("KUBECONFIG", cluster.plane.kubeconfig(2).into()));
    let mut twin = Agent::prepare(&cluster.hosts.nodes[2], "", options)?;
    twin.write_whole_config("interfaces: [eth0]\n")?;
    twin.spawn()?;
    let problem = "agents on several machines call themselves node n1";
    twin.wait_for("its own word about it", |agent| agent.log().contains(problem))?;
    kube.wait_for("the other's, and the state", |kube| {
        let is_told = |state: &Value| {
            let summary = state["status"]["errorSummary"].as_str().unwrap_or_default();
            state["metadata"]["name"] == "speaker-n1" && summary.contains(problem)
        };
        kube.group.agents[0].log().contains(problem) && states(&cluster.plane).iter().any(is_told)
    })?;
    thread::sleep(Duration::from_secs(1));
    cluster.plane.stand_in()?.forget_requests();
    thread::sleep(Duration::from_secs(3));
    let written = cluster.plane.stand_in()?.requests_where(|record| record.is_write());
    assert!(written.is_empty(), "{written:#?}\n{}", kube.group.logs());
    Ok(())
}
