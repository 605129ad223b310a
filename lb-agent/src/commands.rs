//! The operator's commands beside the running agent.

use std::{io::Write as _, path::Path};

use anyhow::Context as _;

use crate::{
    attach::{self, Pin},
    clock,
    pins::{LockedPins, Pins},
    status,
    tables::Tables,
};

/// Silences this node now: the mark first, so that the agent does not renew, then the end of the lease, which the
/// kernel acts on with the next frame.
///
/// # Errors
/// When no agent has run on these pins.
pub fn drain(pin_dir: &Path) -> anyhow::Result<()> {
    let pins = existing(pin_dir)?;
    let is_new = pins.mark_drained(true)?;
    Tables::open(&pins.maps())?.set_valid_until(clock::boottime_ns())?;
    println!("{}", if is_new { "drained: this node answers for no VIP" } else { "drained already" });
    Ok(())
}

/// Ends a drain; the agent asks for its VIPs within a second.
///
/// # Errors
/// When no agent has run on these pins.
pub fn undrain(pin_dir: &Path) -> anyhow::Result<()> {
    let pins = existing(pin_dir)?;
    let was_drained = pins.mark_drained(false)?;
    println!("{}", if was_drained { "undrained" } else { "this node is not drained" });
    if !pins.is_locked() {
        println!("no agent is running: start one to have VIPs answered");
    }
    Ok(())
}

/// Removes every program and pin.
///
/// # Errors
/// When an agent is running, or something cannot be removed.
pub fn cleanup(pin_dir: &Path) -> anyhow::Result<()> {
    if !pin_dir.is_dir() {
        println!("nothing to clean up: {} does not exist", pin_dir.display());
        return Ok(());
    }
    let pins = LockedPins::lock(pin_dir)?;
    let attached = Pin::all(&pins);
    for pin in &attached {
        attach::detach(&pins, pin)?;
    }
    pins.remove()?;
    println!("removed {} program(s) and {}", attached.len(), pin_dir.display());
    Ok(())
}

/// Prints what the pins say.
///
/// # Errors
/// When no agent has run on these pins.
pub fn status(pin_dir: &Path, as_json: bool) -> anyhow::Result<()> {
    let status = status::read(&existing(pin_dir)?)?;
    let text = if as_json { serde_json::to_string_pretty(&status)? + "\n" } else { status.to_string() };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("print the status")
        }
        _ => Ok(()), // whoever reads may stop early, as `head` does
    }
}

fn existing(pin_dir: &Path) -> anyhow::Result<Pins> {
    let pins = Pins::at(pin_dir);
    let has_maps = pins.maps().try_exists().with_context(|| format!("look into {}", pin_dir.display()))?;
    anyhow::ensure!(
        has_maps,
        "there is nothing of this agent version in {}; start `lb-agent run`, or name its directory with --pin-dir",
        pin_dir.display()
    );
    Ok(pins)
}
