//! Interfaces, neighbours and tc filters as the kernel tells them by rtnetlink, and the events that say when to ask again.

mod addresses;
mod default_route;
mod neighbours;

use std::{fmt::Debug, io, os::fd::AsRawFd};

pub use default_route::default_route_interface;
pub use neighbours::{add_proxy, keep, neighbours, proxies, remove_proxy, solicit};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::AddressMessage,
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp},
    tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::{model::Interface, readable::Readable};

/// A question to the kernel that went wrong.
#[derive(Debug, thiserror::Error)]
#[error("rtnetlink: {operation}: {source}")]
pub struct NetlinkError {
    operation: &'static str,
    #[source]
    source: io::Error,
}

impl NetlinkError {
    /// What the kernel said, as a number.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    #[cfg(test)]
    pub(crate) fn of(operation: &'static str, errno: i32) -> Self {
        failed(operation)(io::Error::from_raw_os_error(errno))
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> NetlinkError {
    move |source| NetlinkError { operation, source }
}

/// All interfaces of this network namespace with their addresses, by index.
///
/// # Errors
/// When the kernel refuses or garbles a dump.
pub fn interfaces() -> Result<Vec<Interface>, NetlinkError> {
    let links = dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).map_err(failed("list links"))?;
    let addresses =
        dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).map_err(failed("list addresses"))?;
    let mut interfaces: Vec<Interface> = links.into_iter().filter_map(interface).collect();
    interfaces.sort_by_key(|interface| interface.index);
    let mut addresses: Vec<AddressMessage> = addresses
        .into_iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(message) => Some(message),
            _ => None,
        })
        .collect();
    addresses.sort_by_key(addresses::transience);
    for message in addresses {
        let Some(address) = addresses::own(&message) else { continue };
        if let Ok(at) = interfaces.binary_search_by_key(&message.header.index, |interface| interface.index) {
            let Interface { addresses, unsettled, .. } = &mut interfaces[at];
            let list = if addresses::is_settled(&message) { addresses } else { unsettled };
            list.push((address, message.header.prefix_len));
        }
    }
    Ok(interfaces)
}

fn interface(message: RouteNetlinkMessage) -> Option<Interface> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let flags = message.header.flags;
    let is_ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    let mut interface = Interface {
        index: message.header.index,
        name: String::new(),
        mac: None,
        is_up: flags.contains(LinkFlags::Up),
        is_running: flags.contains(LinkFlags::Up | LinkFlags::Running),
        is_noarp: flags.contains(LinkFlags::Noarp),
        master: None,
        kind: None,
        lower: None,
        xdp_program: None,
        unsettled: Vec::new(),
        addresses: Vec::new(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = name,
            LinkAttribute::Address(mac) if is_ethernet => interface.mac = mac.try_into().ok(),
            LinkAttribute::Controller(master) if master != 0 => interface.master = Some(master),
            LinkAttribute::Link(lower) => interface.lower = Some(lower),
            LinkAttribute::LinkInfo(infos) => {
                interface.kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind_name(&kind)),
                    _ => None,
                });
            }
            LinkAttribute::Xdp(xdp) => {
                interface.xdp_program = xdp.into_iter().find_map(|attribute| match attribute {
                    LinkXdp::ProgId(id) if id != 0 => Some(id),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(interface)
}

fn kind_name(kind: &InfoKind) -> String {
    kind.to_string()
}

/// Id of the BPF program that a tc filter of this priority runs at `parent` (`major:minor` as one number), or `None`.
///
/// # Errors
/// When the kernel refuses or garbles the dump.
pub fn tc_program(ifindex: u32, parent: u32, priority: u16) -> Result<Option<u32>, NetlinkError> {
    let mut request = TcMessage::default();
    request.header.index = i32::try_from(ifindex).unwrap_or(0);
    request.header.parent = parent.into();
    let filters = dump(RouteNetlinkMessage::GetTrafficFilter(request)).map_err(failed("list tc filters"))?;
    Ok(filters.into_iter().find_map(|message| match message {
        // The priority stands in the upper half of the header's `info`.
        RouteNetlinkMessage::NewTrafficFilter(filter) if filter.header.info >> 16 == u32::from(priority) => {
            filter.attributes.iter().find_map(program_id)
        }
        _ => None,
    }))
}

fn program_id(attribute: &TcAttribute) -> Option<u32> {
    let TcAttribute::Options(options) = attribute else { return None };
    options.iter().find_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(*id),
        _ => None,
    })
}

/// Sends a dump request and collects the answer.
fn dump(request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let socket = connect()?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    socket.send(&bytes(NetlinkMessage::new(header, NetlinkPayload::from(request))), 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for message in messages::<RouteNetlinkMessage>(&datagram) {
            match message.map_err(io::Error::other)?.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Done(_) => return Ok(answers),
                _ => {}
            }
        }
    }
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn bytes<T: NetlinkSerializable + Debug>(mut message: NetlinkMessage<T>) -> Vec<u8> {
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The messages of one datagram.
fn messages<T: NetlinkDeserializable>(
    datagram: &[u8],
) -> impl Iterator<Item = Result<NetlinkMessage<T>, netlink_packet_core::DecodeError>> {
    const ALIGNMENT: usize = 4; // NLMSG_ALIGNTO
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkMessage::<T>::deserialize(rest);
        let len = match &message {
            Ok(message) => (message.header.length as usize).next_multiple_of(ALIGNMENT),
            Err(_) => rest.len(),
        };
        rest = rest.get(len.max(ALIGNMENT)..).unwrap_or(&[]);
        Some(message)
    })
}

/// Hears of links, addresses and routes that change.
pub struct Monitor {
    socket: Readable<Socket>,
}

impl Monitor {
    /// Joins the multicast groups.
    ///
    /// # Errors
    /// When the kernel has no socket to give.
    pub fn new() -> Result<Self, NetlinkError> {
        let groups = libc::RTMGRP_LINK
            | libc::RTMGRP_IPV4_IFADDR
            | libc::RTMGRP_IPV4_ROUTE
            | libc::RTMGRP_IPV6_IFADDR
            | libc::RTMGRP_IPV6_ROUTE;
        let open = || -> io::Result<Readable<Socket>> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, groups.cast_unsigned()))?;
            socket.set_non_blocking(true)?;
            Readable::new(socket)
        };
        Ok(Self { socket: open().map_err(failed("listen for changes"))? })
    }

    /// Waits until something has changed; whatever else has changed by then is covered by the same answer.
    ///
    /// # Errors
    /// When the socket fails; lost events are none, they count as a change.
    pub async fn changed(&self) -> Result<(), NetlinkError> {
        loop {
            self.socket.wait().await.map_err(failed("wait for changes"))?;
            if is_news(self.socket.get_ref()) {
                return Ok(());
            }
        }
    }
}

/// Empties the socket. Routes matter only where they are default routes.
fn is_news(socket: &Socket) -> bool {
    let mut has_news = false;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        // SAFETY: the buffer is alive and as long as said; MSG_TRUNC is not asked for, so at most that is written.
        let len = unsafe {
            libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
        };
        let Ok(len) = usize::try_from(len) else {
            let lost_events = io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
            if lost_events {
                has_news = true;
                continue;
            }
            return has_news;
        };
        has_news |= messages::<RouteNetlinkMessage>(&buffer[..len]).any(|message| match message {
            Ok(NetlinkMessage {
                payload:
                    NetlinkPayload::InnerMessage(
                        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
                    ),
                ..
            }) => route.header.destination_prefix_length == 0,
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_among_the_interfaces_and_has_no_ethernet_address() {
        let interfaces = interfaces().unwrap();
        let lo = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert_eq!((lo.index, lo.mac, lo.kind.as_deref()), (1, None, None));
    }
}
