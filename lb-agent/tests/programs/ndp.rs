//! Neighbor Solicitations and Advertisements as bytes, built by hand from RFC 4861, and answers, built by etherparse: the
//! tests share no code with what they test.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Type, PacketBuilder, icmpv6::NeighborAdvertisementHeader};

use crate::{
    arp::{CLIENT, Mac},
    checksum::Checksum,
};

pub type Ipv6 = [u8; 16];

pub const CLIENT_IP6: Ipv6 = ipv6([0xfe80, 0, 0, 0, 0, 0, 0, 0x200]);
pub const NODE_LINK_LOCAL: Ipv6 = ipv6([0xfe80, 0, 0, 0, 0, 0, 0, 2]);
pub const NODE_IP6: Ipv6 = ipv6([0xfd00, 0x77, 0, 0, 0, 0, 0, 2]);
pub const NODE_MASK: Ipv6 = ipv6([0xffff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0]);
pub const VIP6: Ipv6 = ipv6([0xfd00, 0x77, 1, 0, 0, 0, 0x12, 0x3410]);
/// Another address, in another group.
pub const OTHER6: Ipv6 = ipv6([0xfd00, 0x77, 1, 0, 0, 0, 0x12, 0x3499]);
/// The group of [`VIP6`], and its link-layer address.
pub const VIP_GROUP: Ipv6 = ipv6([0xff02, 0, 0, 0, 0, 1, 0xff12, 0x3410]);
pub const VIP_GROUP_MAC: Mac = [0x33, 0x33, 0xff, 0x12, 0x34, 0x10];
pub const ALL_NODES: Ipv6 = ipv6([0xff02, 0, 0, 0, 0, 0, 0, 1]);
pub const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
pub const NOBODY: Ipv6 = [0; 16];

pub const SOLICITED: u8 = 0x40;
pub const OVERRIDE: u8 = 0x20;

const fn ipv6([a, b, c, d, e, f, g, h]: [u16; 8]) -> Ipv6 {
    Ipv6Addr::new(a, b, c, d, e, f, g, h).octets()
}

/// A message, field by field.
#[derive(Clone, Debug)]
pub struct Ndp {
    pub destination: Mac,
    pub source: Mac,
    pub version_class: u8,
    /// `None`: as long as it is.
    pub payload_len: Option<u16>,
    pub next_header: u8,
    pub hop_limit: u8,
    pub sender: Ipv6,
    pub receiver: Ipv6,
    /// Between IPv6 header and message.
    pub extension: Vec<u8>,
    pub message_type: u8,
    pub code: u8,
    pub checksum: Checksum,
    pub flags: u8,
    pub target: Ipv6,
    pub options: Vec<u8>,
}

/// The option with a source link-layer address.
pub fn source_address(mac: Mac) -> Vec<u8> {
    [&[1, 1], &mac[..]].concat()
}

/// The option with a target link-layer address.
pub fn target_address(mac: Mac) -> Vec<u8> {
    [&[2, 1], &mac[..]].concat()
}

/// The group in which an address is asked for, and its link-layer address (RFC 4291, 2.7.1; RFC 2464, 7).
pub fn group(address: Ipv6) -> (Ipv6, Mac) {
    let mut group = ipv6([0xff02, 0, 0, 0, 0, 1, 0xff00, 0]);
    group[13..].copy_from_slice(&address[13..]);
    (group, [0x33, 0x33, 0xff, address[13], address[14], address[15]])
}

/// The client asks the VIP's group for it.
pub fn solicitation() -> Ndp {
    Ndp {
        destination: VIP_GROUP_MAC,
        source: CLIENT,
        version_class: 0x60,
        payload_len: None,
        next_header: 58,
        hop_limit: 255,
        sender: CLIENT_IP6,
        receiver: VIP_GROUP,
        extension: vec![],
        message_type: 135,
        code: 0,
        checksum: Checksum::Right,
        flags: 0,
        target: VIP6,
        options: source_address(CLIENT),
    }
}

/// The station `mac` says to all nodes that it has the VIP.
pub fn advertisement(mac: Mac) -> Ndp {
    Ndp {
        destination: ALL_NODES_MAC,
        source: mac,
        sender: VIP6,
        receiver: ALL_NODES,
        message_type: 136,
        flags: OVERRIDE,
        options: target_address(mac),
        ..solicitation()
    }
}

impl Ndp {
    pub fn bytes(&self) -> Vec<u8> {
        let mut message =
            [&[self.message_type, self.code, 0, 0, self.flags, 0, 0, 0], &self.target[..], &self.options]
                .concat();
        let whole_len = u16::try_from(self.extension.len() + message.len()).expect("a short message");
        let payload_len = self.payload_len.unwrap_or(whole_len).to_be_bytes();
        let len = usize::from(u16::from_be_bytes(payload_len)).min(message.len());
        let pseudo_header =
            [&self.sender[..], &self.receiver, &[0, 0], &payload_len, &[0, 0, 0, 58]].concat();
        let mut counted = message[..len].to_vec();
        counted.resize(len.next_multiple_of(2), 0);
        let checksum = self.checksum.of(&[&pseudo_header, &counted]);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        [
            &self.destination[..],
            &self.source,
            &[0x86, 0xdd, self.version_class, 0, 0, 0],
            &payload_len,
            &[self.next_header, self.hop_limit],
            &self.sender,
            &self.receiver,
            &self.extension,
            &message,
        ]
        .concat()
    }

    /// The bytes with padding up to `len`.
    pub fn padded(&self, len: usize, padding: u8) -> Vec<u8> {
        let mut bytes = self.bytes();
        bytes.resize(len.max(bytes.len()), padding);
        bytes
    }

    /// The answer of a station `mac` to this solicitation (RFC 4861, 7.2.4), as etherparse writes it.
    pub fn answered_by(&self, mac: Mac) -> Vec<u8> {
        let is_probe = self.sender == NOBODY;
        let (station, receiver) =
            if is_probe { (ALL_NODES_MAC, ALL_NODES) } else { (self.source, self.sender) };
        let flags = NeighborAdvertisementHeader { router: false, solicited: !is_probe, r#override: true };
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2(mac, station)
            .ipv6(self.target, receiver, 255)
            .icmpv6(Icmpv6Type::NeighborAdvertisement(flags))
            .write(&mut bytes, &[&self.target[..], &target_address(mac)].concat())
            .expect("a well-formed packet");
        bytes
    }
}
