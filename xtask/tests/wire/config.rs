//! The configuration file, right and wrong, at the start and while the agent runs.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use xtask::testbed::{Agent, AgentOptions};

use crate::{Bed, VIP};

/// An agent that is started with this file ends with these words.
fn assert_refused(agent: &mut Agent<'_>, config: &str, words: &[&str]) -> anyhow::Result<()> {
    agent.write_whole_config(config)?;
    agent.spawn()?;
    assert!(!agent.wait_end()?, "{config:?} was taken");
    let log = agent.log();
    for word in words {
        assert!(log.contains(word), "{word:?} is missing after {config:?}:\n{log}");
    }
    Ok(())
}

#[test]
fn a_wrong_file_is_refused_at_the_start_with_file_line_and_remedy() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = Agent::prepare(&bed.node, "vips: []", AgentOptions::default())?;
    let own = bed.node.address;
    let cases: [(&str, &[&str]); 7] = [
        ("vips: []\nsupress: []\n", &["lb.yaml:2: unknown key `supress`; write `suppress`"]),
        ("vips:\n - 10.77.1.300\n", &["lb.yaml:2: `10.77.1.300`", "write an address"]),
        (
            "vips: [10.77.1.9-10.77.1.1]\n",
            &["lb.yaml:1:", "the range is reversed; write `10.77.1.1-10.77.1.9`"],
        ),
        (
            "vips: [10.77.1.1, 10.77.1.1]\n",
            &["lb.yaml:1: 10.77.1.1 in `vips` is there already", "name each VIP once"],
        ),
        (
            &format!("interfaces: [eth0]\nvips: [{own}]\n"),
            &["lb.yaml:2:", "is the address of this node on eth0"],
        ),
        ("", &["lb.yaml: the file is empty; write `vips: [...]`"]),
        ("\u{1}", &["lb.yaml"]),
    ];
    for (config, words) in cases {
        assert_refused(&mut agent, config, words)?;
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_the_remedy() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = Agent::prepare(&bed.node, "vips: []", AgentOptions::default())?;
    fs::remove_file(agent.config_path())?;
    agent.spawn()?;
    assert!(!agent.wait_end()?);
    assert!(agent.log().contains("create it, or name another one with --config"), "{}", agent.log());
    fs::create_dir(agent.config_path())?;
    agent.spawn()?;
    assert!(!agent.wait_end()?);
    assert!(agent.log().contains("name a file in it with --config"), "{}", agent.log());
    Ok(())
}

#[test]
fn a_wrong_change_leaves_the_last_valid_configuration_and_shows_in_the_status() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let file = agent.config_path();
    let source = agent.status()?["source"].clone();
    assert_eq!(
        (&source["kind"], &source["path"]),
        (&"file".into(), &file.to_string_lossy().into()),
        "{source}"
    );
    agent.write_config("vips: [10.77.1.300]")?;
    agent.wait_for("the staleness", |agent| {
        agent
            .status()
            .is_ok_and(|status| status["config_stale"].as_str().is_some_and(|why| why.contains("lb.yaml:3")))
    })?;
    bed.assert_answered()?;
    fs::remove_file(agent.config_path())?;
    agent.wait_for("the missing file", |agent| {
        agent
            .status()
            .is_ok_and(|status| status["config_stale"].as_str().is_some_and(|why| why.contains("create it")))
    })?;
    bed.assert_answered()?;
    agent.write_config(&format!("vips: [{VIP}]\nsuppress: [10.77.3.1]"))?;
    agent.wait_role("10.77.3.1", "suppress")?;
    assert_eq!(agent.status()?["config_stale"], serde_json::Value::Null);
    assert_eq!(agent.log().matches("VIP announced here").count(), 1, "{}", agent.log());
    bed.assert_answered()
}

#[test]
fn a_change_of_permissions_alone_changes_nothing() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    fs::set_permissions(agent.config_path(), fs::Permissions::from_mode(0o000))?;
    thread::sleep(Duration::from_millis(300));
    bed.assert_answered()?;
    assert_eq!(
        agent.status()?["config_stale"],
        serde_json::Value::Null,
        "root may read it: nothing has changed"
    );
    Ok(())
}

#[test]
fn a_missing_interface_is_told_with_its_line_and_used_when_it_appears() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = Agent::prepare(&bed.node, "vips: []", AgentOptions::default())?;
    agent.write_whole_config(&format!("node: node\ninterfaces: [eth7]\nvips: [{VIP}]\n"))?;
    agent.spawn()?;
    agent.wait_for("the interface missed", |agent| {
        agent.log().contains("lb.yaml:2: there is no Ethernet interface eth7")
    })?;
    bed.node.netns.ip("link add eth7 type veth peer name eth7p")?;
    bed.node.netns.ip("link set eth7p up")?;
    bed.node.netns.ip("link set eth7 up")?;
    agent.wait_role(VIP, "announce")
}

#[test]
fn a_vip_that_comes_and_goes_is_written_at_once() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    agent.write_config(&format!("vips: [{VIP}, 10.77.1.11]"))?;
    agent.wait_role("10.77.1.11", "announce")?;
    agent.write_config("vips: [10.77.1.11]")?;
    agent.wait_role(VIP, "absent")?;
    bed.assert_silent()?;
    agent.write_config(&format!("vips: [10.77.1.11]\nsuppress: [{VIP}]"))?;
    agent.wait_role(VIP, "suppress")?;
    bed.assert_silent()
}

#[test]
fn ten_thousand_vips_are_announced() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut config = String::from("vips:\n");
    for number in 0..10_000 {
        writeln!(config, "- 10.77.{}.{}", 64 + number / 250, number % 250)?;
    }
    let begun = Instant::now();
    let mut agent = Agent::prepare(&bed.node, &config, AgentOptions::default())?;
    agent.spawn()?;
    agent.wait_for("all VIPs announced", |agent| {
        agent.status().is_ok_and(|status| {
            status["vips"]
                .as_array()
                .is_some_and(|vips| vips.len() == 10_000 && vips.iter().all(|vip| vip["role"] == "announce"))
        })
    })?;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(agent.log().lines().count() < 200, "told one by one:\n{}", agent.log());
    agent.end(Signal::SIGTERM)
}
