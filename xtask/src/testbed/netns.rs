//! Network namespaces by name, and threads and commands inside them.

use std::{
    fs::File,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{SigSet, Signal},
};

use crate::exec::exec;

/// A network namespace, deleted when this is dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);
/// What an interrupt has to take away, last made first.
static LEFT_BEHIND: Mutex<Vec<Leftover>> = Mutex::new(Vec::new());

/// Something that outlives the process unless it is removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Leftover {
    /// A namespace, by name.
    Netns(String),
    /// A process that we started.
    Process(u32),
    /// A pin directory, or a link to one.
    PinDir(PathBuf),
}

impl Leftover {
    pub(super) fn register(self) {
        remove_on_interrupt();
        LEFT_BEHIND.lock().expect("no panic while held").push(self);
    }

    /// Removes it; what is gone already is as good as removed.
    pub(super) fn remove(self) {
        LEFT_BEHIND.lock().expect("no panic while held").retain(|other| *other != self);
        self.take_away();
    }

    fn take_away(&self) {
        match self {
            Self::Netns(name) => {
                let _ = Command::new("ip").args(["netns", "delete", name]).output();
            }
            Self::Process(id) => {
                let pid = nix::unistd::Pid::from_raw(id.cast_signed());
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
            Self::PinDir(path) => {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

/// SIGINT and SIGTERM go to a thread that takes everything away before the process ends.
fn remove_on_interrupt() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        if signals.thread_block().is_err() {
            return; // the default action ends the process; what is left behind carries its name
        }
        thread::spawn(move || {
            if signals.wait().is_ok() {
                eprintln!("interrupted: cleaning up");
                let left = std::mem::take(&mut *LEFT_BEHIND.lock().expect("no panic while held"));
                left.iter().rev().for_each(Leftover::take_away);
                std::process::exit(130);
            }
        });
    });
}

/// A name that no other test bed has.
pub(super) fn unique(label: &str) -> String {
    format!("lb-{}-{}-{label}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Netns {
    /// Makes a namespace; the loopback is up, IPv6 addresses of its own it has none.
    ///
    /// # Errors
    /// Without root, or without iproute2.
    pub fn new(label: &str) -> anyhow::Result<Self> {
        let name = unique(label);
        Leftover::Netns(name.clone()).register();
        exec(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.ip("link set lo up")?;
        netns.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))?.ok();
        Ok(netns)
    }

    /// Its name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command inside. `ip netns exec` would hide bpffs; this does not.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program);
        command
    }

    /// `ip` with these arguments, separated by spaces.
    ///
    /// # Errors
    /// When ip fails, with what it printed.
    pub fn ip(&self, arguments: &str) -> anyhow::Result<()> {
        exec(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// Runs a function on a thread inside.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn run<T: Send>(&self, function: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.enter()?;
                    Ok(function())
                })
                .join()
                .map_err(|_| anyhow::anyhow!("a thread in {} panicked", self.name))?
        })
    }

    /// Moves the calling thread inside.
    fn enter(&self) -> anyhow::Result<()> {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).with_context(|| format!("open {path}"))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {path}"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        Leftover::Netns(std::mem::take(&mut self.name)).remove();
    }
}
