//! `cargo xtask build-ebpf`: the BPF object, on a machine that has nothing but rustc.

mod toolchain;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use toolchain::Toolchain;

use crate::exec::{show, workspace};

/// The BPF target of little-endian machines.
const TARGET: &str = "bpfel-unknown-none";

/// Builds the object, bringing the tools first where they are missing, and says where it lies. With `log`, the
/// programs log each verdict.
///
/// # Errors
/// When a tool cannot be had (its name, and where to get it) or the code does not compile.
pub fn build(log: bool) -> anyhow::Result<PathBuf> {
    let target_dir = workspace().join("target/ebpf");
    let toolchain = Toolchain::ensure()?;
    let mut build = toolchain.cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "lb-ebpf",
        "--target",
        TARGET,
        "-Zbuild-std=core",
        "--target-dir",
    ]);
    build.arg(&target_dir);
    if log {
        build.args(["--features", "log"]);
    }
    show(&mut build).context("build the BPF object")?;
    let object = target_dir.join(if log { "lb-log.bpf.o" } else { "lb.bpf.o" });
    copy_if_changed(&target_dir.join(TARGET).join("release/lb-ebpf"), &object)?;
    Ok(object)
}

/// Clippy for the code that runs in the kernel.
///
/// # Errors
/// When it finds something.
pub fn lint() -> anyhow::Result<()> {
    let mut clippy = Toolchain::ensure()?.cargo();
    clippy.args(["clippy", "--release", "--package", "lb-ebpf", "--target", TARGET, "-Zbuild-std=core"]);
    clippy.arg("--target-dir").arg(workspace().join("target/ebpf-lint")).args(["--", "-D", "warnings"]);
    show(&mut clippy).context("lint lb-ebpf")
}

/// A newer file with the same bytes would have the agent rebuilt for nothing.
fn copy_if_changed(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
}
