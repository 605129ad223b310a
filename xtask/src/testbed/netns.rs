//! Network namespaces by name, and threads and commands inside them.

use std::{
    fs::File,
    io::Write as _,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns};

use super::leftovers::unique;
use crate::exec::exec;

/// A network namespace, deleted when this is dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

/// A command in the namespace of this name.
pub(super) fn command(name: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{name}")).arg(program);
    command
}

/// As [`Netns::feed`], in the namespace of this name.
pub(super) fn feed(name: &str, program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut command = command(name, program);
    command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("run {program}"))?;
    child.stdin.take().with_context(|| format!("{program} has no input"))?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} refused\n{input}\n{error}");
    Ok(())
}

impl Netns {
    /// Makes a namespace; the loopback is up, interfaces that are made later have no IPv6.
    ///
    /// # Errors
    /// Without root, or without iproute2.
    pub fn new(label: &str) -> anyhow::Result<Self> {
        let name = unique(label);
        exec(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.ip("link set lo up")?;
        netns.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))?.ok();
        Ok(netns)
    }

    /// Gives a name to the namespace that a process has.
    ///
    /// # Errors
    /// When the process has ended.
    pub(super) fn attach(label: &str, process: u32) -> anyhow::Result<Self> {
        let name = unique(label);
        exec(Command::new("ip").args(["netns", "attach", &name, &process.to_string()]))?;
        Ok(Self { name })
    }

    /// Has interfaces that are made later speak IPv6: their addresses are usable at once and stay while the interface is
    /// down, as those that a network manager looks after do, and no router is looked for.
    ///
    /// # Errors
    /// Without IPv6 in the kernel.
    pub(super) fn enable_ipv6(&self) -> anyhow::Result<()> {
        let settings = [
            ("disable_ipv6", "0"),
            ("accept_dad", "0"),
            ("accept_ra", "0"),
            ("router_solicitations", "0"),
            ("keep_addr_on_down", "1"),
        ];
        self.run(|| {
            settings.into_iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/net/ipv6/conf/default/{name}");
                std::fs::write(&path, value).with_context(|| format!("write {path}"))
            })
        })?
    }

    /// Its name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command inside. `ip netns exec` would hide bpffs; this does not.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        command(&self.name, program)
    }

    /// `ip` with these arguments, separated by spaces.
    ///
    /// # Errors
    /// When ip fails, with what it printed.
    pub fn ip(&self, arguments: &str) -> anyhow::Result<()> {
        exec(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// Runs a program that reads `input`.
    ///
    /// # Errors
    /// When it is missing or fails, with what it read and what it printed.
    pub(super) fn feed(&self, program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
        feed(&self.name, program, arguments, input)
    }

    /// Runs a function on a thread inside.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn run<T: Send>(&self, function: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        Self::run_in(&self.name, function)
    }

    /// As [`Self::run`], in the namespace of this name.
    pub(super) fn run_in<T: Send>(name: &str, function: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    enter(open(name)?, name)?;
                    Ok(function())
                })
                .join()
                .map_err(|_| anyhow::anyhow!("a thread in {name} panicked"))?
        })
    }

    /// Begins to run a function on a thread inside.
    ///
    /// # Errors
    /// When the namespace cannot be opened.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<JoinHandle<anyhow::Result<T>>> {
        let (file, name) = (open(&self.name)?, self.name.clone());
        Ok(thread::spawn(move || {
            enter(file, &name)?;
            function()
        }))
    }
}

fn open(name: &str) -> anyhow::Result<File> {
    let path = format!("/run/netns/{name}");
    File::open(&path).with_context(|| format!("open {path}"))
}

/// Moves the calling thread inside.
fn enter(file: File, name: &str) -> anyhow::Result<()> {
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {name}"))
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}
