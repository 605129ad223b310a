//! A virtual machine that boots, runs what its initramfs says, and ends.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

/// An emulated machine is about ten times slower than a real one.
const TIME_LIMIT: Duration = Duration::from_secs(600);
const VERDICT: &str = "VERDICT:";

/// Boots a kernel, shows what it prints, each line behind `name`, and says how long it took.
///
/// The processor is emulated: KVM, where there is a device for it, does not work in every machine that has one.
pub(super) fn boot(name: &str, vmlinuz: &Path, initramfs: &Path) -> anyhow::Result<String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1G"]);
    qemu.args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]);
    qemu.arg("-kernel").arg(vmlinuz).arg("-initrd").arg(initramfs);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
    let begun = Instant::now();
    let mut child =
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("run qemu-system-x86_64")?;
    let verdict = watch(name, &mut child, begun + TIME_LIMIT);
    let _ = child.kill(); // it may have ended
    child.wait().context("wait for QEMU")?;
    match verdict?.as_deref() {
        Some("passed") => Ok(format!("{:.0} s", begun.elapsed().as_secs_f32())),
        Some(other) => bail!("{other}"),
        None => bail!("the machine ended without a verdict"),
    }
}

/// Prints what the machine prints, until it gives its verdict, ends, or the time is over.
fn watch(name: &str, child: &mut Child, deadline: Instant) -> anyhow::Result<Option<String>> {
    let console = BufReader::new(child.stdout.take().context("QEMU has no console")?);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in console.split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(None),
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("not done within {} s", TIME_LIMIT.as_secs()),
        };
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        println!("{name} | {line}");
        if let Some((_, verdict)) = line.split_once(VERDICT) {
            return Ok(Some(verdict.trim().to_owned()));
        }
    }
}
