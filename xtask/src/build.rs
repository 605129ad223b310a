//! What demo, tests, benches and virtual machines run.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{
    ebpf,
    exec::{cargo, output, rustc, show, workspace},
};

/// Builds the BPF object and the agent around it, and leads [`crate::testbed`] to it. It is static, as an image needs it that
/// has nothing else: what is tested is what ships.
///
/// # Errors
/// When something does not compile.
pub fn agent() -> anyhow::Result<PathBuf> {
    ebpf::build(false)?;
    let agent = statically("lb-agent").context("build the agent")?;
    crate::testbed::set_agent_binary(&agent);
    Ok(agent)
}

/// Builds integration tests, named by package and target, and says where their executables lie.
///
/// # Errors
/// When something does not compile.
pub fn tests(wanted: &[(&str, &str)]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut build = cargo();
    build.args(["test", "--no-run", "--quiet", "--message-format", "json-render-diagnostics"]);
    for (package, test) in wanted {
        build.args(["--package", package, "--test", test]);
    }
    let messages = output(&mut build).context("build the tests")?;
    let executables: Vec<(String, PathBuf)> = messages.lines().filter_map(executable).collect();
    ensure!(executables.len() == wanted.len(), "cargo built {executables:?} instead of {wanted:?}");
    Ok(executables)
}

/// The integration test that a message of cargo tells of.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = message["target"].as_object().filter(|target| target["kind"][0] == "test")?;
    Some((target["name"].as_str()?.to_owned(), message["executable"].as_str()?.into()))
}

/// Builds PID 1 of the virtual machines: static, since it runs before anything else is there.
///
/// # Errors
/// When it does not compile.
pub fn init() -> anyhow::Result<PathBuf> {
    statically("lb-init").context("build PID 1")
}

/// Builds a package with one executable of its name, which needs no library of the machine it runs on.
fn statically(package: &str) -> anyhow::Result<PathBuf> {
    let rustc = output(rustc().arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    // With a target of its own the flags do not reach build scripts and macros.
    let mut build = cargo();
    build.env("RUSTFLAGS", "-Ctarget-feature=+crt-static").args(["build", "--release", "--package", package]);
    build.args(["--target", host]);
    show(&mut build)?;
    Ok(target().join(host).join("release").join(package))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
