//! What should become of an incoming IP packet.

mod ip;

use etherparse::{Ethernet2Slice, Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};
use ip::Ip;
use lb_common::reason::Fate;

use super::is_station;
use crate::{arp::NODE, kernel::Program, probe::DISCRIMINATOR};

/// RFC 791, 8200 and 768 for what reaches the port; then, in this order, RFC 5082, 7881, 5880 (6.8.6) and 7880 (7.2.1).
pub fn fate(ethernet: &Ethernet2Slice<'_>, frame: &[u8]) -> Option<Fate> {
    let port_at = ip::udp_at(frame)? + 2;
    if frame.get(port_at..port_at + 2)? != 7784_u16.to_be_bytes() {
        return None;
    }
    let udp_at = ip::plain_udp_at(frame);
    let Some(datagram) = frame.get(udp_at..udp_at + 8 + 24) else { return Some(Fate::SbfdTruncated) };
    let Some(ip) = Ip::parse(frame) else { return Some(Fate::SbfdIpHeader) };
    let udp = UdpHeaderSlice::from_slice(datagram).expect("long enough");
    let control = &datagram[8..];
    let word = |at: usize| u32::from_be_bytes(control[at..at + 4].try_into().expect("four bytes"));
    let source = ethernet.source();
    // What must not be, and the fate of a frame for which it is.
    let refusals = [
        (ip.is_fragment, Fate::SbfdFragment),
        (ip.hop_limit != 255, Fate::SbfdHopLimit),
        (ip.payload_len != 32 || udp.length() != 32, Fate::SbfdLength),
        (ip.needs_checksum && udp.checksum() == 0, Fate::SbfdNoChecksum),
        (udp.source_port() == 7784, Fate::SbfdSourcePort),
        (control[0] >> 5 != 1, Fate::SbfdVersion),
        (control[3] != 24, Fate::SbfdControlLength),
        (control[1] & 0b101 != 0, Fate::SbfdUnsupported),
        (control[2] == 0 || word(4) == 0, Fate::SbfdZero),
        (control[1] & 0b10 == 0, Fate::SbfdNotDemand),
        (ethernet.destination() != NODE || !ip.is_for_node, Fate::SbfdOtherDestination),
        (source == NODE, Fate::SbfdOwnSource),
        (!is_station(&source), Fate::SbfdNotUnicast),
    ];
    let refused = refusals.into_iter().find(|(is_so, _)| *is_so).map(|(_, fate)| fate);
    Some(refused.or(ip.sender_refused).unwrap_or_else(|| match word(8) {
        DISCRIMINATOR if ip.is_from_client => Fate::Reflected,
        DISCRIMINATOR => Fate::SbfdLimited,
        _ => Fate::SbfdOtherDiscriminator,
    }))
}

/// The addresses, ports and discriminators change places; the state is Up, and of the flags only a Poll leaves a trace.
pub fn answer(program: Program, frame: &[u8]) -> Vec<u8> {
    let udp_at = ip::plain_udp_at(frame);
    let address_len = if udp_at == 34 { 4 } else { 16 };
    let [sender_at, receiver_at] = [udp_at - 2 * address_len, udp_at - address_len];
    let control_at = udp_at + 8;
    let at = |from: usize, to: usize| &frame[from..to];
    let state_flags = 0xc0 | (frame[control_at + 1] & 0x20) >> 1;
    let mut reply = [
        at(6, 12),
        at(0, 6),
        at(12, sender_at),
        at(receiver_at, udp_at),
        at(sender_at, receiver_at),
        at(udp_at + 2, udp_at + 4),
        at(udp_at, udp_at + 2),
        at(udp_at + 4, control_at),
        &[0x20, state_flags],
        at(control_at + 2, control_at + 4),
        at(control_at + 8, control_at + 12),
        at(control_at + 4, control_at + 8),
        &frame[control_at + 12..],
    ]
    .concat();
    let checksum_at = udp_at + 6;
    let old = at(checksum_at, control_at);
    if old != [0, 0] {
        let checksum = match program.is_xdp() {
            true => whole_checksum(&reply, udp_at),
            false => {
                changed_checksum(old, at(control_at, control_at + 2), &reply[control_at..control_at + 2])
            }
        };
        reply[checksum_at..control_at].copy_from_slice(&checksum);
    }
    reply
}

/// Over the pseudo header and the datagram, by etherparse.
fn whole_checksum(reply: &[u8], udp_at: usize) -> [u8; 2] {
    let (ip, payload) = (&reply[14..], &reply[udp_at + 8..udp_at + 32]);
    let udp = UdpHeaderSlice::from_slice(&reply[udp_at..]).expect("judged before").to_header();
    let checksum = if udp_at == 34 {
        udp.calc_checksum_ipv4(&Ipv4HeaderSlice::from_slice(ip).expect("judged before").to_header(), payload)
    } else {
        udp.calc_checksum_ipv6(&Ipv6HeaderSlice::from_slice(ip).expect("judged before").to_header(), payload)
    };
    checksum.expect("a short datagram").to_be_bytes()
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
