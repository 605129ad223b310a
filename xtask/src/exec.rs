//! Commands that have to succeed.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, bail};

use crate::testbed::leftovers::run_interruptibly;

/// Root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// A command as it would be typed, environment left out.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command quietly.
///
/// # Errors
/// When it fails: its command line, and what it printed.
pub fn exec(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

/// Runs a command and takes what it prints.
///
/// # Errors
/// When it fails: its command line, and what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("run `{}`", line(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    bail!(
        "`{}` failed, {}:\n{}\n{}",
        line(command),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Runs a command whose output the user sees as it comes.
///
/// # Errors
/// When it fails: its command line.
pub fn show(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status();
    succeeded(command, status)
}

/// As [`show`], for a command that has things to clean up when it is interrupted: an interrupt of this process is
/// handed on to it, and waits for it.
///
/// # Errors
/// As [`show`].
pub fn show_interruptible(command: &mut Command) -> anyhow::Result<()> {
    let status = run_interruptibly(command);
    succeeded(command, status)
}

fn succeeded(command: &Command, status: std::io::Result<ExitStatus>) -> anyhow::Result<()> {
    let status = status.with_context(|| format!("run `{}`", line(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed, {status}", line(command)) }
}

/// A cargo that knows nothing of the one that runs us: what `cargo xtask` sets for its own build is taken away.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace());
    let ours = |name: &str| {
        let kept = ["CARGO_HOME", "CARGO_TERM_COLOR", "CARGO_TERM_PROGRESS_WHEN", "CARGO_NET_OFFLINE"];
        (name.starts_with("CARGO") && !kept.contains(&name)) || name == "RUSTC" || name == "RUSTDOC"
    };
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

/// The rustc that the workspace is pinned to.
#[must_use]
pub fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(workspace());
    command
}

/// Where a program lies, if it is on the path or where root's programs lie.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path)
        .chain(sbin)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Whether [`find`] finds a program.
#[must_use]
pub fn is_there(program: &str) -> bool {
    find(program).is_some()
}
