//! What IPv4 and IPv6 differ in.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};
use lb_common::reason::Fate;

use crate::{
    arp::{CLIENT_IP, NODE_IP},
    ndp::{CLIENT_IP6, NODE_IP6, NODE_LINK_LOCAL},
};

/// A packet's header, in the terms of the reflector.
pub struct Ip {
    pub is_fragment: bool,
    pub hop_limit: u8,
    pub payload_len: u16,
    pub needs_checksum: bool,
    pub is_for_node: bool,
    /// Why the sender's address is none of a neighbour.
    pub sender_refused: Option<Fate>,
    pub is_from_client: bool,
}

fn is_ipv4(frame: &[u8]) -> bool {
    frame[12..14] == [0x08, 0x00]
}

/// Where UDP begins, if the packet carries it right behind its header.
pub fn udp_at(frame: &[u8]) -> Option<usize> {
    let (protocol_at, header_len) = match is_ipv4(frame) {
        true => (23, usize::from(frame.get(14)? & 0x0f) * 4),
        false => (20, 40),
    };
    (*frame.get(protocol_at)? == IpNumber::UDP.0).then_some(14 + header_len)
}

/// Where UDP begins behind a header without options.
pub fn plain_udp_at(frame: &[u8]) -> usize {
    if is_ipv4(frame) { 34 } else { 54 }
}

impl Ip {
    /// `None`: not such a header as EtherType and reflector want.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if is_ipv4(frame) { Self::v4(&frame[14..]) } else { Self::v6(&frame[14..]) }
    }

    fn v4(packet: &[u8]) -> Option<Self> {
        let header = Ipv4HeaderSlice::from_slice(packet).ok().filter(|header| header.options().is_empty())?;
        let sender = header.source();
        let sender_refused = match sender {
            NODE_IP => Some(Fate::SbfdOwnSource),
            [10, 77, 0, 0] | [10, 77, 255, 255] => Some(Fate::SbfdNotUnicast),
            [10, 77, ..] => None,
            _ => Some(Fate::SbfdOffLink),
        };
        Some(Self {
            is_fragment: header.is_fragmenting_payload(),
            hop_limit: header.ttl(),
            payload_len: header.total_len().wrapping_sub(20),
            needs_checksum: false,
            is_for_node: header.destination() == NODE_IP,
            sender_refused,
            is_from_client: sender == CLIENT_IP,
        })
    }

    fn v6(packet: &[u8]) -> Option<Self> {
        let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
        let (sender, address) = (header.source(), header.source_addr());
        let own = [NODE_IP6, NODE_LINK_LOCAL];
        let sender_refused = if own.contains(&sender) {
            Some(Fate::SbfdOwnSource)
        } else if address.is_multicast() || address.is_unspecified() {
            Some(Fate::SbfdNotUnicast)
        } else if address.is_unicast_link_local() || sender[..8] == NODE_IP6[..8] {
            None
        } else {
            Some(Fate::SbfdOffLink)
        };
        Some(Self {
            is_fragment: false,
            hop_limit: header.hop_limit(),
            payload_len: header.payload_length(),
            needs_checksum: true,
            is_for_node: own.contains(&header.destination()),
            sender_refused,
            is_from_client: sender == CLIENT_IP6,
        })
    }
}
