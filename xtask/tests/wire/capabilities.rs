//! The agent with the capabilities that its manifest gives it, and no others.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::DaemonSet;
use tempfile::TempDir;
use xtask::{
    manifests,
    testbed::{Agent, AgentOptions, agent_binary},
};

use crate::Bed;

#[test]
fn the_capabilities_of_the_manifest_are_enough_to_answer_on_the_wire() -> anyhow::Result<()> {
    let capabilities = of_the_manifest()?;
    let bed = Bed::of_all_kinds()?;
    let confined = Confined::to(&capabilities)?;
    let mut agent = Agent::prepare(&bed.node, &bed.config(), AgentOptions::default())?;
    agent.spawn_binary(&confined.program)?;
    agent.wait_settled()?;
    bed.wait_role(&agent, "announce")?;
    bed.assert_answered()?;
    assert_eq!(
        held_by(agent.pid()?)?,
        mask(&capabilities)?,
        "the agent holds what the manifest says, no more"
    );

    // The next agent takes over what this one has pinned, and uninstalling takes all of it away.
    agent.end(nix::sys::signal::Signal::SIGTERM)?;
    agent.spawn_binary(&confined.program)?;
    agent.wait_settled()?;
    bed.assert_answered()?;
    agent.end(nix::sys::signal::Signal::SIGTERM)?;
    let output =
        bed.node.command(&confined.program).arg("cleanup").arg("--pin-dir").arg(agent.pin_dir()).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!agent.pin_dir().exists());
    bed.assert_silent()
}

#[test]
fn without_any_one_of_them_the_agent_says_what_it_lacks_and_does_not_answer() -> anyhow::Result<()> {
    let capabilities = of_the_manifest()?;
    let bed = Bed::new()?;
    for left_out in &capabilities {
        let rest: Vec<String> = capabilities.iter().filter(|name| *name != left_out).cloned().collect();
        let confined = Confined::to(&rest)?;
        let mut agent = Agent::prepare(&bed.node, &bed.config(), AgentOptions::default())?;
        agent.spawn_binary(&confined.program)?;
        let says_so = |agent: &Agent<'_>| agent.log().contains("The agent needs root, or CAP_BPF");
        agent.wait_for(&format!("word of a missing CAP_{left_out}"), says_so)?;
        bed.assert_silent()?;
    }
    Ok(())
}

/// The agent's executable behind a program that confines it first.
struct Confined {
    _directory: TempDir,
    program: PathBuf,
}

impl Confined {
    /// As a container runtime does with `drop: [ALL]`, `add`, and `allowPrivilegeEscalation: false`.
    fn to(capabilities: &[String]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let program = directory.path().join("confined");
        let set: String = capabilities.iter().map(|name| format!(",+{}", name.to_lowercase())).collect();
        let script = format!(
            "#!/bin/sh\nexec setpriv --no-new-privs --bounding-set=-all{set} --inh-caps=-all -- {} \"$@\"\n",
            agent_binary()?.display()
        );
        fs::write(&program, script)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok(Self { _directory: directory, program })
    }
}

fn of_the_manifest() -> anyhow::Result<Vec<String>> {
    let objects = manifests::objects_of_file("base/agent.yaml")?;
    let agent: DaemonSet = manifests::find(&objects, "DaemonSet", "lb-agent")?;
    let pod = agent.spec.and_then(|spec| spec.template.spec).context("a DaemonSet without Pods")?;
    let security = pod.containers[0].security_context.clone().context("no security context")?;
    security.capabilities.and_then(|capabilities| capabilities.add).context("no capabilities are added")
}

/// What a process may do, as the kernel has it.
fn held_by(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let held = |field: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such line")?;
        Ok(u64::from_str_radix(line.trim(), 16)?)
    };
    anyhow::ensure!(held("CapEff:")? == held("CapPrm:")? && held("CapPrm:")? == held("CapBnd:")?, "{status}");
    held("CapEff:")
}

/// Bits by capability.h(7).
fn mask(capabilities: &[String]) -> anyhow::Result<u64> {
    let bit = |name: &str| match name {
        "NET_ADMIN" => Ok(12),
        "NET_RAW" => Ok(13),
        "PERFMON" => Ok(38),
        "BPF" => Ok(39),
        other => anyhow::bail!("which bit is CAP_{other}?"),
    };
    capabilities.iter().try_fold(0, |mask, name| Ok(mask | 1 << bit(name)?))
}
