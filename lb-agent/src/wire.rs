//! Frames that the agent itself sends and hears: asks and announcements out, answers of other stations in.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use lb_common::wire::{
    arp::{Frame, Kind},
    ethernet::Mac,
};

use crate::{
    announcements::Form,
    holding::Message,
    model::{Interface, Place},
    readable::Readable,
};

/// The frame for a message about `vip`, or `None` where the interface has no Ethernet address to speak from.
///
/// An ask from an interface without an own address is an ARP Probe (RFC 5227, 2.1.1).
#[must_use]
pub fn frame(
    message: Message,
    vip: IpAddr,
    interface: &Interface,
    is_vip: impl Fn(IpAddr) -> bool,
) -> Option<Frame> {
    let IpAddr::V4(address) = vip else { return None };
    let (mac, vip_octets) = (interface.mac?, address.octets());
    Some(match message {
        Message::Ask => {
            let source = match interface.source_for(vip, is_vip) {
                Some(IpAddr::V4(source)) => source,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            Frame::request(mac, source.octets(), vip_octets)
        }
        Message::Announce(Form::Request) => Frame::request(mac, vip_octets, vip_octets),
        Message::Announce(Form::Reply) => Frame::announcement_reply(mac, vip_octets),
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

/// Hears what other stations say that they have: ARP replies and announcements, on every interface.
pub struct Listener {
    socket: Readable<OwnedFd>,
}

impl Listener {
    /// Begins to listen. Open it only while answers matter: it costs every ARP frame a filter run.
    ///
    /// # Errors
    /// Without CAP_NET_RAW.
    pub fn new() -> io::Result<Self> {
        let socket = packet_socket(libc::ETH_P_ARP)?;
        attach_filter(&socket)?;
        Ok(Self { socket: Readable::new(socket)? })
    }

    /// Waits for a frame.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn wait(&self) -> io::Result<()> {
        self.socket.wait().await
    }

    /// Takes what has been heard, in order: who says that it has which address where.
    #[must_use]
    pub fn heard(&self) -> Vec<(Place, Mac)> {
        std::iter::from_fn(|| receive(self.socket.get_ref())).flatten().collect()
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

/// Lets through `oper` 2, and requests with `spa` = `tpa`; of each as many bytes as an ARP frame has.
fn attach_filter(socket: &OwnedFd) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's own type for the codes is u16")]
    const fn op(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
    let frame_len = u32::try_from(lb_common::wire::arp::FRAME_LEN).expect("42");
    const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ;
    let mut filter = [
        op(LOAD_HALF, 0, 0, 20),                          // oper
        op(IF_EQUAL | libc::BPF_K, 4, 0, 2),              // reply
        op(LOAD_WORD, 0, 0, 28),                          // spa
        op(libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0),      //
        op(LOAD_WORD, 0, 0, 38),                          // tpa
        op(IF_EQUAL | libc::BPF_X, 0, 1, 0),              // announcement
        op(libc::BPF_RET | libc::BPF_K, 0, 0, frame_len), //
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),         //
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("eight instructions"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its instructions are alive, and its length is theirs.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            len_of::<libc::sock_fprog>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The next frame: `None` when there is none, `Some(None)` when it is our own or says nothing.
fn receive(socket: &OwnedFd) -> Option<Option<(Place, Mac)>> {
    let mut bytes = [0_u8; 64];
    let mut from = link_address(0, 0);
    let mut from_len = len_of::<libc::sockaddr_ll>();
    // SAFETY: buffer and address are alive and as long as said.
    let len = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            bytes.as_mut_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT,
            (&raw mut from).cast(),
            &raw mut from_len,
        )
    };
    let len = usize::try_from(len).ok()?;
    if from.sll_pkttype == libc::PACKET_OUTGOING {
        return Some(None);
    }
    Some(claim(&bytes[..len]).map(|(address, station)| {
        (Place { ifindex: from.sll_ifindex.cast_unsigned(), address: address.into() }, station)
    }))
}

/// Which address the frame's sender says that it has. A probe's sender says nothing (RFC 5227, 1.1).
fn claim(bytes: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    match Frame::parse(bytes).ok()? {
        (frame, Kind::Reply | Kind::Announcement) => Some((frame.spa.into(), frame.sha)),
        (_, Kind::Request) => None,
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
        let asked = frame(Message::Ask, vip, &interface, |address| address == vip).unwrap();
        assert_eq!(asked, Frame::request(MAC, [10, 77, 0, 1], [10, 77, 1, 10]));
    }

    #[test]
    fn an_ask_without_an_own_address_is_a_probe() {
        let vip = "10.77.1.10".parse().unwrap();
        let asked = frame(Message::Ask, vip, &interface(&[]), |_| false).unwrap();
        assert_eq!(asked, Frame::request(MAC, [0; 4], [10, 77, 1, 10]));
    }

    #[test]
    fn replies_and_announcements_are_claims_and_requests_are_not() {
        let stranger = [2, 0, 0, 0, 0, 9];
        let address = [10, 77, 1, 10];
        let claimed = |frame: Frame| claim(frame.as_bytes());
        assert_eq!(claimed(Frame::request(stranger, address, address)), Some((address.into(), stranger)));
        assert_eq!(claimed(Frame::announcement_reply(stranger, address)), Some((address.into(), stranger)));
        assert_eq!(claimed(Frame::request(stranger, [0; 4], address)), None);
    }
}
