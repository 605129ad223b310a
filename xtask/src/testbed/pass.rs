//! The smallest XDP program: it passes everything. The far end of a veth pair needs one before the near end can send
//! from XDP.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::Context as _;
use nix::net::if_::if_nametoindex;

use super::bpf::{self, Attributes};

/// `r0 = XDP_PASS; exit`, as `struct bpf_insn`s.
const PASS: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

// SAFETY: the fields of BPF_PROG_LOAD in their order; the pointers lead to statics.
unsafe impl Attributes for ProgLoad {}
// SAFETY: the fields of BPF_LINK_CREATE in their order; no pointers.
unsafe impl Attributes for LinkCreate {}

/// Attaches it in the driver, for as long as the link that is returned stays open.
///
/// # Errors
/// When the kernel refuses the program or the driver XDP.
pub(super) fn attach(interface: &str) -> anyhow::Result<OwnedFd> {
    let mut load = ProgLoad {
        prog_type: BPF_PROG_TYPE_XDP,
        insn_cnt: u32::try_from(PASS.len())?,
        insns: PASS.as_ptr().expose_provenance() as u64,
        license: c"GPL".as_ptr().expose_provenance() as u64,
        expected_attach_type: BPF_XDP,
        ..ProgLoad::default()
    };
    let program = bpf::make(BPF_PROG_LOAD, &mut load).context("load a pass program")?;
    let mut create = LinkCreate {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        target_ifindex: if_nametoindex(interface)?,
        attach_type: BPF_XDP,
        flags: XDP_FLAGS_DRV_MODE,
    };
    bpf::make(BPF_LINK_CREATE, &mut create).with_context(|| format!("attach a pass program to {interface}"))
}
