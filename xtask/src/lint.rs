//! `cargo xtask lint`: format and clippy, on both targets.

use anyhow::Context as _;

use crate::{
    ebpf,
    exec::{cargo, show},
};

/// Checks everything.
///
/// # Errors
/// At the first tool that finds something.
pub fn run() -> anyhow::Result<()> {
    ebpf::build(false)?;
    show(cargo().args(["fmt", "--all", "--check"]))
        .context("the format is not rustfmt's: run `cargo fmt --all`")?;
    show(cargo().args(["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"])).context("clippy")?;
    ebpf::lint()
}
