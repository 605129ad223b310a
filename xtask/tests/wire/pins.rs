//! What lies in the pin directory outlives the agent, and is never taken for what it is not.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use lb_common::maps::SCHEMA_VERSION;
use nix::sys::signal::Signal;
use xtask::testbed::{Agent, AgentOptions, Prober};

use crate::{Bed, INTERVAL, VIP, VIP_ADDRESS, assert_seamless};

fn maps(agent: &Agent<'_>) -> PathBuf {
    agent.pin_dir().join(format!("maps-v{SCHEMA_VERSION}"))
}

#[test]
fn maps_of_another_version_are_rebuilt_without_a_gap() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = bed.agent()?;
    let prober = Prober::start(&bed.client, VIP_ADDRESS, INTERVAL)?;
    agent.end(Signal::SIGTERM)?;
    // What another version leaves behind: programs that answer from maps of its own.
    let old = agent.pin_dir().join("maps-v0");
    fs::rename(maps(&agent), &old)?;
    agent.spawn()?;
    agent.wait_for("the old maps gone", |_| !old.exists())?;
    thread::sleep(Duration::from_millis(500));
    assert_seamless([&prober.finish()?]);
    agent.wait_role(VIP, "announce")?;
    let answered = agent.vip(VIP)?["answers"].as_u64();
    assert!(answered > Some(0), "the new maps count from their own begin: {answered:?}");
    Ok(())
}

#[test]
fn a_map_of_another_layout_is_refused_with_the_remedy() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = bed.agent()?;
    agent.end(Signal::SIGTERM)?;
    let pin = maps(&agent).join("LB_VIPS_V4");
    fs::remove_file(&pin)?;
    let mut create = Command::new("bpftool");
    create.args(["map", "create"]).arg(&pin);
    create.args([
        "type",
        "hash",
        "key",
        "8",
        "value",
        "16",
        "entries",
        "8",
        "name",
        "LB_VIPS_V4",
        "flags",
        "1",
    ]);
    assert!(create.status()?.success());
    agent.spawn()?;
    assert!(!agent.wait_end()?);
    let log = agent.log();
    assert!(log.contains("map LB_VIPS_V4") && log.contains("lb-agent cleanup"), "{log}");
    Ok(())
}

#[test]
fn a_second_agent_on_the_same_pins_is_refused() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let output = agent.command("run").arg("--config").arg(agent.config_path()).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(told.contains("in use by a running agent") && told.contains("--pin-dir"), "{told}");
    bed.assert_answered()
}

#[test]
fn pins_of_another_node_are_refused_and_those_of_another_namespace_rebuilt() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let mut agent = bed.agent()?;
    agent.end(Signal::SIGTERM)?;
    agent.write_whole_config(&format!("node: other\ninterfaces: [eth0]\nvips: [{VIP}]\n"))?;
    agent.spawn()?;
    assert!(!agent.wait_end()?);
    let log = agent.log();
    assert!(log.contains("belongs to node=node") && log.contains("this is node other"), "{log}");
    // The same node, after its namespace was made anew.
    let owner = agent.pin_dir().join("owner");
    fs::remove_file(&owner)?;
    std::os::unix::fs::symlink("node=node netns=0:0 boot=0", &owner)?;
    agent.write_config(&format!("vips: [{VIP}]"))?;
    agent.spawn()?;
    // Until then the status is that of the maps which the first agent has left.
    agent.wait_for("the maps made anew", |agent| agent.log().matches("agent started").count() == 2)?;
    agent.wait_settled()?;
    assert!(!fs::read_link(&owner)?.to_string_lossy().contains("netns=0:0"));
    bed.assert_answered()
}

#[test]
fn after_cleanup_the_kernel_answers_for_itself_again() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    bed.node.add_to_loopback([VIP_ADDRESS])?;
    let mut agent =
        Agent::start(&bed.node, &format!("vips: []\nsuppress: [{VIP}]"), AgentOptions::default())?;
    bed.assert_silent()?;
    let refused = agent.output("cleanup")?;
    assert!(!refused.status.success(), "cleanup beside a running agent");
    agent.end(Signal::SIGTERM)?;
    bed.assert_silent()?;
    agent.succeed("cleanup")?;
    assert!(!agent.pin_dir().exists());
    bed.assert_answered()?;
    let told = agent.succeed("cleanup")?;
    assert!(told.contains("nothing to clean up"), "{told}");
    let status = agent.output("status")?;
    let told = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(!status.status.success() && told.contains("start `lb-agent run`"), "{told}");
    Ok(())
}

#[test]
fn the_maps_can_be_read_by_hand() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    bed.assert_answered()?;
    let dump = |map: &str| -> anyhow::Result<String> {
        let pin = maps(&agent).join(map);
        let output = Command::new("bpftool").args(["map", "dump", "pinned"]).arg(pin).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let vips = dump("LB_VIPS_V4")?;
    assert!(
        vips.contains("\"ifindex\"")
            && vips.contains("\"address\": [10,77,1,10")
            && vips.contains("\"role\""),
        "{vips}"
    );
    let stats = dump("LB_STATS_V4")?;
    assert!(stats.contains("\"answers\": 1") || stats.contains("\"answers\": 2"), "{stats}");
    let frames = dump("LB_FRAMES")?;
    assert!(frames.contains("\"answered\"") && frames.contains("\"not_our_target\""), "{frames}");
    Ok(())
}
