//! The object as others see it: operators load and look at it with libbpf's tools.

use std::process::Command;

use aya::util::KernelVersion;
use lb_agent::object::OBJECT;

use crate::kernel::not_run;

/// libbpf takes no call of memset or memcpy, which the compiler makes where an array is filled or copied as one.
#[test]
fn the_object_can_be_loaded_by_libbpf() {
    let version = KernelVersion::current().expect("read the kernel's version");
    if version < KernelVersion::new(5, 18, 0) {
        not_run("loading by libbpf", "without multi-buffer XDP libbpf refuses the object as a whole");
        return;
    }
    let directory = tempfile::tempdir().expect("make a directory");
    let (object, pins) = (directory.path().join("lb.bpf.o"), directory.path().join("pins"));
    std::fs::write(&object, OBJECT).expect("write the object");
    std::fs::create_dir(&pins).expect("make a directory");
    let bpffs = Bpffs::mount(pins);
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["prog", "loadall"]).arg(&object).arg(bpffs.0.join("programs"));
    let output = bpftool.output().expect("run bpftool (Debian: bpftool)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A bpffs of its own, so that nothing is left behind.
struct Bpffs(std::path::PathBuf);

impl Bpffs {
    fn mount(at: std::path::PathBuf) -> Self {
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("bpf"), &at, Some("bpf"), flags, None::<&str>).expect("mount a bpffs");
        Self(at)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}
