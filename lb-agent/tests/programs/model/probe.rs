//! What should become of an incoming IPv4 packet.

use etherparse::{Ethernet2Slice, IpNumber, Ipv4HeaderSlice, UdpHeaderSlice};
use lb_common::reason::Fate;

use crate::{
    arp::{CLIENT_IP, NODE, NODE_IP},
    kernel::Program,
    probe::DISCRIMINATOR,
};

/// RFC 791 and 768 for what reaches the port; then, in this order, RFC 5082, 7881, 5880 (6.8.6) and 7880 (7.2.1).
pub fn fate(ethernet: &Ethernet2Slice<'_>, frame: &[u8]) -> Option<Fate> {
    let ip = &frame[14..];
    let ports = ip.get(usize::from(ip.first()? & 0x0f) * 4..)?;
    if *ip.get(9)? != IpNumber::UDP.0 || ports.get(2..4)? != 7784_u16.to_be_bytes() {
        return None;
    }
    if frame.len() < 14 + 20 + 8 + 24 {
        return Some(Fate::SbfdTruncated);
    }
    let Some(header) = Ipv4HeaderSlice::from_slice(ip).ok().filter(|header| header.options().is_empty())
    else {
        return Some(Fate::SbfdIpHeader);
    };
    let udp = UdpHeaderSlice::from_slice(&ip[20..]).expect("long enough");
    let control = &ip[28..52];
    let word = |at: usize| u32::from_be_bytes(control[at..at + 4].try_into().expect("four bytes"));
    let (source, sender) = (ethernet.source(), header.source());
    let is_station = |mac: [u8; 6]| mac[0] & 1 == 0 && mac != [0; 6];
    // What must not be, and the fate of a frame for which it is.
    let refusals = [
        (header.is_fragmenting_payload(), Fate::SbfdFragment),
        (header.ttl() != 255, Fate::SbfdHopLimit),
        (header.total_len() != 52 || udp.length() != 32, Fate::SbfdLength),
        (udp.source_port() == 7784, Fate::SbfdSourcePort),
        (control[0] >> 5 != 1, Fate::SbfdVersion),
        (control[3] != 24, Fate::SbfdControlLength),
        (control[1] & 0b101 != 0, Fate::SbfdUnsupported),
        (control[2] == 0 || word(4) == 0, Fate::SbfdZero),
        (control[1] & 0b10 == 0, Fate::SbfdNotDemand),
        (ethernet.destination() != NODE || header.destination() != NODE_IP, Fate::SbfdOtherDestination),
        (source == NODE, Fate::SbfdOwnSource),
        (!is_station(source), Fate::SbfdNotUnicast),
        (sender == NODE_IP, Fate::SbfdOwnSource),
        (sender[..2] != [10, 77], Fate::SbfdOffLink),
        (sender[2..] == [0, 0] || sender[2..] == [255, 255], Fate::SbfdNotUnicast),
        (word(8) != DISCRIMINATOR, Fate::SbfdOtherDiscriminator),
        (sender != CLIENT_IP, Fate::SbfdLimited),
    ];
    let refused = refusals.into_iter().find(|(is_so, _)| *is_so);
    Some(refused.map_or(Fate::Reflected, |(_, fate)| fate))
}

/// The addresses, ports and discriminators change places; the state is Up, and of the flags only a Poll leaves a trace.
pub fn answer(program: Program, frame: &[u8]) -> Vec<u8> {
    let at = |from: usize, to: usize| &frame[from..to];
    let state_flags = 0xc0 | (frame[43] & 0x20) >> 1;
    let mut reply = [
        at(6, 12),
        at(0, 6),
        at(12, 26),
        at(30, 34),
        at(26, 30),
        at(36, 38),
        at(34, 36),
        at(38, 42),
        &[0x20, state_flags],
        at(44, 46),
        at(50, 54),
        at(46, 50),
        &frame[54..],
    ]
    .concat();
    let old = at(40, 42);
    if old != [0, 0] {
        let checksum = match program.is_xdp() {
            true => whole_checksum(&reply),
            false => changed_checksum(at(40, 42), at(42, 44), &reply[42..44]),
        };
        reply[40..42].copy_from_slice(&checksum);
    }
    reply
}

/// Over the pseudo header and the datagram, by etherparse.
fn whole_checksum(reply: &[u8]) -> [u8; 2] {
    let ip = Ipv4HeaderSlice::from_slice(&reply[14..]).expect("judged before").to_header();
    let udp = UdpHeaderSlice::from_slice(&reply[34..]).expect("judged before").to_header();
    udp.calc_checksum_ipv4(&ip, &reply[42..66]).expect("a short datagram").to_be_bytes()
}

/// RFC 1624, equation 3, with the carries that the kernel's 32 bits make; a zero is written as all ones (RFC 768).
fn changed_checksum(old: &[u8], before: &[u8], after: &[u8]) -> [u8; 2] {
    let word = |bytes: &[u8]| u32::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let add = |a: u32, b: u32| {
        let (sum, carry) = a.overflowing_add(b);
        sum + u32::from(carry)
    };
    let sum = add(add(!word(old), !word(before)), word(after));
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    match !u16::try_from(folded).expect("folded twice") {
        0 => [0xff; 2],
        checksum => checksum.to_be_bytes(),
    }
}
