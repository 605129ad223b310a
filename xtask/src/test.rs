//! `cargo xtask test`: every test, with one verdict.

use std::time::Instant;

use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    exec::{cargo, show_interruptible},
    testbed,
};

/// What the tests call, besides the agent.
const TOOLS: &[Needed] = &[
    needed("ip", "iproute2"),
    needed("arping", "iputils-arping"),
    needed("ndisc6", "ndisc6"),
    needed("ping", "iputils-ping"),
    needed("tcpdump", "tcpdump"),
    needed("bpftool", "bpftool"),
    needed("tc", "iproute2"),
    needed("nft", "nftables"),
    needed("iptables-restore", "iptables"),
    needed("dbus-daemon", "dbus-daemon"),
    needed("gdbus", "libglib2.0-bin"),
    needed("/usr/lib/python3/dist-packages/dbusmock", "python3-dbusmock"),
    needed("tshark", "tshark"),
    needed("stress-ng", "stress-ng"),
    needed("lxc-start", "lxc"),
    needed("setpriv", "util-linux"),
    needed("umoci", "umoci"),
    needed("skopeo", "skopeo"),
];

/// Builds what the tests need, and runs them all.
///
/// # Errors
/// When something is missing or does not compile, or a test fails.
pub fn run() -> anyhow::Result<()> {
    testbed::require_root("test")?;
    ensure_installed(TOOLS)?;
    let agent = build::agent()?;
    let begun = Instant::now();
    let result = show_interruptible(cargo().args(["test", "--quiet"]).env("LB_AGENT", agent));
    let seconds = begun.elapsed().as_secs();
    match &result {
        Ok(()) => println!("\nVERDICT: all tests passed, in {seconds} s"),
        Err(_) => println!("\nVERDICT: some tests failed, after {seconds} s; see above"),
    }
    result
}
