//! `cargo xtask kernels`: the programs and the agent in the kernels that users have, each booted in a virtual machine.

mod image;
mod initramfs;
mod machine;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, bail, ensure};
use image::Image;
use initramfs::Initramfs;

use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    exec::{exec, find, workspace},
};

/// A kernel of Debian's for virtual machines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Kernel {
    /// What the user calls it.
    name: &'static str,
    /// Debian's suite that has it.
    suite: &'static str,
}

const fn kernel(name: &'static str, suite: &'static str) -> Kernel {
    Kernel { name, suite }
}

/// Oldest first: the floor, and what has come since.
const KERNELS: [Kernel; 4] = [
    kernel("5.10", "bullseye"),
    kernel("6.1", "bookworm"),
    kernel("6.12", "trixie"),
    kernel("newest", "trixie-backports"),
];

/// What the wire tests call, and goes into the machine with the libraries it needs.
const PROGRAMS: [Needed; 8] = [
    needed("arping", "iputils-arping"),
    needed("bpftool", "bpftool"),
    needed("ip", "iproute2"),
    needed("ndisc6", "ndisc6"),
    needed("nsenter", "util-linux"),
    needed("ping", "iputils-ping"),
    needed("tc", "iproute2"),
    needed("tcpdump", "tcpdump"),
];
const TOOLS: [Needed; 4] = [
    needed("qemu-system-x86_64", "qemu-system-x86"),
    needed("depmod", "kmod"),
    needed("strip", "binutils"),
    needed("xz", "xz-utils"),
];

/// tcpdump gives up its privileges for this user.
const PASSWD: &[u8] = b"root:x:0:0::/:/bin/false\ntcpdump:x:100:100::/:/bin/false\n";

/// The program tables, and those tests on the wire that meet what kernels do differently: hooks, their replacement
/// by a later agent, and their removal.
const COMMANDS: [&str; 2] =
    ["programs --test-threads 1", "wire --test-threads 1 hooks:: pins:: lease::a_restart"];

/// Boots the named kernels, or all of them, and runs the tests in each.
///
/// # Errors
/// When a name is unknown, something cannot be had, or a test fails in one of the kernels.
pub fn run(names: &[String]) -> anyhow::Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "`cargo xtask kernels` boots x86-64 machines, from such a machine only"
    );
    let kernels = select(names)?;
    ensure_installed(&PROGRAMS)?;
    ensure_installed(&TOOLS)?;
    let contents = contents()?;
    let mut failed = Vec::new();
    for kernel in kernels {
        match boot(kernel, &contents) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                println!("{}: {error:#}", kernel.name);
                failed.push(kernel.name);
            }
        }
    }
    match failed.as_slice() {
        [] => println!("\nVERDICT: all kernels passed"),
        failed => bail!("some kernels failed: {}", failed.join(", ")),
    }
    Ok(())
}

fn select(names: &[String]) -> anyhow::Result<Vec<Kernel>> {
    if names.is_empty() {
        return Ok(KERNELS.to_vec());
    }
    let by_name = |name: &String| KERNELS.into_iter().find(|kernel| kernel.name == name);
    let known = KERNELS.map(|kernel| kernel.name).join(", ");
    names
        .iter()
        .map(|name| by_name(name).with_context(|| format!("no kernel {name:?}; there are {known}")))
        .collect()
}

/// What every machine gets, whatever its kernel.
struct Contents {
    init: PathBuf,
    /// Executables with their names in the machine.
    programs: Vec<(String, PathBuf)>,
}

fn contents() -> anyhow::Result<Contents> {
    let agent = build::agent()?;
    let tests = build::tests(&[("lb-agent", "programs"), ("xtask", "wire")])?;
    let mut programs = tests.into_iter().map(stripped).collect::<anyhow::Result<Vec<_>>>()?;
    programs.push(("lb-agent".into(), agent));
    for tool in PROGRAMS {
        let path = find(tool.what).with_context(|| format!("{} has vanished", tool.what))?;
        programs.push((tool.what.into(), path));
    }
    Ok(Contents { init: build::init()?, programs })
}

/// Without what is there for debuggers: it is most of a test, and all has to go into the machine's memory.
fn stripped((name, program): (String, PathBuf)) -> anyhow::Result<(String, PathBuf)> {
    let directory = workspace().join("target/kernels");
    fs::create_dir_all(&directory)?;
    let stripped = directory.join(&name);
    exec(Command::new("strip").args(["--strip-debug", "-o"]).arg(&stripped).arg(program))?;
    Ok((name, stripped))
}

fn boot(kernel: Kernel, contents: &Contents) -> anyhow::Result<String> {
    let image = Image::ensure(kernel.suite)?;
    println!("{}: Linux {}", kernel.name, image.version);
    let path = workspace().join("target/kernels").join(format!("{}.cpio", kernel.suite));
    let mut initramfs = Initramfs::create(&path)?;
    initramfs.add_program("init", &contents.init)?;
    for (name, program) in &contents.programs {
        initramfs.add_program(&format!("bin/{name}"), program)?;
    }
    let mut modules = String::new();
    for module in image.modules()? {
        let name = format!("lib/modules/{}", module.name);
        initramfs.add_file(&name, &module.bytes)?;
        modules.push_str(&format!("/{name}\n"));
    }
    initramfs.add_file("etc/passwd", PASSWD)?;
    initramfs.add_file("modules", modules.as_bytes())?;
    initramfs.add_file("commands", COMMANDS.map(|line| format!("/bin/{line}\n")).concat().as_bytes())?;
    initramfs.finish()?;
    let outcome = machine::boot(kernel.name, &image.vmlinuz, &path);
    let _ = fs::remove_file(&path);
    Ok(format!("{}: passed on Linux {}, in {}", kernel.name, image.version, outcome?))
}
