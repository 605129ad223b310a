//! `lb-agent explain` says who answers for a VIP, and why, as the wire has it.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;
use xtask::testbed::{Agent, AgentOptions, Hosts, mac_text};

use crate::{Bed, VIP, VIP_ADDRESS, short_lease};

/// Waits until the explanation of a VIP has these words, each in a line of its own.
pub(crate) fn wait_explained(agent: &Agent<'_>, vip: &str, words: &[&str]) -> anyhow::Result<()> {
    let has_all = |text: &str| words.iter().all(|words| text.lines().any(|line| line.contains(words)));
    let result =
        agent.wait_for("the explanation", |agent| agent.explain(vip).is_ok_and(|text| has_all(&text)));
    result.map_err(|error| error.context(format!("{words:?} in {:?}", agent.explain(vip))))
}

#[test]
fn a_vip_that_is_held_is_explained_by_its_line_its_program_and_its_answers() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    bed.assert_answered()?;
    let text = agent.explain(VIP)?;
    for words in [
        "lb.yaml:3 names it in `vips`",
        "+ interface       it is up, with carrier",
        "(program ",
        "+ state           this node holds it",
        "nobody else answered for it",
        &format!("announce: requests are answered with {}", mac_text(bed.node.mac)),
        "answers: yes, because this node holds it",
    ] {
        assert!(text.contains(words), "{words:?} is missing:\n{text}");
    }
    let last = text.lines().find(|line| line.contains("last answer")).unwrap_or_default();
    assert!(last.contains(" ms ago (") && !last.contains(" 0 answers"), "{last}");
    let json = agent.command("explain").args([VIP, "-o", "json"]).output()?;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    let on_eth0 = &json["explained"][0]["interfaces"][0];
    assert_eq!(
        (&on_eth0["interface"], &on_eth0["verdict"]["answers"]),
        (&"eth0".into(), &true.into()),
        "{json:#}"
    );
    let all = agent.succeed("explain")?;
    let columns: Vec<&str> = all.split_whitespace().take(3).collect();
    assert_eq!(columns, [VIP, "eth0", "yes,"], "{all}");
    Ok(())
}

#[test]
fn a_vip_of_another_node_is_explained_by_its_holder() -> anyhow::Result<()> {
    let hosts = Hosts::new(2)?;
    let group = hosts.start(&[VIP_ADDRESS], "never", &AgentOptions::default())?;
    let agents = &group.agents;
    let is_held = |agent: &Agent<'_>| agent.role(VIP).is_ok_and(|role| role == "announce");
    let (holder, other) =
        if is_held(&agents[0]) { (&agents[0], &agents[1]) } else { (&agents[1], &agents[0]) };
    let name = &holder.host().name;
    wait_explained(other, VIP, &[&format!("{name}: up"), &format!("no, because {name} ")])?;
    wait_explained(holder, VIP, &["answers: yes, because this node holds it"])
}

#[test]
fn a_stranger_is_named_that_has_the_vip() -> anyhow::Result<()> {
    let mut bed = Bed::new()?;
    let stranger = bed.segment.host("stranger")?;
    stranger.netns.ip(&format!("address add {VIP} dev eth0"))?;
    let mut agent = Agent::prepare(&bed.node, &bed.config(), AgentOptions::default())?;
    agent.spawn()?;
    bed.wait_role(&agent, "contested")?;
    let answers = format!("answers: no, because {} answers for it", mac_text(stranger.mac));
    wait_explained(&agent, VIP, &["contested: left to", &answers])
}

#[test]
fn a_drain_a_cut_port_and_an_interface_that_is_down_are_named() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    agent.succeed("drain")?;
    wait_explained(&agent, VIP, &["- drained", "answers: no, because the node is drained"])?;
    agent.succeed("undrain")?;
    wait_explained(&agent, VIP, &["answers: yes"])?;
    bed.node.netns.ip("link set eth0 down")?;
    let down = ["- interface       it is down", "answers: no, because the interface is down"];
    wait_explained(&agent, VIP, &down)?;
    bed.node.netns.ip("link set eth0 up")?;
    wait_explained(&agent, VIP, &["answers: yes"])
}

#[test]
fn who_cannot_be_asked_and_what_cannot_be_explained_is_told_with_a_remedy() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = bed.agent_with(short_lease())?;
    let refused = |agent: &Agent<'_>, about: &str| -> anyhow::Result<String> {
        let output = agent.command("explain").arg(about).output()?;
        assert!(!output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let told = refused(&agent, "10.9.9.9")?;
    assert!(told.contains("10.9.9.9 is no VIP: ") && told.contains("without an address"), "{told}");
    let told = refused(&agent, "default/web")?;
    assert!(told.contains("`default/web` is no address; the VIPs come from "), "{told}");
    agent.signal(Signal::SIGSTOP)?;
    let told = refused(&agent, VIP)?;
    assert!(told.contains("does not answer") && told.contains("it may hang"), "{told}");
    agent.signal(Signal::SIGCONT)?;
    wait_explained(&agent, VIP, &["answers: yes"])?;
    agent.end(Signal::SIGTERM)?;
    let told = refused(&agent, VIP)?;
    assert!(told.contains("no agent listens at ") && told.contains("lb-agent status"), "{told}");
    Ok(())
}

#[test]
fn after_a_lapsed_lease_the_vip_is_explained_as_taken_anew() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent_with(short_lease())?;
    agent.signal(Signal::SIGSTOP)?;
    thread::sleep(Duration::from_secs(4));
    agent.signal(Signal::SIGCONT)?;
    agent.wait_for("the lapse told", |agent| agent.log().contains("the lease has lapsed"))?;
    let taken = "last taken      nobody else answered for it";
    wait_explained(
        &agent,
        VIP,
        &[taken, "+ lease           it ends in ", "answers: yes, because this node holds it"],
    )
}

#[test]
fn the_node_is_called_as_the_command_line_or_the_environment_says() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let by_argument =
        AgentOptions { arguments: vec!["--node".into(), "by-argument".into()], ..AgentOptions::default() };
    let by_environment =
        AgentOptions { environment: vec![("LB_NODE", "by-environment".into())], ..AgentOptions::default() };
    for (options, name) in [(by_argument, "by-argument"), (by_environment, "by-environment")] {
        let mut agent = Agent::prepare(&bed.node, "", options)?;
        agent.write_whole_config(&format!("interfaces: [eth0]\n{}\n", bed.config()))?;
        agent.spawn()?;
        wait_explained(
            &agent,
            VIP,
            &[&format!("{VIP}, as node {name} sees it"), &format!("{name}: this node")],
        )?;
        agent.end(Signal::SIGTERM)?;
        agent.write_config(&bed.config())?;
        agent.spawn()?;
        assert!(!agent.wait_end()?, "it goes by two names:\n{}", agent.log());
        let contradiction =
            format!("`node` is node, but --node or LB_NODE says {name}; take one of the two out");
        assert!(agent.log().contains(&contradiction), "{}", agent.log());
    }
    Ok(())
}
