//! Probes of S-BFD as bytes, built by hand from the RFCs (791, 768, 5880): the tests share no code with what they test.

use crate::{
    arp::{CLIENT, CLIENT_IP, Ipv4, Mac, NODE, NODE_IP},
    checksum::{Checksum, internet_checksum},
};

/// The node's discriminator.
pub const DISCRIMINATOR: u32 = 0xaabb_ccdd;
const CLIENTS: u32 = 0x1122_3344;

/// A probe, field by field.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub destination: Mac,
    pub source: Mac,
    pub ethertype: u16,
    pub version_ihl: u8,
    pub options: &'static [u8],
    pub total_len: u16,
    pub flags_fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub sender: Ipv4,
    pub receiver: Ipv4,
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

/// The client probes the node: Up, Demand, 3 times 50 ms.
pub const PROBE: Probe = Probe {
    destination: NODE,
    source: CLIENT,
    ethertype: 0x0800,
    version_ihl: 0x45,
    options: &[],
    total_len: 52,
    flags_fragment: 0x4000,
    ttl: 255,
    protocol: 17,
    sender: CLIENT_IP,
    receiver: NODE_IP,
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

impl Probe {
    /// The frame, of 66 bytes and the options.
    pub fn bytes(&self) -> Vec<u8> {
        let Self { destination, source, ethertype, version_ihl, options, .. } = self;
        let mut ip = vec![*version_ihl, 0xc0];
        ip.extend_from_slice(&self.total_len.to_be_bytes());
        ip.extend_from_slice(&[0x12, 0x34]);
        ip.extend_from_slice(&self.flags_fragment.to_be_bytes());
        ip.extend_from_slice(&[self.ttl, self.protocol, 0, 0]);
        ip.extend_from_slice(&self.sender);
        ip.extend_from_slice(&self.receiver);
        ip.extend_from_slice(options);
        let checksum = internet_checksum(&[&ip]);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        let mut bytes = [destination, source, &ethertype.to_be_bytes()[..]].concat();
        bytes.extend(ip);
        bytes.extend(self.datagram());
        bytes
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
        let [high, low] = self.udp_len.to_be_bytes();
        let pseudo_header = [&self.sender[..], &self.receiver, &[0, 17, high, low]].concat();
        let checksum = match (self.checksum, self.checksum.of(&[&pseudo_header, &udp])) {
            (Checksum::Right, 0) => 0xffff,
            (_, checksum) => checksum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp
    }

    /// What a sender leaves in the checksum's place for its hardware: the sum of the pseudo header.
    pub fn partial_checksum(&self) -> u16 {
        let [high, low] = self.udp_len.to_be_bytes();
        !internet_checksum(&[&self.sender, &self.receiver, &[0, 17, high, low]])
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
            sender: self.receiver,
            receiver: self.sender,
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
