//! Network namespaces by name, and threads and commands inside them.

use std::{
    fs::File,
    os::fd::IntoRawFd as _,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, Once,
        atomic::{AtomicI32, AtomicU32, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use nix::{
    fcntl::OFlag,
    sched::{CloneFlags, setns},
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
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

/// The end of a pipe that an interrupt writes to.
static INTERRUPTED: AtomicI32 = AtomicI32::new(-1);

/// SIGINT and SIGTERM wake a thread that takes everything away before the process ends. By a handler, since a blocked
/// signal stays blocked in every child.
fn remove_on_interrupt() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let Ok((reader, writer)) = nix::unistd::pipe2(OFlag::O_CLOEXEC) else {
            return; // the default action ends the process; what is left behind carries its name
        };
        INTERRUPTED.store(writer.into_raw_fd(), Ordering::Relaxed);
        thread::spawn(move || {
            if matches!(nix::unistd::read(&reader, &mut [0]), Ok(1)) {
                eprintln!("interrupted: cleaning up");
                let left = std::mem::take(&mut *LEFT_BEHIND.lock().expect("no panic while held"));
                left.iter().rev().for_each(Leftover::take_away);
                std::process::exit(130);
            }
        });
        let action = SigAction::new(SigHandler::Handler(wake), SaFlags::SA_RESTART, SigSet::empty());
        for interrupt in [Signal::SIGINT, Signal::SIGTERM] {
            // SAFETY: `wake` does nothing but what a signal handler may (signal-safety(7)): it writes to a pipe.
            let _ = unsafe { sigaction(interrupt, &action) };
        }
    });
}

extern "C" fn wake(_signal: libc::c_int) {
    // SAFETY: the descriptor is never closed once it is stored here, and one byte is there to be read.
    let _ = unsafe { libc::write(INTERRUPTED.load(Ordering::Relaxed), [1_u8].as_ptr().cast(), 1) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_can_be_interrupted() {
        remove_on_interrupt();
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, Signal::SIGTERM).expect("kill");
        let begun = std::time::Instant::now();
        child.wait().expect("wait");
        assert!(begun.elapsed().as_secs() < 30);
    }
}
