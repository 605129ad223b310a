//! IP headers, field by field, by hand from RFC 791 and RFC 8200.

use std::{fmt::Debug, net::IpAddr};

use crate::{
    arp::{CLIENT_IP, Ipv4, NODE_IP},
    checksum::internet_checksum,
    family::Family,
    ndp::{CLIENT_IP6, Ipv6, NODE_LINK_LOCAL},
};

/// What the same sentences about probes are said of.
pub trait Ip: Copy + Debug {
    const FAMILY: Family;
    /// From the client to the node, with a Control packet.
    const RIGHT: Self;

    fn bytes(&self) -> Vec<u8>;
    fn pseudo_header(&self, udp_len: u16) -> Vec<u8>;
    /// With the addresses in each other's place.
    fn turned(self) -> Self;
    fn hop_limit(self, hop_limit: u8) -> Self;
    /// With the length changed by so much.
    fn longer(self, by: i8) -> Self;
    fn protocol(self, protocol: u8) -> Self;
    fn version(self, version: u8) -> Self;
    fn from(self, address: IpAddr) -> Self;
    fn to(self, address: IpAddr) -> Self;
}

#[derive(Clone, Copy, Debug)]
pub struct IpV4 {
    pub version_ihl: u8,
    pub options: &'static [u8],
    pub total_len: u16,
    pub flags_fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub sender: Ipv4,
    pub receiver: Ipv4,
}

#[derive(Clone, Copy, Debug)]
pub struct IpV6 {
    pub version_class: u8,
    pub payload_len: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub sender: Ipv6,
    pub receiver: Ipv6,
}

fn v4(address: IpAddr) -> Ipv4 {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => panic!("{address} in IPv4"),
    }
}

fn v6(address: IpAddr) -> Ipv6 {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("{address} in IPv6"),
    }
}

impl Ip for IpV4 {
    const FAMILY: Family = Family::Ipv4;
    const RIGHT: Self = Self {
        version_ihl: 0x45,
        options: &[],
        total_len: 52,
        flags_fragment: 0x4000,
        ttl: 255,
        protocol: 17,
        sender: CLIENT_IP,
        receiver: NODE_IP,
    };

    fn bytes(&self) -> Vec<u8> {
        let mut ip = vec![self.version_ihl, 0xc0];
        ip.extend_from_slice(&self.total_len.to_be_bytes());
        ip.extend_from_slice(&[0x12, 0x34]);
        ip.extend_from_slice(&self.flags_fragment.to_be_bytes());
        ip.extend_from_slice(&[self.ttl, self.protocol, 0, 0]);
        ip.extend_from_slice(&self.sender);
        ip.extend_from_slice(&self.receiver);
        ip.extend_from_slice(self.options);
        let checksum = internet_checksum(&[&ip]);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        ip
    }

    fn pseudo_header(&self, udp_len: u16) -> Vec<u8> {
        [&self.sender[..], &self.receiver, &[0, 17], &udp_len.to_be_bytes()].concat()
    }

    fn turned(self) -> Self {
        Self { sender: self.receiver, receiver: self.sender, ..self }
    }

    fn hop_limit(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    fn longer(self, by: i8) -> Self {
        Self { total_len: self.total_len.wrapping_add_signed(by.into()), ..self }
    }

    fn protocol(self, protocol: u8) -> Self {
        Self { protocol, ..self }
    }

    fn version(self, version: u8) -> Self {
        Self { version_ihl: version << 4 | self.version_ihl & 0x0f, ..self }
    }

    fn from(self, address: IpAddr) -> Self {
        Self { sender: v4(address), ..self }
    }

    fn to(self, address: IpAddr) -> Self {
        Self { receiver: v4(address), ..self }
    }
}

impl Ip for IpV6 {
    const FAMILY: Family = Family::Ipv6;
    const RIGHT: Self = Self {
        version_class: 0x6c,
        payload_len: 32,
        next_header: 17,
        hop_limit: 255,
        sender: CLIENT_IP6,
        receiver: NODE_LINK_LOCAL,
    };

    fn bytes(&self) -> Vec<u8> {
        let [high, low] = self.payload_len.to_be_bytes();
        let fixed = [self.version_class, 0x01, 0x23, 0x45, high, low, self.next_header, self.hop_limit];
        [&fixed[..], &self.sender, &self.receiver].concat()
    }

    fn pseudo_header(&self, udp_len: u16) -> Vec<u8> {
        [&self.sender[..], &self.receiver, &[0, 0], &udp_len.to_be_bytes(), &[0, 0, 0, 17]].concat()
    }

    fn turned(self) -> Self {
        Self { sender: self.receiver, receiver: self.sender, ..self }
    }

    fn hop_limit(self, hop_limit: u8) -> Self {
        Self { hop_limit, ..self }
    }

    fn longer(self, by: i8) -> Self {
        Self { payload_len: self.payload_len.wrapping_add_signed(by.into()), ..self }
    }

    fn protocol(self, next_header: u8) -> Self {
        Self { next_header, ..self }
    }

    fn version(self, version: u8) -> Self {
        Self { version_class: version << 4 | self.version_class & 0x0f, ..self }
    }

    fn from(self, address: IpAddr) -> Self {
        Self { sender: v6(address), ..self }
    }

    fn to(self, address: IpAddr) -> Self {
        Self { receiver: v6(address), ..self }
    }
}
