//! The agent, built for demo, tests and benches.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::{
    ebpf,
    exec::{cargo, show, workspace},
};

/// Builds the BPF object and the agent around it, and leads [`crate::testbed`] to it.
///
/// # Errors
/// When something does not compile.
pub fn agent() -> anyhow::Result<PathBuf> {
    ebpf::build(false)?;
    show(cargo().args(["build", "--release", "--package", "lb-agent"])).context("build the agent")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let agent = target.join("release/lb-agent");
    crate::testbed::set_agent_binary(&agent);
    Ok(agent)
}
