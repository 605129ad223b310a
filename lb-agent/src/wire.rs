//! Frames that the agent itself sends: asks and announcements.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use lb_common::wire::{arp::Frame, ethernet::Mac};

use crate::{announcements::Form, election::NodeId, holding::Message, model::Interface};

/// The frame for a message about `vip`, or `None` where the interface has no Ethernet address to speak from, or the
/// one peer that it is for has none that is known.
///
/// An ask from an interface without an own address is an ARP Probe (RFC 5227, 2.1.1). To one peer it is sent by
/// unicast (RFC 1122, 2.3.2.1), or to everyone while that peer's address is not known.
#[must_use]
pub fn frame(
    message: Message,
    vip: IpAddr,
    interface: &Interface,
    is_vip: impl Fn(IpAddr) -> bool,
    mac_of: impl Fn(NodeId) -> Option<Mac>,
) -> Option<Frame> {
    let IpAddr::V4(address) = vip else { return None };
    let (mac, vip_octets) = (interface.mac?, address.octets());
    Some(match message {
        Message::Ask(to) => {
            let source = match interface.source_for(vip, is_vip) {
                Some(IpAddr::V4(source)) => source,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let request = Frame::request(mac, source.octets(), vip_octets);
            to.and_then(mac_of).map_or(request, |peer| request.to(peer))
        }
        Message::Announce(Form::Request) => Frame::request(mac, vip_octets, vip_octets),
        Message::Announce(Form::Reply) => Frame::announcement_reply(mac, vip_octets),
        Message::Claim(peer) => Frame::request(mac, vip_octets, vip_octets).to(mac_of(peer)?),
    })
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
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];

    fn interface(addresses: &[(&str, u8)]) -> Interface {
        Interface {
            index: 2,
            name: "eth0".to_owned(),
            mac: Some(MAC),
            is_running: true,
            kind: None,
            lower: None,
            xdp_program: None,
            addresses: addresses.iter().map(|&(address, len)| (address.parse().unwrap(), len)).collect(),
        }
    }

    #[test]
    fn an_ask_comes_from_the_nodes_own_address_never_from_a_vip() {
        let vip: IpAddr = "10.77.1.10".parse().unwrap();
        let interface = interface(&[("10.77.1.10", 16), ("10.77.0.1", 16)]);
        let asked = frame(Message::Ask(None), vip, &interface, |address| address == vip, |_| None).unwrap();
        assert_eq!(asked, Frame::request(MAC, [10, 77, 0, 1], [10, 77, 1, 10]));
    }

    #[test]
    fn an_ask_without_an_own_address_is_a_probe() {
        let vip = "10.77.1.10".parse().unwrap();
        let asked = frame(Message::Ask(None), vip, &interface(&[]), |_| false, |_| None).unwrap();
        assert_eq!(asked, Frame::request(MAC, [0; 4], [10, 77, 1, 10]));
    }

    #[test]
    fn what_is_for_one_peer_goes_to_its_address() {
        const PEER: Mac = [2, 0, 0, 0, 0, 2];
        let vip: IpAddr = "10.77.1.10".parse().unwrap();
        let interface = interface(&[("10.77.0.1", 16)]);
        let to_peer = |message, mac: Option<Mac>| {
            frame(message, vip, &interface, |_| false, |node| mac.filter(|_| node == 7))
        };
        let ask = Frame::request(MAC, [10, 77, 0, 1], [10, 77, 1, 10]);
        assert_eq!(to_peer(Message::Ask(Some(7)), Some(PEER)), Some(ask.to(PEER)));
        assert_eq!(to_peer(Message::Ask(Some(7)), None), Some(ask));
        let claim = Frame::request(MAC, [10, 77, 1, 10], [10, 77, 1, 10]);
        assert_eq!(to_peer(Message::Claim(7), Some(PEER)), Some(claim.to(PEER)));
        assert_eq!(to_peer(Message::Claim(7), None), None);
    }
}
