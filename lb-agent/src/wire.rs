//! Frames that the agent itself sends: asks and announcements.

mod frame;

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

pub use frame::Frame;
use lb_common::wire::ethernet::Mac;

use crate::{announcements::Form, election::NodeId, holding::Message, model::Interface};

/// The frame for a message about `vip`, or `None` where there is none: the interface has no address to speak from, the
/// one peer that it is for has none that is known, or NDP has no such form.
///
/// An ask is for one peer where its address is known (RFC 1122, 2.3.2.1; RFC 4861, 7.3.3), otherwise for everyone. The
/// VIPs of a unit are asked for together; everyone is not asked for those outside of the interface's prefixes, for which a
/// router may answer as a proxy.
#[must_use]
pub fn frame(
    message: Message,
    vip: IpAddr,
    interface: &Interface,
    is_vip: impl Fn(IpAddr) -> bool,
    mac_of: impl Fn(NodeId) -> Option<Mac>,
) -> Option<Frame> {
    let mac = interface.mac?;
    match message {
        Message::Ask(to) => match to.and_then(mac_of) {
            None if !interface.covers(vip) => None,
            station => Frame::ask(mac, interface.source_for(vip, is_vip), vip, station),
        },
        Message::Announce(form) => Frame::announcement(mac, vip, form),
        Message::Claim(peer) => Some(Frame::announcement(mac, vip, Form::Request)?.to(mac_of(peer)?)),
    }
}

/// Sends frames on any interface.
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// Opens the socket; it receives nothing.
    ///
    /// # Errors
    /// Without CAP_NET_RAW.
    pub fn new() -> io::Result<Self> {
        Ok(Self { socket: packet_socket(0)? })
    }

    /// The socket, for ioctls about interfaces.
    pub fn socket(&self) -> impl AsFd + '_ {
        &self.socket
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// What send(2) says; `ENETDOWN` and `ENXIO` when the interface is down or gone.
    pub fn send(&self, ifindex: u32, frame: &Frame) -> io::Result<()> {
        let to = link_address(ifindex, 0);
        let bytes = frame.as_bytes();
        // SAFETY: frame and address are alive and as long as said.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_DONTWAIT,
                (&raw const to).cast(),
                len_of::<libc::sockaddr_ll>(),
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Size of a struct, as the socket calls want it.
fn len_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a small struct")
}

fn packet_socket(protocol: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(be16(protocol))) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn be16(protocol: libc::c_int) -> u16 {
    u16::try_from(protocol).unwrap_or(0).to_be()
}

fn link_address(ifindex: u32, protocol: libc::c_int) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).expect("a small number"),
        sll_protocol: be16(protocol),
        sll_ifindex: ifindex.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    }
}

#[cfg(test)]
mod tests;
