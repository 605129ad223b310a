//! Objects that got past admission and make no sense: the last valid ones stand, and the rest works.

use std::{net::Ipv4Addr, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::testbed::{KubeGroup, LoadBalancer, Probers, SYSTEM, Unit, api::At, mac_text, witness};

use super::{
    Cluster, FAILOVER, PLANNED, VIEWS_DIFFER, assert_answered, assert_answered_by_holder,
    assert_falls_silent, assert_seamless, assert_silent, last, on_each_api, probe,
};
use crate::INTERVAL;

on_each_api! {
    for IPv4 {
        of_an_invalid_pool_and_an_invalid_advertisement_the_last_valid_ones_stand
        an_invalid_object_beside_a_valid_one_counts_for_nothing
        garbage_in_the_status_of_a_service_harms_nobody
        a_node_without_addresses_harms_nobody
        a_selector_that_matches_nothing_silences_its_own_advertisement_alone
        annotations_that_make_no_sense_harm_nobody
    }
}

/// Its ends are the wrong way round.
const REVERSED: &str = "10.77.1.20-10.77.1.10";

/// Whether the newest version of something cannot be used.
const CONFIG_STALE: &str = "metallb_k8s_client_config_stale_bool";

/// Waits until each agent says this of it.
fn wait_config_stale(kube: &KubeGroup<'_>, expected: f64) -> anyhow::Result<()> {
    let says_so = |node| kube.metric(node, CONFIG_STALE).is_ok_and(|value| value == Some(expected));
    kube.wait_for(&format!("{CONFIG_STALE} {expected}"), |_| (0..3).all(says_so))
}

/// What the warnings about Services say, each with its Service and its reason, sorted.
fn warnings(cluster: &Cluster) -> Vec<[String; 3]> {
    let events = cluster.plane.client().list("events.k8s.io/v1", "Event", "default").unwrap_or_default();
    let is_ours = |event: &&Value| event["type"] == "Warning" && event["regarding"]["kind"] == "Service";
    let warnings = events.iter().filter(is_ours);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut warnings: Vec<_> = warnings
        .map(|event| [&event["regarding"]["name"], &event["reason"], &event["note"]].map(text))
        .collect();
    warnings.sort();
    warnings
}

/// Waits until there are these warnings, each an `announceFailed`, and no other.
fn wait_failures(kube: &KubeGroup<'_>, cluster: &Cluster, expected: &[[&str; 2]]) -> anyhow::Result<()> {
    let expected: Vec<[String; 3]> = expected
        .iter()
        .map(|[service, note]| [service, "announceFailed", note].map(ToOwned::to_owned))
        .collect();
    let waited = kube.wait_for("the events announceFailed", |_| warnings(cluster) == expected);
    waited.map_err(|error| error.context(format!("{:#?}", warnings(cluster))))
}

/// Waits until each agent's ConfigurationState says this of whether all advertisements do something.
fn wait_effective(kube: &KubeGroup<'_>, cluster: &Cluster, expected: &[&str]) -> anyhow::Result<()> {
    let status = if expected.is_empty() { "True" } else { "False" };
    let says_so = |state: &&Value| {
        let mut conditions = state["status"]["conditions"].as_array().into_iter().flatten();
        let condition = conditions.find(|condition| condition["type"] == "AdvertisementsEffective");
        condition.is_some_and(|condition| {
            condition["status"] == status && condition["message"] == expected.join("; ")
        })
    };
    kube.wait_for(&format!("AdvertisementsEffective {status}: {expected:?}"), |_| {
        let states = cluster.plane.client().list("metallb.io/v1beta1", "ConfigurationState", SYSTEM);
        states.is_ok_and(|states| states.iter().filter(says_so).count() == 3)
    })
}

/// The spec of an advertisement whose operator there is not.
fn without_operator() -> Value {
    let expression = json!({"key": "kubernetes.io/hostname", "operator": "Is", "values": ["n1"]});
    json!({"nodeSelectors": [{"matchExpressions": [expression]}]})
}

fn of_an_invalid_pool_and_an_invalid_advertisement_the_last_valid_ones_stand(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let mut kube = cluster.start()?;
    let (unit, web) = cluster.web();
    let [with_bad_pool, with_both_bad] = [11, 12].map(|number| cluster.vip(number));
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    wait_config_stale(&kube, 0.0)?;
    cluster.plane.set_pool(&[REVERSED])?;
    wait_config_stale(&kube, 1.0)?;
    cluster.plane.set_service(&LoadBalancer::new("bad-pool", with_bad_pool))?;
    assert_answered_by_holder(&kube, with_bad_pool)?;
    cluster.plane.set_advertisement(&without_operator())?;
    cluster.plane.set_service(&LoadBalancer::new("both-bad", with_both_bad))?;
    assert_answered_by_holder(&kube, with_both_bad)?;
    // An agent that starts now sees the invalid ones alone, and has the valid ones from what it kept.
    cluster.wait_kept(&kube, with_both_bad)?;
    kube.group.agents[holder].end(Signal::SIGTERM)?;
    kube.group.agents[holder].spawn()?;
    kube.wait_ready(holder)?;
    kube.group.wait_held_by(unit, holder)?;
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    wait_config_stale(&kube, 1.0)?;
    assert_eq!(warnings(cluster), Vec::<[String; 3]>::new(), "the Services are well");
    // Mended, they are followed again.
    cluster.plane.set_advertisement(&json!({}))?;
    cluster.plane.set_pool(&["10.77.1.11/32"])?;
    wait_config_stale(&kube, 0.0)?;
    assert_falls_silent(&kube, unit)?;
    assert_answered_by_holder(&kube, with_bad_pool)?;
    assert_falls_silent(&kube, with_both_bad)
}

fn an_invalid_object_beside_a_valid_one_counts_for_nothing(cluster: &Cluster) -> anyhow::Result<()> {
    let (unit, web) = cluster.web();
    let [of_bad_pool, of_bad_advertisement] = [3, 4].map(|net| Unit::from(Ipv4Addr::new(10, 77, net, 10)));
    // Half of it could be used: it is not.
    cluster.plane.add_pool("bad", &["10.77.3.0/24", REVERSED])?;
    cluster.plane.add_pool("good", &["10.77.4.0/24"])?;
    // Addresses that a pool has already: they stay with the first by name.
    cluster.plane.add_pool("overlapping", &["10.77.1.0/28"])?;
    let mut bad = without_operator();
    bad["ipAddressPools"] = json!(["good"]);
    cluster.plane.add_advertisement("bad", &bad)?;
    cluster.plane.set_advertisement(&json!({"ipAddressPools": ["all", "bad"]}))?;
    cluster.plane.set_service(&LoadBalancer::new("pool", of_bad_pool))?;
    cluster.plane.set_service(&LoadBalancer::new("advertisement", of_bad_advertisement))?;
    cluster.plane.set_service(&web)?;
    let kube = cluster.start()?;
    assert_answered_by_holder(&kube, unit)?;
    assert_silent(&kube, of_bad_pool)?;
    assert_silent(&kube, of_bad_advertisement)?;
    // Others do what they should have done.
    cluster.plane.add_pool("valid", &["10.77.3.0/24"])?;
    cluster.plane.set_advertisement(&json!({}))?;
    assert_answered_by_holder(&kube, of_bad_pool)?;
    assert_answered_by_holder(&kube, of_bad_advertisement)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn garbage_in_the_status_of_a_service_harms_nobody(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let [good, rest, empty] = [10, 11, 12].map(|number| cluster.vip(number));
    let node = &cluster.hosts.nodes[0];
    cluster.plane.add_pool("nodes", &["10.77.0.0/24"])?;
    let garbage =
        [json!({"hostname": "lb.example.com"}), json!({"ip": "127.0.0.1"}), json!({"ip": "224.0.0.1"})];
    cluster.plane.set_service(&LoadBalancer::new("partly", rest).with_garbage(&garbage))?;
    cluster.plane.set_service(&LoadBalancer::new("node", Unit::from(node.address)))?;
    let hopeless = LoadBalancer::new("hopeless", empty);
    cluster.plane.set_service(&hopeless.without_addresses().with_garbage(&garbage))?;
    cluster.plane.set_service(&LoadBalancer::new("good", good))?;
    assert_answered_by_holder(&kube, good)?;
    assert_answered_by_holder(&kube, rest)?;
    assert_silent(&kube, empty)?;
    // A node's own address is the node's own, whatever a Service says.
    let answers = witness::stations(&cluster.hosts.client, node.address.into())?;
    assert_eq!(answers, [mac_text(node.mac)], "\n{}", kube.group.logs());
    assert_eq!(kube.group.holders(node.address), [0; 0]);
    let [name, loopback, multicast] = [
        "status.loadBalancer.ingress: the host name \"lb.example.com\" cannot be announced",
        "status.loadBalancer.ingress: 127.0.0.1 cannot be announced: it is a loopback address",
        "status.loadBalancer.ingress: 224.0.0.1 cannot be announced: it is a multicast address",
    ];
    let told = [
        ["hopeless", loopback],
        ["hopeless", multicast],
        ["hopeless", name],
        ["node", "10.77.0.1 is Node n1's own address"],
        ["partly", loopback],
        ["partly", multicast],
        ["partly", name],
    ];
    wait_failures(&kube, cluster, &told)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn a_node_without_addresses_harms_nobody(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let units: Vec<Unit> = (10..16).map(|number| cluster.vip(number)).collect();
    for (number, &unit) in units.iter().enumerate() {
        cluster.plane.set_service(&LoadBalancer::new(&format!("web{number}"), unit))?;
    }
    let holders =
        units.iter().map(|&unit| kube.group.wait_holder(unit)).collect::<anyhow::Result<Vec<_>>>()?;
    let nowhere = holders[0];
    let report = probe(&kube, units[0], Duration::from_secs(4), || cluster.plane.forget_addresses(nowhere))?;
    assert_answered(&report, PLANNED, VIEWS_DIFFER, &kube);
    units.iter().try_for_each(|&unit| assert_answered_by_holder(&kube, unit).map(drop))?;
    // Failover goes on.
    let holder = last(&report, &kube)?;
    let report = probe(&kube, units[0], Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)
    })?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    assert_ne!(last(&report, &kube)?, holder, "\n{}", kube.group.logs());
    for (vip, answers) in
        witness::stations_of_all(&cluster.hosts.client, units.iter().flat_map(|unit| unit.addresses()))?
    {
        assert_eq!(answers.len(), 1, "{vip} is answered by {answers:?}\n{}", kube.group.logs());
    }
    Ok(())
}

fn a_selector_that_matches_nothing_silences_its_own_advertisement_alone(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    let other: Unit = Ipv4Addr::new(10, 77, 3, 10).into();
    cluster.plane.add_pool("other", &["10.77.3.0/24"])?;
    cluster.plane.add_advertisement("other", &json!({"ipAddressPools": ["other"]}))?;
    cluster.plane.set_service(&web)?;
    cluster.plane.set_service(&LoadBalancer::new("other", other))?;
    assert_answered_by_holder(&kube, unit)?;
    let holder = assert_answered_by_holder(&kube, other)?;
    let none = [json!({"matchLabels": {"rack": "none"}})];
    let no_node = "L2Advertisement all: selects no Node: look at nodeSelectors and the Nodes' labels";
    let no_pool = "L2Advertisement all: selects no IPAddressPool: look at ipAddressPools, ipAddressPoolSelectors and the pools' labels";
    let no_service = "L2Advertisement all: selects no Service that has an address of its pools: look at serviceSelectors and the \
                      Services' labels";
    let fields =
        [("nodeSelectors", no_node), ("ipAddressPoolSelectors", no_pool), ("serviceSelectors", no_service)];
    for (field, told) in fields {
        cluster.plane.set_advertisement(&json!({field: none}))?;
        assert_falls_silent(&kube, unit)?;
        wait_effective(&kube, cluster, &[told])?;
        assert_eq!(assert_answered_by_holder(&kube, other)?, holder);
        cluster.plane.set_advertisement(&json!({}))?;
        assert_answered_by_holder(&kube, unit)?;
        wait_effective(&kube, cluster, &[])?;
    }
    Ok(())
}

fn annotations_that_make_no_sense_harm_nobody(cluster: &Cluster) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let name = format!("speaker-n{}", holder + 1);
    let of_agent =
        At { api_version: "metallb.io/v1beta1", kind: "ConfigurationState", namespace: SYSTEM, name: &name };
    let told = || -> Option<String> {
        let states = cluster.plane.client().list("metallb.io/v1beta1", "ConfigurationState", SYSTEM).ok()?;
        let state = states.into_iter().find(|state| state["metadata"]["name"] == *name)?;
        Some(state["metadata"]["annotations"]["lb.metallb.io/addresses"].as_str()?.to_owned())
    };
    let own = cluster.hosts.nodes[holder].address.to_string();
    kube.wait_for("its addresses", |_| told().is_some_and(|told| told.contains(&own)))?;
    let before = told();
    let probers = Probers::start(&cluster.hosts.client, unit.addresses(), INTERVAL)?;
    // Of a Service an agent reads none: they are for whoever hands out addresses.
    let of_service = At { api_version: "v1", kind: "Service", namespace: "default", name: "web" };
    let annotations =
        json!({"metallb.io/loadBalancerIPs": "10.77.1.300", "metallb.io/address-pool": "no such pool"});
    cluster.plane.client().patch(of_service, &json!({"metadata": {"annotations": annotations}}))?;
    for garbage in ["", "10.77.0.300, eth0", ",,;"] {
        let annotations = json!({"lb.metallb.io/addresses": garbage, "lb.metallb.io/machines": garbage});
        cluster.plane.client().patch(of_agent, &json!({"metadata": {"annotations": annotations}}))?;
        kube.wait_for("the agent's own word again", |_| told() == before)?;
    }
    let report = probers.finish()?;
    assert_seamless(&report, &kube);
    assert_eq!(last(&report, &kube)?, holder);
    assert_eq!(warnings(cluster), Vec::<[String; 3]>::new());
    cluster.plane.assert_nothing_refused();
    Ok(())
}
