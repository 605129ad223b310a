//! keepalived (VRRP, RFC 9568) on two hosts of the test bed, as something to compare with.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    process::{Child, Stdio},
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{leftovers::unique, segment::Host};

/// A keepalived at work; dropped, it is ended.
#[derive(Debug)]
pub struct Keepalived {
    child: Child,
    _directory: TempDir,
}

impl Keepalived {
    /// Runs one on a host for a VIP. Of several, the highest `priority` holds it; each `advert_ms` it says so.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(host: &Host, vip: Ipv4Addr, priority: u8, advert_ms: u32) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&unique("keepalived-")).tempdir()?;
        let path = |name: &str| directory.path().join(name);
        fs::write(path("conf"), config(vip, priority, advert_ms))
            .context("write keepalived's configuration")?;
        let log = File::create(path("log"))?;
        let mut command = host.netns.command("keepalived");
        command.args(["--dont-fork", "--log-console", "--vrrp", "--use-file"]).arg(path("conf"));
        command.arg("--pid").arg(path("pid")).arg("--vrrp_pid").arg(path("vrrp.pid"));
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
        let child = command.spawn().context("run keepalived")?;
        Ok(Self { child, _directory: directory })
    }
}

/// Adverts less than a second apart need version 3 of the protocol; one second is keepalived's default, with version 2.
fn config(vip: Ipv4Addr, priority: u8, advert_ms: u32) -> String {
    let version = if advert_ms < 1_000 { 3 } else { 2 };
    let advert = f64::from(advert_ms) / 1_000.0;
    format!(
        "global_defs {{\n  vrrp_version {version}\n}}\n\
         vrrp_instance vip {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 77\n  priority {priority}\n  \
         advert_int {advert}\n  virtual_ipaddress {{\n    {vip}/16\n  }}\n}}\n"
    )
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // Its children end with it when it is told to.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
