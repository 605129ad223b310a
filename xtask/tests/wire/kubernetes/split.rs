//! Two nodes that hold a VIP at once and do not hear each other: a third one that hears both says so.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use xtask::testbed::{between, mac_text, witness};

use super::{Cluster, on_each_api};
use crate::{VIP_ADDRESS, explain::wait_explained};

on_each_api! {
    for IPv4 {
        two_holders_that_do_not_hear_each_other_are_told_by_a_third_and_only_once
    }
}

/// The spec of an advertisement by which the nodes come in the order of their numbers.
fn in_order() -> Value {
    let preference = |weight: u8, node: &str| json!({"weight": weight, "preference": {"matchLabels": {"kubernetes.io/hostname": node}}});
    json!({"preferredNodeSelectors": [preference(90, "n1"), preference(50, "n2")]})
}

fn two_holders_that_do_not_hear_each_other_are_told_by_a_third_and_only_once(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let kube = cluster.start()?;
    let (unit, web) = cluster.web();
    cluster.plane.set_advertisement(&in_order())?;
    cluster.plane.set_service(&web)?;
    kube.group.wait_held_by(unit, 0)?;
    let [one, other, third] = [0, 1, 2].map(|number| &cluster.hosts.nodes[number]);
    cluster.hosts.segment.block(&between(&[one], &[other]))?;
    kube.wait_for("two holders", |kube| kube.group.holders(unit) == [0, 1])?;
    let splits = || -> Vec<String> {
        let events = cluster.plane.events("default").unwrap_or_default();
        events.into_iter().filter(|(reason, _)| reason == "SplitSegment").map(|(_, note)| note).collect()
    };
    let note = "n1 and n2 hold 10.77.1.10 on eth0 and do not hear each other; look at the switches and cables between them";
    kube.wait_for("the event SplitSegment", |_| splits() == [note])?;
    let teller = &kube.group.agents[2];
    assert_eq!(teller.host().name, third.name);
    let told = "answered by n1 and by n2: do they hear each other?";
    assert!(teller.log().contains(told), "{}", kube.group.logs());
    wait_explained(
        teller,
        "web",
        &["split           n1 and n2 have both answered: do they hear each other?"],
    )?;
    // It is so: nobody gives way, and nothing more is said of it.
    thread::sleep(Duration::from_secs(5));
    let stations = witness::stations(&cluster.hosts.client, VIP_ADDRESS.into())?;
    assert_eq!(stations, [one, other].map(|node| mac_text(node.mac)), "\n{}", kube.group.logs());
    assert_eq!(splits(), [note]);
    assert_eq!(teller.log().matches(told).count(), 1, "{}", teller.log());
    // Whole again, the segment has one holder.
    cluster.hosts.segment.block(&[])?;
    kube.group.wait_held_by(unit, 0)?;
    assert_eq!(splits(), [note]);
    cluster.plane.assert_nothing_refused();
    Ok(())
}
