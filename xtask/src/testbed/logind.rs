//! A logind that does as it is told (python-dbusmock's), on a bus of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::segment::Host;
use crate::exec::output;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// Debian's, which finds Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

/// A bus with a logind on it. Dropped, both end.
#[derive(Debug)]
pub struct Logind {
    /// The bus, and the logind.
    children: Vec<Child>,
    address: String,
}

impl Logind {
    /// Starts both on a host; the bus listens on a socket at `path`.
    ///
    /// # Errors
    /// When dbus-daemon, gdbus or python3-dbusmock is missing.
    pub fn start(host: &Host, path: PathBuf) -> anyhow::Result<Self> {
        let mut logind = Self { children: Vec::new(), address: format!("unix:path={}", path.display()) };
        let address = logind.address.clone();
        let mut bus = host.netns.command("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", &format!("--address={address}")]);
        logind.spawn(&mut bus)?;
        wait_for("the bus", || path.exists())?;
        let mut mock = host.netns.command(PYTHON);
        mock.args(["-m", "dbusmock", "--system", "--template", "logind"]);
        logind.spawn(mock.env("DBUS_SYSTEM_BUS_ADDRESS", &address))?;
        wait_for("logind", || logind.inhibitors().is_ok())?;
        Ok(logind)
    }

    fn spawn(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.with_context(|| format!("run {}", Path::new(command.get_program()).display()))?;
        self.children.push(child);
        Ok(())
    }

    /// The inhibitors that are held, as gdbus prints them.
    ///
    /// # Errors
    /// When logind does not answer.
    pub fn inhibitors(&self) -> anyhow::Result<String> {
        self.call("org.freedesktop.login1.Manager.ListInhibitors", &[])
    }

    /// Says that a shutdown begins, or that it was called off.
    ///
    /// # Errors
    /// When logind does not answer.
    pub fn prepare_for_shutdown(&self, start: bool) -> anyhow::Result<()> {
        let argument = format!("[<{start}>]");
        let arguments = ["org.freedesktop.login1.Manager", "PrepareForShutdown", "b", &argument];
        self.call("org.freedesktop.DBus.Mock.EmitSignal", &arguments).map(drop)
    }

    fn call(&self, method: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut gdbus = Command::new("gdbus");
        gdbus.args(["call", "--address", &self.address, "--dest", "org.freedesktop.login1"]);
        gdbus.args(["--object-path", "/org/freedesktop/login1", "--method", method]).args(arguments);
        output(&mut gdbus)
    }
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_there() {
        if begun.elapsed() > PATIENCE {
            bail!("waited in vain for {what}; is python3-dbusmock installed?");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Drop for Logind {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
