//! The operator's commands beside the running agent.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lb_common::maps::{Agent, Role};
use nix::sys::signal::{SigSet, Signal};
use sha2::{Digest as _, Sha256};

use crate::{
    attach::{self, Pin},
    clock, crds,
    explain::{
        Answer,
        socket::{self, Question},
    },
    kubernetes::snapshot::Snapshot,
    multicast,
    pins::{self, LockedPins, Pins},
    status,
    tables::Tables,
};

/// How long the agent may take to hand its VIPs over, and a little more.
const HAND_OVER: Duration = Duration::from_millis(1_500);

/// Silences this node: the peers hear at once that it withdraws, and take over. With an agent running, what nobody
/// takes is silent after a second; without one, everything is at once.
///
/// # Errors
/// When no agent has run on these pins.
pub fn drain(pin_dir: &Path) -> anyhow::Result<()> {
    let pins = existing(pin_dir)?;
    // The mark first, so that the agent does not undo what follows.
    let is_new = pins.mark_drained(true)?;
    let mut tables = Tables::open(&pins.maps())?;
    tables.set_agent(Agent { admin_down: 1, ..tables.agent()? })?;
    let has_handed_over = pins.is_locked() && hands_over(&tables)?;
    if !has_handed_over {
        tables.set_agent(Agent { admin_down: 1, valid_until_ns: clock::boottime_ns(), ..tables.agent()? })?;
    }
    println!("{}", if is_new { "drained: this node answers for no VIP" } else { "drained already" });
    Ok(())
}

/// Waits until the map announces nothing any more; says whether it came to that.
fn hands_over(tables: &Tables) -> anyhow::Result<bool> {
    let begun = Instant::now();
    loop {
        if !tables.vips()?.values().any(|entry| entry.role() == Some(Role::Announce)) {
            return Ok(true);
        }
        if begun.elapsed() > HAND_OVER {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
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

/// Removes every program and pin, and leaves the multicast groups.
///
/// # Errors
/// When an agent is running, or something cannot be removed.
pub fn cleanup(pin_dir: &Path, socket: &Path) -> anyhow::Result<()> {
    if !pin_dir.is_dir() {
        println!("nothing to clean up: {} does not exist", pin_dir.display());
        return Ok(());
    }
    let pins = LockedPins::lock(pin_dir)?;
    let _ = fs::remove_file(socket); // an agent that was killed leaves it
    let attached = Pin::all(&pins);
    for pin in &attached {
        attach::detach(&pins, pin)?;
    }
    multicast::leave_all()?;
    pins.remove()?;
    println!("removed {} program(s) and {}", attached.len(), pin_dir.display());
    Ok(())
}

/// Removes the last state of the cluster.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(state_dir: &Path) -> anyhow::Result<()> {
    let was_there = Snapshot::remove_from(state_dir)?;
    println!(
        "{} in {}",
        if was_there { "removed the last state" } else { "no last state" },
        state_dir.display()
    );
    Ok(())
}

/// Waits to be told to end. A container's first process is not ended by a signal that it does not ask for.
///
/// # Errors
/// When signals cannot be waited for.
pub fn stay() -> anyhow::Result<()> {
    let ends: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    ends.thread_block().context("hold back SIGTERM")?;
    ends.wait().context("wait for SIGTERM")?;
    Ok(())
}

/// Prints what the pins say.
///
/// # Errors
/// When no agent has run on these pins.
pub fn status(pin_dir: &Path, as_json: bool) -> anyhow::Result<()> {
    let status = status::read(&existing(pin_dir)?)?;
    print(&if as_json { serde_json::to_string_pretty(&status)? + "\n" } else { status.to_string() })
}

/// Prints the CustomResourceDefinitions.
///
/// # Errors
/// When they cannot be written.
pub fn crds() -> anyhow::Result<()> {
    print(&crds::to_yaml()?)
}

/// Asks the running agent why a VIP is answered for, or is not.
///
/// # Errors
/// When no agent answers, or it knows of no such VIP.
pub fn explain(socket: &Path, about: Option<String>, as_json: bool) -> anyhow::Result<()> {
    let answer = socket::ask(socket, &Question { about })?;
    if let Answer::Unknown(why) = answer {
        anyhow::bail!(why);
    }
    print(&if as_json { serde_json::to_string_pretty(&answer)? + "\n" } else { answer.to_string() })
}

fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("print it"),
        _ => Ok(()), // whoever reads may stop early, as `head` does
    }
}

/// Where the agent with these pins is asked, if nothing else is said: agents in namespaces of one host do not meet.
#[must_use]
pub fn default_socket(pin_dir: &Path) -> PathBuf {
    let directory = Path::new("/run/lb-agent");
    if pin_dir == Path::new(pins::DEFAULT_PATH) {
        return directory.join("agent.sock");
    }
    let hash = Sha256::digest(pin_dir.as_os_str().as_bytes());
    directory.join(format!("agent-{:08x}.sock", hash.first_chunk().copied().map_or(0, u32::from_be_bytes)))
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
