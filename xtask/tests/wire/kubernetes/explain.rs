//! `lb-agent explain` where the VIPs come from a cluster: by Service and by VIP, whether anybody answers or not.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use serde_json::json;
use xtask::testbed::{Agent, LoadBalancer, api::Reach};

use super::{Cluster, on_each_api};
use crate::explain::wait_explained;

on_each_api! {
    for IPv4 {
        a_service_is_explained_from_its_pool_to_the_wire_and_by_what_keeps_it_from_being_answered
        what_no_node_answers_for_is_listed_and_what_there_is_not_is_told_with_a_near_name
        a_view_without_word_and_one_from_disk_are_told
    }
}

/// Keeps a node from announcing.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

fn refused(agent: &Agent<'_>, about: &str) -> anyhow::Result<String> {
    let output = agent.command("explain").arg(about).output()?;
    assert!(!output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

fn a_service_is_explained_from_its_pool_to_the_wire_and_by_what_keeps_it_from_being_answered(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let agent = &kube.group.agents[holder];
    let node = &agent.host().name;
    let chain = [
        "10.77.1.10, as node ",
        "+ Service         default/web, of no class",
        "+ address         IPAddressPool all has 10.77.1.10, by 10.77.1.0-10.77.1.255",
        "+ advertisement   all selects all, the Service and this node",
        "+ endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer",
        "+ candidates      ",
        "on eth0",
        "+ state           this node holds it",
        "answers: yes, because this node holds it",
    ];
    for about in ["default/web", "web", "10.77.1.10"] {
        wait_explained(agent, about, &chain)?;
    }
    let list = agent.succeed("explain")?;
    let columns: Vec<&str> = list.split_whitespace().take(4).collect();
    assert_eq!(columns, ["10.77.1.10", "eth0", "default/web", "yes,"], "{list}");
    let json = agent.command("explain").args(["web", "-o", "json"]).output()?;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    let told = &json["explained"][0];
    assert_eq!((&told["vip"], &told["nobody"]), (&json!("10.77.1.10"), &json!(null)), "{json:#}");
    assert_eq!(told["interfaces"][0]["verdict"]["answers"], json!(true), "{json:#}");
    let why = format!("{node}: excluded by the label {EXCLUDED}");
    cluster.plane.label_node(holder, EXCLUDED, Some(""))?;
    let told = format!("this node is no candidate for it: excluded by the label {EXCLUDED}");
    wait_explained(agent, "web", &["- no candidate    ", &why, &told])?;
    cluster.plane.label_node(holder, EXCLUDED, None)?;
    cluster.plane.set_service(&web.clone().unready())?;
    let none = "answers: no node, because it has no endpoint that is ready or serving";
    wait_explained(
        agent,
        "web",
        &["- endpoints       none is ready or serving", none, "- map             suppress"],
    )?;
    cluster.plane.set_service(&web)?;
    cluster.plane.set_advertisement(&json!({"ipAddressPools": ["another"]}))?;
    let none = "answers: no node, because no L2Advertisement selects both IPAddressPool all and the Service";
    let why = "- advertisement   all does not select IPAddressPool all: its ipAddressPools are another";
    wait_explained(agent, "web", &[why, none])?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}

fn what_no_node_answers_for_is_listed_and_what_there_is_not_is_told_with_a_near_name(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    let foreign = std::net::IpAddr::from([10, 77, 2, 10]);
    cluster.plane.set_service(&LoadBalancer::new("foreign", foreign))?;
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    let agent = &kube.group.agents[0];
    wait_explained(agent, "foreign", &["answers: no node, because no IPAddressPool has 10.77.2.10"])?;
    let list = agent.succeed("explain")?;
    let line = list.lines().find(|line| line.starts_with("10.77.2.10 ")).unwrap_or_default();
    assert!(
        line.ends_with("default/foreign                no, because no IPAddressPool has 10.77.2.10"),
        "{list}"
    );
    assert!(refused(agent, "default/wbe")?.contains("; did you mean default/web?"));
    let told = refused(agent, "10.77.1.99")?;
    assert!(told.contains("10.77.1.99 is no VIP: IPAddressPool all has it, but no Service "), "{told}");
    Ok(())
}

fn a_view_without_word_and_one_from_disk_are_told(cluster: &Cluster) -> anyhow::Result<()> {
    let mut kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    cluster.wait_kept(&kube, unit)?;
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    thread::sleep(Duration::from_secs(10));
    let stale = "view            stale: no word has come from the Kubernetes API for 1";
    wait_explained(&kube.group.agents[0], "web", &[stale, "+ candidates"])?;
    kube.group.agents[0].end(Signal::SIGTERM)?;
    kube.group.agents[0].spawn()?;
    let from_disk = "view            from disk, where an earlier agent left it: no word has come";
    wait_explained(&kube.group.agents[0], "web", &[from_disk, "+ candidates"])?;
    let status = kube.group.agents[0].succeed("status")?;
    assert!(status.contains("\nsource   kubernetes, view from disk\n"), "{status}");
    cluster.plane.set_reach_of_all(Reach::Open)?;
    let is_fresh = |agent: &Agent<'_>| agent.explain("web").is_ok_and(|text| !text.contains("  view "));
    kube.group.agents[0].wait_for("a fresh view", is_fresh)?;
    let status = kube.group.agents[0].succeed("status")?;
    assert!(status.contains("\nsource   kubernetes, view up to date\n"), "{status}");
    // Of an agent that has ended nothing is told.
    kube.group.agents[0].end(Signal::SIGTERM)?;
    assert_eq!(kube.group.agents[0].status()?["source"], json!(null));
    Ok(())
}
