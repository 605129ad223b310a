//! Interfaces that change under the agent.

use std::{thread, time::Duration};

use xtask::testbed::{mac_text, witness, witness::Tcpdump};

use crate::{Bed, VIP, VIP_ADDRESS};

#[test]
fn another_link_layer_address_is_announced_at_once() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let tcpdump = Tcpdump::start(&bed.client, "arp")?;
    let new = "02:00:00:4d:00:99";
    bed.node.netns.ip(&format!("link set eth0 address {new}"))?;
    agent.wait_for("the address in the map", |agent| agent.vip(VIP).is_ok_and(|vip| vip["mac"] == new))?;
    let answers = witness::arping(&bed.client, VIP, 1)?.answers;
    assert!(!answers.is_empty() && answers.iter().all(|mac| mac == new), "{answers:?}");
    let lines = tcpdump.finish()?;
    let announcement = format!("Request who-has {VIP} tell {VIP}");
    assert!(
        lines.iter().any(|line| line.contains(new) && line.contains(&announcement)),
        "{}",
        lines.join("\n")
    );
    Ok(())
}

#[test]
fn without_carrier_nothing_is_announced_and_with_it_the_vip_is_asked_for() -> anyhow::Result<()> {
    let mut bed = Bed::new()?;
    let other = bed.segment.host("other")?;
    let agent = bed.agent()?;
    bed.segment.set_port(&bed.node, false)?;
    agent.wait_role(VIP, "suppress")?;
    other.netns.ip(&format!("address add {VIP}/32 dev eth0"))?;
    bed.segment.set_port(&bed.node, true)?;
    agent.wait_role(VIP, "contested")?;
    let answers = bed.answers(VIP_ADDRESS)?;
    assert!(answers.iter().all(|mac| *mac == mac_text(other.mac)), "{answers:?}");
    Ok(())
}

#[test]
fn an_interface_that_is_made_anew_is_taken_over() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    bed.segment.replug(&bed.node)?;
    agent.wait_for("the new interface", |agent| agent.log().matches("program attached").count() == 2)?;
    agent.wait_role(VIP, "announce")?;
    bed.assert_answered()?;
    let status = agent.status()?;
    assert_eq!(status["hooks"].as_array().map(Vec::len), Some(1), "{status:#}");
    assert_eq!(status["vips"].as_array().map(Vec::len), Some(1), "{status:#}");
    Ok(())
}

#[test]
fn the_egress_program_is_there_only_while_a_vip_is_a_local_address() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let hooks = || -> anyhow::Result<usize> { Ok(agent.status()?["hooks"].as_array().map_or(0, Vec::len)) };
    assert_eq!(hooks()?, 1);
    bed.node.netns.ip(&format!("address add {VIP}/32 dev lo"))?;
    agent.wait_for("the egress program", |_| hooks().is_ok_and(|hooks| hooks == 2))?;
    bed.node.netns.ip(&format!("address delete {VIP}/32 dev lo"))?;
    agent.wait_for("the egress program gone", |_| hooks().is_ok_and(|hooks| hooks == 1))?;
    thread::sleep(Duration::from_millis(100));
    bed.assert_answered()
}

#[test]
fn a_flap_of_the_interface_ends_with_an_answer() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    for _ in 0..3 {
        bed.node.netns.ip("link set eth0 down")?;
        bed.node.netns.ip("link set eth0 up")?;
    }
    agent.wait_role(VIP, "announce")?;
    bed.assert_answered()
}
