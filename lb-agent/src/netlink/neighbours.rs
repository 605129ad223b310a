//! The kernel's neighbour cache: which address is at which link-layer address.

use std::{
    io,
    net::{IpAddr, Ipv6Addr},
};

use lb_common::wire::ethernet::Mac;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
};

use super::{NetlinkError, bytes, connect, dump, failed, messages};

/// The neighbours on one interface whose link-layer addresses the kernel knows, of both families.
///
/// # Errors
/// When the kernel refuses or garbles the dump.
pub fn neighbours(ifindex: u32) -> Result<Vec<(IpAddr, Mac)>, NetlinkError> {
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let all = dump(request).map_err(failed("list neighbours"))?;
    Ok(all
        .into_iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == ifindex => {
                resolved(message)
            }
            _ => None,
        })
        .collect())
}

fn resolved(message: NeighbourMessage) -> Option<(IpAddr, Mac)> {
    let (mut address, mut mac) = (None, None);
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(v4.into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(v6.into()),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.try_into().ok(),
            _ => {}
        }
    }
    Some((address?, mac?))
}

/// Has the kernel resolve a neighbour, as if there were a packet for it. The answer comes later, by [`neighbours`].
///
/// # Errors
/// When the kernel refuses.
pub fn solicit(ifindex: u32, address: IpAddr) -> Result<(), NetlinkError> {
    let mut message = message(ifindex, address);
    message.header.flags = NeighbourFlags::Use;
    write(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE).map_err(failed("resolve a neighbour"))
}

/// Has the kernel go on sending to a neighbour where it was last seen, for some seconds, although it may not answer:
/// while it asks for a neighbour anew, it does so but once a second.
///
/// # Errors
/// When the kernel refuses.
pub fn keep(ifindex: u32, address: IpAddr, mac: Mac) -> Result<(), NetlinkError> {
    let mut message = message(ifindex, address);
    message.header.state = NeighbourState::Stale;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let request = RouteNetlinkMessage::NewNeighbour(message);
    write(request, NLM_F_CREATE | NLM_F_REPLACE).map_err(failed("keep a neighbour"))
}

/// The IPv6 addresses that the kernel is a proxy for, each with the index of the interface.
///
/// # Errors
/// When the kernel refuses or garbles the dump.
pub fn proxies() -> Result<Vec<(u32, Ipv6Addr)>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Inet6;
    request.header.flags = NeighbourFlags::Proxy;
    let all = dump(RouteNetlinkMessage::GetNeighbour(request)).map_err(failed("list proxy neighbours"))?;
    Ok(all.into_iter().filter_map(proxied).collect())
}

fn proxied(message: RouteNetlinkMessage) -> Option<(u32, Ipv6Addr)> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let is_proxy = message.header.flags.contains(NeighbourFlags::Proxy);
    message.attributes.into_iter().filter(|_| is_proxy).find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
            Some((message.header.ifindex, address))
        }
        _ => None,
    })
}

/// Has the kernel be a proxy for an IPv6 address on an interface; it may be one already.
///
/// # Errors
/// When the kernel refuses.
pub fn add_proxy(ifindex: u32, address: Ipv6Addr) -> Result<(), NetlinkError> {
    let request = RouteNetlinkMessage::NewNeighbour(proxy(ifindex, address));
    write(request, NLM_F_CREATE).map_err(failed("add a proxy neighbour"))
}

/// Has the kernel be a proxy for an address no longer; it may be none, and the interface may be gone.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_proxy(ifindex: u32, address: Ipv6Addr) -> Result<(), NetlinkError> {
    match write(RouteNetlinkMessage::DelNeighbour(proxy(ifindex, address)), 0) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
        result => result.map_err(failed("remove a proxy neighbour")),
    }
}

fn proxy(ifindex: u32, address: Ipv6Addr) -> NeighbourMessage {
    let mut message = message(ifindex, address.into());
    message.header.flags = NeighbourFlags::Proxy;
    message
}

fn message(ifindex: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = ifindex;
    let (family, destination) = match address {
        IpAddr::V4(v4) => (AddressFamily::Inet, NeighbourAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, NeighbourAddress::Inet6(v6)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(destination));
    message
}

fn write(request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    acknowledged(NetlinkMessage::new(header, NetlinkPayload::from(request)))
}

/// Sends a request that the kernel answers with success or an error.
fn acknowledged(request: NetlinkMessage<RouteNetlinkMessage>) -> io::Result<()> {
    let socket = connect()?;
    socket.send(&bytes(request), 0)?;
    let (datagram, _) = socket.recv_from_full()?;
    for message in messages::<RouteNetlinkMessage>(&datagram) {
        match message.map_err(io::Error::other)?.payload {
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            _ => {}
        }
    }
    Ok(())
}
