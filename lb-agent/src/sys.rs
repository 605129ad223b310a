//! Kernel calls that no crate of ours offers. Each is one thin function.

use std::{
    ffi::CString,
    io, mem,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_DETACH: libc::c_int = 34;

/// What a BPF link does now (`struct bpf_link_info`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkState {
    /// Id of the program that it runs.
    pub program_id: u32,
    /// Interface that it is attached to; 0 when it has been detached. XDP and tcx links both have it here.
    pub ifindex: u32,
}

#[repr(C)]
#[derive(Default)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct InfoByFd {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// The head of `struct bpf_link_info`; the kernel fills as much as it is given room for.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    ifindex: u32,
    attach_type: u32,
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: every caller passes the attribute struct of its command, alive and of the size given.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Opens the BPF link that is pinned at `path`.
fn open_link(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut get = ObjGet { pathname: path.as_ptr().expose_provenance() as u64, ..ObjGet::default() };
    let fd = bpf(BPF_OBJ_GET, &mut get)?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Detaches the BPF link that is pinned at `path`, now: one whose pin is removed is detached when the kernel gets to it.
///
/// # Errors
/// `NotFound` when nothing is pinned there; otherwise what bpf(2) says.
pub fn detach_link(path: &Path) -> io::Result<()> {
    let link = open_link(path)?;
    bpf(BPF_LINK_DETACH, &mut LinkDetach { link_fd: link.as_raw_fd().cast_unsigned() }).map(drop)
}

/// State of the BPF link that is pinned at `path`.
///
/// # Errors
/// `NotFound` when nothing is pinned there; otherwise what bpf(2) says.
pub fn pinned_link(path: &Path) -> io::Result<LinkState> {
    let link = open_link(path)?;
    let mut info = LinkInfo::default();
    let mut by_fd = InfoByFd {
        bpf_fd: link.as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of::<LinkInfo>()).expect("a small struct"),
        info: std::ptr::from_mut(&mut info).expose_provenance() as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut by_fd)?;
    Ok(LinkState { program_id: info.program_id, ifindex: info.ifindex })
}

/// Sets a socket option that nix does not know, or not with this value.
///
/// # Errors
/// What setsockopt(2) says.
pub fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).expect("a small struct");
    // SAFETY: the value is alive and as long as said.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the NIC takes VLAN tags off incoming frames (`ethtool -k`: rx-vlan-offload).
///
/// # Errors
/// What ioctl(2) says; a driver that does not know the question strips nothing.
pub fn strips_vlan_tags(socket: BorrowedFd<'_>, interface: &str) -> io::Result<bool> {
    const ETHTOOL_GFLAGS: u32 = 0x25;
    const ETH_FLAG_RXVLAN: u32 = 1 << 8;
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let mut value = Value { command: ETHTOOL_GFLAGS, data: 0 };
    // SAFETY: all zero is a value of this struct of integers and pointers.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut value).cast();
    // SAFETY: name and data are as SIOCETHTOOL wants them, and alive.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    match result {
        0 => Ok(value.data & ETH_FLAG_RXVLAN != 0),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            error => Err(error),
        },
    }
}
