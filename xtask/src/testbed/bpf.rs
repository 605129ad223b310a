//! The bpf(2) system call, for the little that the test bed asks of it.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// The attribute struct of a bpf(2) command.
///
/// # Safety
/// The type is laid out as the kernel's `union bpf_attr` for the commands that it is passed with, and each pointer in
/// it leads to memory that is alive, and as long as that command takes it to be.
pub(super) unsafe trait Attributes {}

/// A command whose result is a number.
pub(super) fn call<T: Attributes>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_long> {
    let len = size_of_val(attributes);
    // SAFETY: the trait's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A command that makes a descriptor.
pub(super) fn make<T: Attributes>(command: libc::c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(call(command, attributes)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
