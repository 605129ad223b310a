//! Which interfaces carry VIPs where none is named, and where an advertisement names some.

use serde_json::json;
use xtask::testbed::Agent;

use super::{Cluster, on_each_api};
use crate::explain::wait_explained;

on_each_api! {
    for IPv4 {
        interfaces_are_discovered_and_an_advertisement_adds_those_that_it_names
    }
}

/// What an agent says about the VIP on one interface; nothing where that carries none.
fn on<'a>(text: &'a str, interface: &str) -> &'a str {
    text.split("\n\n").find(|part| part.starts_with(&format!("on {interface}\n"))).unwrap_or_default()
}

fn interfaces_are_discovered_and_an_advertisement_adds_those_that_it_names(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    let agent: &Agent<'_> = &kube.group.agents[0];
    let netns = &agent.host().netns;
    // As a container runtime leaves them: a pod's end by name, and a port of a bridge.
    netns.ip("link add vethpod type veth peer name port0")?;
    netns.ip("link add br1 type bridge stp_state 0 forward_delay 0")?;
    netns.ip("link set port0 master br1 up")?;
    netns.ip("link set br1 up")?;
    netns.ip("link set vethpod up")?;
    netns.ip("address add 10.88.0.1/24 dev br1")?;
    agent.write_whole_config("failback: after 2s\n")?;
    wait_explained(agent, "web", &["on eth0", "on br1"])?;
    let text = agent.explain("web")?;
    assert_eq!((on(&text, "vethpod"), on(&text, "port0")), ("", ""), "{text}");
    cluster.plane.set_advertisement(&json!({"interfaces": ["vethpod"]}))?;
    wait_explained(agent, "web", &["all selects all, the Service and this node, on vethpod", "on vethpod"])?;
    agent.wait_for("the VIP elsewhere only", |agent| {
        let text = agent.explain("web").unwrap_or_default();
        let is_elsewhere = |interface| {
            let words = on(&text, interface);
            words.contains("- interface       the VIP is to be announced on other interfaces only")
                && words.contains("- map             suppress: ")
        };
        is_elsewhere("eth0") && is_elsewhere("br1") && on(&text, "vethpod").contains("+ interface ")
    })?;
    // The file has the last word.
    agent.write_whole_config("interfaces: [eth0]\n")?;
    agent.wait_for("the interface of the file alone", |agent| {
        agent
            .explain("web")
            .is_ok_and(|text| !on(&text, "eth0").is_empty() && on(&text, "vethpod").is_empty())
    })?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}
