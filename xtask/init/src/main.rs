//! PID 1 of a virtual machine that exists to run a few commands: mounts what they need, loads modules, runs each line
//! of `/commands`, prints one verdict and restarts, which ends the machine.

use std::{
    fs::{self, File},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, bail};
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::reboot::{RebootMode, reboot},
};

/// What the host looks for in the last line.
const VERDICT: &str = "VERDICT:";
/// Paths of modules, dependencies first.
const MODULES: &str = "/modules";
/// Commands, one a line, words separated by spaces.
const COMMANDS: &str = "/commands";

fn main() {
    if std::process::id() != 1 {
        eprintln!("lb-init is PID 1 of the machines of `cargo xtask kernels`, and nothing else");
        std::process::exit(2);
    }
    match set_up().and_then(|()| run_all()) {
        Ok(()) => println!("{VERDICT} passed"),
        Err(error) => println!("{VERDICT} failed: {error:#}"),
    }
    // Where it fails PID 1 ends, and the kernel panics: that ends the machine as well.
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    println!("restart: {error}");
}

fn set_up() -> anyhow::Result<()> {
    for (kind, target) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
        ("bpf", "/sys/fs/bpf"),
    ] {
        fs::create_dir_all(target).with_context(|| format!("create {target}"))?;
        let no_data = None::<&str>;
        mount(Some(kind), target, Some(kind), MsFlags::empty(), no_data)
            .with_context(|| format!("mount {kind} at {target}"))?;
    }
    let modules = fs::read_to_string(MODULES).with_context(|| format!("read {MODULES}"))?;
    for path in modules.lines() {
        let module = File::open(path).with_context(|| format!("open {path}"))?;
        finit_module(module, c"", ModuleInitFlags::empty()).with_context(|| format!("load {path}"))?;
    }
    Ok(())
}

fn run_all() -> anyhow::Result<()> {
    let commands = fs::read_to_string(COMMANDS).with_context(|| format!("read {COMMANDS}"))?;
    let failed: Vec<&str> = commands.lines().filter(|line| !has_succeeded(line)).collect();
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join(", ")) }
}

fn has_succeeded(line: &str) -> bool {
    println!("$ {line}");
    let begun = Instant::now();
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .env("PATH", "/bin")
        .env("LB_AGENT", "/bin/lb-agent")
        .env("RUST_BACKTRACE", "0")
        .status();
    let seconds = begun.elapsed().as_secs_f32();
    match status {
        Ok(status) if status.success() => {
            println!("{seconds:.1} s");
            true
        }
        Ok(status) => {
            println!("{status}, after {seconds:.1} s");
            false
        }
        Err(error) => {
            println!("{error}");
            false
        }
    }
}
