//! A busy machine.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long stress-ng may take to have all its workers at work.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// `stress-ng` at work; ended, with its workers, when this is dropped.
#[derive(Debug)]
pub struct CpuLoad {
    child: Child,
}

impl CpuLoad {
    /// Keeps every CPU busy with `workers` processes, for `time` at most; returns once they are at it.
    ///
    /// # Errors
    /// When stress-ng is not there, or gives up at once.
    pub fn start(workers: u32, time: Duration) -> anyhow::Result<Self> {
        let mut command = Command::new("stress-ng");
        command.args([
            "--quiet",
            "--cpu",
            &workers.to_string(),
            "--timeout",
            &format!("{}s", time.as_secs()),
        ]);
        let child = command.stdout(Stdio::null()).spawn().context("run stress-ng")?;
        let mut load = Self { child };
        thread::sleep(BEGINS_WITHIN);
        ensure!(load.is_on()?, "stress-ng has ended before its time");
        Ok(load)
    }

    /// Whether it still goes on.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn is_on(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait().context("wait for stress-ng")?.is_none())
    }
}

impl Drop for CpuLoad {
    fn drop(&mut self) {
        // Asked to end, it ends its workers and waits for them.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
