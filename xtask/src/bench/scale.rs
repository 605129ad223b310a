//! `cargo xtask bench scale`: the core on a large segment. It runs in a program of lb-agent's own, which needs the BPF
//! object to be there.

use anyhow::Context as _;

use crate::{
    ebpf,
    exec::{cargo, show},
};

/// Builds and runs it; it prints a table.
///
/// # Errors
/// When it does not build, or a limit is missed.
pub fn run() -> anyhow::Result<()> {
    ebpf::build(false)?;
    show(cargo().args(["run", "--quiet", "--release", "--package", "lb-agent", "--example", "scale"]))
        .context("a limit is missed, or it does not build; see above")
}
