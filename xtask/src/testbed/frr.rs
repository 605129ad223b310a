//! FRRouting's bfdd on a host of the test bed, as an initiator of S-BFD (RFC 7880) that we did not write.
//!
//! S-BFD is in FRR since 10.3, which Debian has since trixie: the packages are unpacked below `target`, with the
//! libraries that they need, and run in there.

use std::{
    fs,
    net::Ipv6Addr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{leftovers::unique, segment::Host};
use crate::{debian::Suite, exec::workspace};

const SUITE: &str = "trixie";
const PACKAGES: [&str; 12] = [
    "frr",
    "libc6",
    "libcap2",
    "libcrypt1",
    "libjson-c5",
    "liblua5.3-0",
    "liblzma5",
    "libpcre2-8-0",
    "libprotobuf-c1",
    "libunwind8",
    "libxxhash0",
    "libyang3",
];
/// Runs a program with its arguments in the unpacked tree, which comes first.
const CHROOT: &str = r#"mount --bind /proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@""#;

/// bfdd at work, with zebra, from which it has the interfaces. Dropped, both are ended.
#[derive(Debug)]
pub struct Frr {
    daemons: Vec<Child>,
    /// In the unpacked tree.
    directory: TempDir,
}

impl Frr {
    /// Runs an initiator on a host, with one session to the reflector of this address and discriminator: a probe each
    /// 50 ms, three of them.
    ///
    /// # Errors
    /// When the packages cannot be had (the first time), or a daemon cannot be started.
    pub fn initiator(host: &Host, reflector: Ipv6Addr, discriminator: u32) -> anyhow::Result<Self> {
        let root = unpacked()?;
        let directory = tempfile::Builder::new().prefix(&unique("frr-")).tempdir_in(root.join("tmp"))?;
        let mut frr = Self { daemons: Vec::new(), directory };
        frr.start(host, &root, "zebra", "")?;
        let own = host.ipv6;
        let session = format!(
            "debug bfd peer\nbfd\n peer {reflector} bfd-mode sbfd-init bfd-name lb local-address {own} \
             remote-discr {discriminator}\n  transmit-interval 50\n  receive-interval 50\n  detect-multiplier 3\n"
        );
        frr.start(host, &root, "bfdd", &session)?;
        Ok(frr)
    }

    fn start(&mut self, host: &Host, root: &Path, daemon: &str, config: &str) -> anyhow::Result<()> {
        fs::write(self.directory.path().join(format!("{daemon}.conf")), config)?;
        let inside = Path::new("/tmp").join(self.directory.path().file_name().context("a name")?);
        let path = |name: &str| inside.join(name).display().to_string();
        let mut command = host.netns.command("unshare");
        command.args(["--mount", "sh", "-c", CHROOT]).arg(root).arg(format!("/usr/lib/frr/{daemon}"));
        command.args(["-u", "root", "-g", "root", "-P", "0", "--vty_socket", &path("")]);
        command.args(["-z", &path("zserv.api"), "-i", &path(&format!("{daemon}.pid"))]);
        command.args(["-f", &path(&format!("{daemon}.conf"))]);
        command.args(["--log", &format!("file:{}", path(&format!("{daemon}.log"))), "--log-level", "debug"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.daemons.push(child.with_context(|| format!("run {daemon}"))?);
        Ok(())
    }

    /// The states that the session has come to so far, in order.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        let changes = self.log();
        let state = |line: &str| line.split_once(" -> ")?.1.split_whitespace().next().map(str::to_owned);
        changes.lines().filter(|line| line.contains("state-change")).filter_map(state).collect()
    }

    /// What bfdd has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("bfdd.log")).unwrap_or_default()
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The tree with FRR in it, made when it is not there yet.
fn unpacked() -> anyhow::Result<PathBuf> {
    let root = workspace().join("target/debian/frr");
    if root.join("complete").exists() {
        return Ok(root);
    }
    let suite = Suite::open(SUITE)?;
    for package in PACKAGES {
        suite.unpack(package, &root)?;
    }
    for directory in ["proc", "dev", "tmp", "run/frr", "etc", "var/lib/frr"] {
        fs::create_dir_all(root.join(directory))?;
    }
    for link in ["lib", "lib64"] {
        if !root.join(link).exists() {
            symlink(format!("usr/{link}"), root.join(link))?;
        }
    }
    // They look for these users and groups, although they stay root.
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/false\nfrr:x:0:0::/:/bin/false\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nfrr:x:0:\nfrrvty:x:0:\n")?;
    fs::write(root.join("complete"), "")?;
    Ok(root)
}
