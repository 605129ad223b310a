//! A session's socket.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::{AsFd, AsRawFd},
};

use lb_common::wire::bfd::{CONTROL_LEN, ON_LINK_TTL, SBFD_PORT};
use nix::{
    cmsg_space,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socket,
        sockopt,
    },
};

use super::{SessionKey, Target};
use crate::sys::set_option;

/// Ports to choose from (RFC 6335, 6).
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// Ports that are tried before the session has to wait for the next probe.
const TRIES: usize = 8;
/// Tries to send or receive. Each takes off an error that ICMP has left on the socket, which anyone may have sent: that is
/// no verdict, and no reason to hold a probe back or to leave an answer unread.
const TRIES_PAST_ERRORS: usize = 8;
/// Network control (RFC 2474: CS6), as the probes of a routing protocol.
const CS6: i32 = 0xc0;

/// A UDP socket that hears one peer's reflector, and nobody else.
#[derive(Debug)]
pub(super) struct Socket(UdpSocket);

impl Socket {
    /// Opens one on a random port. Bound to the interface and connected to the peer, it is handed nothing that comes
    /// from another address or port.
    pub(super) fn open(key: SessionKey, target: Target, random: &mut fastrand::Rng) -> io::Result<Self> {
        let family = if key.peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let mut result = Err(io::Error::from(io::ErrorKind::AddrInUse));
        for _ in 0..TRIES {
            let fd = socket(family, SockType::Datagram, flags, None)?;
            let ifindex = key.ifindex.cast_signed();
            set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, &ifindex)?;
            match key.peer {
                IpAddr::V4(_) => {
                    setsockopt(&fd, sockopt::Ipv4Ttl, &i32::from(ON_LINK_TTL))?;
                    setsockopt(&fd, sockopt::Ipv4RecvTtl, &true)?;
                    setsockopt(&fd, sockopt::Ipv4Tos, &CS6)?;
                    // On veth and virtio a checksum is left to the device, and not made when XDP sees the frame: what
                    // the reflector then sends back would not be right. The frame has its own.
                    set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, &1_i32)?;
                }
                IpAddr::V6(_) => {
                    setsockopt(&fd, sockopt::Ipv6Ttl, &i32::from(ON_LINK_TTL))?;
                    setsockopt(&fd, sockopt::Ipv6RecvHopLimit, &true)?;
                    setsockopt(&fd, sockopt::Ipv6TClass, &CS6)?;
                    // RFC 8200, 8.1, wants a checksum: the reflector makes a new one where it cannot mend it.
                }
            }
            let udp = UdpSocket::from(fd);
            result = bind(&udp, on_link(target.local, random.u16(DYNAMIC_PORTS), key.ifindex));
            match &result {
                Ok(()) => {
                    udp.connect(on_link(key.peer, SBFD_PORT, key.ifindex))?;
                    return Ok(Self(udp));
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(_) => break,
            }
        }
        Err(result.err().unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    /// Sends a probe, whatever ICMP has reported meanwhile.
    pub(super) fn send(&self, packet: &[u8; CONTROL_LEN]) -> io::Result<()> {
        let try_once = || self.0.send(packet).map(drop);
        (1..TRIES_PAST_ERRORS).map(|_| try_once()).find(Result::is_ok).unwrap_or_else(try_once)
    }

    /// The next datagram with its TTL, written to `buffer`; `None` when there is none, or nothing but errors.
    pub(super) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<(u8, &'a [u8])> {
        for _ in 0..TRIES_PAST_ERRORS {
            let mut control = cmsg_space!(i32);
            let mut parts = [io::IoSliceMut::new(buffer)];
            let message =
                recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT);
            match message {
                Ok(message) => {
                    let mut ttls =
                        message.cmsgs().into_iter().flatten().filter_map(|message| match message {
                            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                                u8::try_from(ttl).ok()
                            }
                            _ => None,
                        });
                    let (ttl, len) = (ttls.next().unwrap_or(0), message.bytes);
                    return Some((ttl, &buffer[..len]));
                }
                Err(nix::errno::Errno::EAGAIN) => return None,
                Err(_) => {}
            }
        }
        None
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The address on one link: a link-local one means nothing without (RFC 4007, 6).
fn on_link(address: IpAddr, port: u16, ifindex: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => SocketAddrV4::new(address, port).into(),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, ifindex).into(),
    }
}

fn bind(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    use nix::sys::socket::{SockaddrStorage, bind};
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address)).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv6Addr, time::Duration};

    use super::*;

    /// A session on the loopback.
    fn session(local: &str, peer: &str) -> (Socket, IpAddr) {
        let (local, peer) = (local.parse().unwrap(), peer.parse().unwrap());
        let target = Target { local, your_discriminator: 1 };
        let key = SessionKey { ifindex: 1, peer };
        (Socket::open(key, target, &mut fastrand::Rng::new()).unwrap(), peer)
    }

    fn reflector(address: IpAddr) -> UdpSocket {
        let reflector = UdpSocket::bind((address, SBFD_PORT)).unwrap();
        reflector.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        reflector
    }

    #[test]
    fn a_probe_goes_out_although_icmp_has_reported_a_closed_port() {
        let (socket, peer) = session("127.0.0.1", "127.0.78.4");
        socket.send(&[1; CONTROL_LEN]).unwrap(); // the loopback reports it before this returns
        let reflector = reflector(peer);
        socket.send(&[2; CONTROL_LEN]).unwrap();
        let mut received = [0; CONTROL_LEN];
        reflector.recv(&mut received).expect("the second probe");
        assert_eq!(received, [2; CONTROL_LEN]);
    }

    #[test]
    fn probes_and_answers_are_marked_as_on_link_in_both_families() {
        let localhost = Ipv6Addr::LOCALHOST.to_string();
        for (local, peer) in [("127.0.0.1", "127.0.78.5"), (localhost.as_str(), localhost.as_str())] {
            let (socket, peer) = session(local, peer);
            let reflector = reflector(peer);
            socket.send(&[1; CONTROL_LEN]).unwrap();
            let mut buffer = [0; 128];
            let (len, initiator) = reflector.recv_from(&mut buffer).expect("a probe");
            reflector.send_to(&buffer[..len], initiator).unwrap();
            let (ttl, answer) = (0..200)
                .find_map(|_| {
                    std::thread::sleep(Duration::from_millis(10));
                    socket.receive(&mut [0; 128]).map(|(ttl, bytes)| (ttl, bytes.to_vec()))
                })
                .expect("an answer");
            assert_eq!((ttl, answer), (64, vec![1; CONTROL_LEN]), "{peer}");
            let sent_with = match peer {
                IpAddr::V4(_) => nix::sys::socket::getsockopt(&socket, sockopt::Ipv4Ttl),
                IpAddr::V6(_) => nix::sys::socket::getsockopt(&socket, sockopt::Ipv6Ttl),
            };
            assert_eq!(sent_with, Ok(i32::from(ON_LINK_TTL)), "{peer}");
        }
    }
}
