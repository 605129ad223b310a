//! What a test bed makes outlives the process unless it is taken away: by whoever made it when it is dropped, by a
//! thread when the process is interrupted, and by the next run when the process was killed.
//!
//! All of it is known by its name, which begins with `lb-<process id>-`: nothing has to be kept in a list.

use std::{
    fs,
    io::Read as _,
    os::{fd::IntoRawFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        atomic::{AtomicI32, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, killpg, sigaction},
    unistd::Pid,
};

/// Where network namespaces have their names.
const NAMESPACES: &str = "/run/netns";
/// Where the agents of a test bed have their pins.
pub(super) const BPFFS: &str = "/sys/fs/bpf";
const CGROUPS: &str = "/sys/fs/cgroup";
/// How long an interrupted command may take to clean up.
const PATIENCE: Duration = Duration::from_secs(10);

static NEXT: AtomicU32 = AtomicU32::new(0);
/// The group of processes that an interrupt goes on to, or 0.
static GROUP: AtomicI32 = AtomicI32::new(0);
/// What wakes the thread that cleans up.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// A name that no other test bed has. From the first one on, an interrupt cleans up, and what killed runs have left
/// is gone.
pub(super) fn unique(label: &str) -> String {
    watch();
    format!("{}{}-{label}", prefix(std::process::id()), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn prefix(process: u32) -> String {
    format!("lb-{process}-")
}

/// Runs a command in a process group of its own; an interrupt of this process ends that group first, by SIGTERM, so
/// that it can clean up.
///
/// # Errors
/// As [`Command::status`].
pub fn run_interruptibly(command: &mut Command) -> std::io::Result<std::process::ExitStatus> {
    use std::os::unix::process::CommandExt as _;
    watch();
    let mut child = command.process_group(0).spawn()?;
    GROUP.store(child.id().cast_signed(), Ordering::Relaxed);
    let status = child.wait();
    GROUP.store(0, Ordering::Relaxed);
    status
}

/// Takes away what killed runs have left.
pub fn remove_those_of_the_dead() {
    let mut dead: Vec<u32> =
        marked().iter().filter_map(|path| owner(path)).filter(|&process| !is_alive(process)).collect();
    dead.sort_unstable();
    dead.dedup();
    dead.into_iter().for_each(remove_those_of);
}

/// SIGINT and SIGTERM end the process once everything is taken away. A handler, since the signal may come to any
/// thread, and since a mask would be inherited by what we start.
fn watch() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        remove_those_of_the_dead();
        let Ok((mut woken, wake)) = UnixStream::pair() else { return };
        WAKE.store(wake.into_raw_fd(), Ordering::Relaxed);
        let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            // SAFETY: the handler does nothing but write(2).
            if unsafe { sigaction(signal, &action) }.is_err() {
                return; // the next run cleans up
            }
        }
        thread::spawn(move || {
            if woken.read_exact(&mut [0]).is_ok() {
                eprintln!("interrupted: cleaning up");
                end_group();
                remove_those_of(std::process::id());
                std::process::exit(130);
            }
        });
    });
}

extern "C" fn on_signal(_: libc::c_int) {
    // SAFETY: write(2) may be called in a handler; the byte is alive, the descriptor stays open.
    unsafe { libc::write(WAKE.load(Ordering::Relaxed), [0_u8].as_ptr().cast(), 1) };
}

fn end_group() {
    let group = GROUP.load(Ordering::Relaxed);
    if group == 0 || killpg(Pid::from_raw(group), Signal::SIGTERM).is_err() {
        return;
    }
    let pause = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        if killpg(Pid::from_raw(group), None) == Err(Errno::ESRCH) {
            return;
        }
        thread::sleep(pause);
    }
    eprintln!("process group {group} has not ended within {PATIENCE:?}: killed");
    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
}

/// Processes first: they hold the rest.
fn remove_those_of(process: u32) {
    let paths: Vec<PathBuf> = marked().into_iter().filter(|path| owner(path) == Some(process)).collect();
    let (namespaces, others): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| path.starts_with(NAMESPACES));
    namespaces.iter().for_each(|path| kill_those_in(path));
    for path in &others {
        let is_cgroup = path.starts_with(CGROUPS);
        let _ = if is_cgroup { remove_cgroup(path) } else { fs::remove_dir_all(path) };
    }
    for path in &namespaces {
        let _ = Command::new("ip").args(["netns", "delete"]).arg(name(path)).output();
    }
}

/// Kills the processes in a namespace, but for this one, whose threads may be there.
fn kill_those_in(namespace: &Path) {
    let Ok(output) = Command::new("ip").args(["netns", "pids"]).arg(name(namespace)).output() else { return };
    let processes = String::from_utf8_lossy(&output.stdout).into_owned();
    for process in processes.split_whitespace().filter_map(|id| id.parse::<i32>().ok()) {
        if process.cast_unsigned() != std::process::id() {
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
}

/// Removes a cgroup, once the processes that were killed in it are gone.
pub(super) fn remove_cgroup(path: &Path) -> std::io::Result<()> {
    for child in entries(path).into_iter().filter(|child| child.is_dir()) {
        remove_cgroup(&child)?;
    }
    let mut result = Ok(());
    for _ in 0..50 {
        result = fs::remove_dir(path);
        match &result {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                thread::sleep(Duration::from_millis(10))
            }
            _ => break,
        }
    }
    result
}

/// The cgroups of an LXC container, in each hierarchy.
pub(super) fn cgroups(container: &str) -> Vec<PathBuf> {
    marked().into_iter().filter(|path| path.starts_with(CGROUPS) && name(path).ends_with(container)).collect()
}

/// Everything that carries the name of a test bed.
fn marked() -> Vec<PathBuf> {
    let hierarchies = entries(Path::new(CGROUPS)).into_iter().flat_map(|hierarchy| entries(&hierarchy));
    let places = [NAMESPACES, BPFFS, CGROUPS].map(PathBuf::from).into_iter().chain([std::env::temp_dir()]);
    let all = places.flat_map(|place| entries(&place)).chain(hierarchies);
    all.filter(|path| owner(path).is_some()).collect()
}

/// The process that a name belongs to: `lb-PROCESS-...`, or what LXC makes of it for a cgroup.
fn owner(path: &Path) -> Option<u32> {
    let name = name(path);
    let name = ["lxc.payload.", "lxc.monitor."].iter().find_map(|lxc| name.strip_prefix(lxc)).unwrap_or(name);
    let (process, _) = name.strip_prefix("lb-")?.split_once('-')?;
    process.parse().ok()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_it_is() {
        let owner = |name: &str| owner(Path::new(name));
        assert_eq!(owner("/run/netns/lb-123-0-sw"), Some(123));
        assert_eq!(owner("/sys/fs/cgroup/pids/lxc.payload.lb-123-4-node"), Some(123));
        for foreign in
            ["/run/netns/lb-node", "/sys/fs/bpf/lb", "/tmp/lb-x7vKLr", "/tmp/lb-sim-3", "/run/netns/sw"]
        {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }
}
