//! Raw frames on an interface, from inside a network namespace.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    net::if_::if_nametoindex,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::segment::{Host, INTERFACE};

/// A packet socket on one interface; it receives frames of one EtherType.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// Opens one on a host's interface, for incoming frames of `ethertype` (host byte order).
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or when the host's namespace cannot be entered.
    pub fn open(host: &Host, ethertype: u16) -> anyhow::Result<Self> {
        let opened = host.netns.run(|| Self::open_here(INTERFACE, ethertype))?;
        opened.with_context(|| format!("open a packet socket on {INTERFACE} of {}", host.name))
    }

    /// The same for sending only: what arrives costs nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_deaf(host: &Host) -> anyhow::Result<Self> {
        Self::open(host, 0)
    }

    /// The same on `interface` of the calling thread's namespace.
    fn open_here(interface: &str, ethertype: u16) -> io::Result<Self> {
        let protocol = ethertype.to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol)) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let address = libc::sockaddr_ll {
            sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).expect("a small number"),
            sll_protocol: protocol,
            sll_ifindex: if_nametoindex(interface)?.cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let len = libc::socklen_t::try_from(size_of_val(&address)).expect("a small struct");
        // SAFETY: the address is alive and as long as said.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { fd }) }
    }

    /// Sends a whole frame.
    ///
    /// # Errors
    /// What send(2) says.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        nix::unistd::write(&self.fd, frame).map(drop).map_err(io::Error::from)
    }

    /// Receives a frame into `buffer`, or `None` when `timeout` has passed.
    ///
    /// # Errors
    /// What poll(2) or read(2) says.
    pub fn receive<'a>(&self, buffer: &'a mut [u8], timeout: Duration) -> io::Result<Option<&'a [u8]>> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Ok(None);
        }
        let len = nix::unistd::read(&self.fd, buffer)?;
        Ok(Some(&buffer[..len]))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
