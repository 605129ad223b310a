//! Probes of S-BFD as bytes, built by hand from the RFCs (791, 8200, 768, 5880): the tests share no code with what they
//! test.

mod ip;

use std::net::IpAddr;

pub use ip::{Ip, IpV4, IpV6};

use crate::{
    arp::{CLIENT, Mac, NODE},
    checksum::{Checksum, internet_checksum},
    family::Family,
};

/// The node's discriminator.
pub const DISCRIMINATOR: u32 = 0xaabb_ccdd;
const CLIENTS: u32 = 0x1122_3344;

/// A probe, field by field.
#[derive(Clone, Copy, Debug)]
pub struct Probe<I> {
    pub destination: Mac,
    pub source: Mac,
    pub ethertype: u16,
    pub ip: I,
    pub source_port: u16,
    pub destination_port: u16,
    pub udp_len: u16,
    pub checksum: Checksum,
    pub version_diag: u8,
    pub state_flags: u8,
    pub detect_mult: u8,
    pub length: u8,
    pub my_discriminator: u32,
    pub your_discriminator: u32,
}

impl<I: Ip> Probe<I> {
    /// The client probes the node: Up, Demand, 3 times 50 ms.
    pub const RIGHT: Self = Self {
        destination: NODE,
        source: CLIENT,
        ethertype: match I::FAMILY {
            Family::Ipv4 => 0x0800,
            Family::Ipv6 => 0x86dd,
        },
        ip: I::RIGHT,
        source_port: 50_000,
        destination_port: 7784,
        udp_len: 32,
        checksum: Checksum::Right,
        version_diag: 0x20,
        state_flags: 0xc2,
        detect_mult: 3,
        length: 24,
        my_discriminator: CLIENTS,
        your_discriminator: DISCRIMINATOR,
    };

    pub fn ip(self, change: impl FnOnce(I) -> I) -> Self {
        Self { ip: change(self.ip), ..self }
    }

    pub fn from(self, address: IpAddr) -> Self {
        self.ip(|ip| ip.from(address))
    }

    pub fn to(self, address: IpAddr) -> Self {
        self.ip(|ip| ip.to(address))
    }

    /// The frame: over IPv4 66 bytes and the options, over IPv6 86.
    pub fn bytes(&self) -> Vec<u8> {
        let ethertype = self.ethertype.to_be_bytes();
        [&self.destination[..], &self.source, &ethertype, &self.ip.bytes(), &self.datagram()].concat()
    }

    /// Where UDP begins in the frame.
    pub fn udp_at(&self) -> usize {
        14 + self.ip.bytes().len()
    }

    fn datagram(&self) -> Vec<u8> {
        let mut udp = self.source_port.to_be_bytes().to_vec();
        udp.extend_from_slice(&self.destination_port.to_be_bytes());
        udp.extend_from_slice(&self.udp_len.to_be_bytes());
        udp.extend_from_slice(&[0, 0]);
        udp.extend_from_slice(&[self.version_diag, self.state_flags, self.detect_mult, self.length]);
        udp.extend_from_slice(&self.my_discriminator.to_be_bytes());
        udp.extend_from_slice(&self.your_discriminator.to_be_bytes());
        udp.extend_from_slice(&50_000_u32.to_be_bytes());
        udp.extend_from_slice(&[0; 8]);
        let pseudo_header = self.ip.pseudo_header(self.udp_len);
        let checksum = match (self.checksum, self.checksum.of(&[&pseudo_header, &udp])) {
            (Checksum::Right, 0) => 0xffff,
            (_, checksum) => checksum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp
    }

    /// What a sender leaves in the checksum's place for its hardware: the sum of the pseudo header.
    pub fn partial_checksum(&self) -> u16 {
        !internet_checksum(&[&self.ip.pseudo_header(self.udp_len)])
    }

    /// The bytes with padding up to `len`.
    pub fn padded(&self, len: usize, padding: u8) -> Vec<u8> {
        let mut bytes = self.bytes();
        bytes.resize(len, padding);
        bytes
    }

    /// The answer of the reflector: state and diagnostic code as given, flags clear but for the Final of a Poll.
    pub fn reflected(&self, state: u8, diag: u8) -> Self {
        Self {
            destination: self.source,
            source: self.destination,
            ip: self.ip.turned(),
            source_port: self.destination_port,
            destination_port: self.source_port,
            version_diag: 0x20 | diag,
            state_flags: state << 6 | (self.state_flags & 0x20) >> 1,
            my_discriminator: self.your_discriminator,
            your_discriminator: self.my_discriminator,
            ..*self
        }
    }
}
