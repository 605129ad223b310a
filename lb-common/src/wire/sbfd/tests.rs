//! The codec against an independent one (etherparse), from length 0.

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, PacketBuilder, UdpHeader,
};
use proptest::prelude::*;

use super::*;
use crate::wire::ethernet::Mac;

const PEER: Mac = [2, 0, 0, 0, 0, 0xbb];
const OURS: Mac = [2, 0, 0, 0, 0, 0xaa];

/// A probe over IPv4 from parts that can be wrong.
fn assembled(ip: &Ipv4Header, udp: &UdpHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Ethernet2Header { destination: OURS, source: PEER, ether_type: EtherType::IPV4 }
        .write(&mut bytes)
        .unwrap();
    ip.write(&mut bytes).unwrap();
    udp.write(&mut bytes).unwrap();
    bytes.extend_from_slice(payload);
    bytes
}

fn parts(control: &Control) -> (Ipv4Header, UdpHeader) {
    let ip = Ipv4Header::new(32, 255, IpNumber::UDP, [10, 77, 0, 3], [10, 77, 0, 2]).unwrap();
    let udp = UdpHeader::with_ipv4_checksum(50_000, 7784, &ip, control.as_bytes()).unwrap();
    (ip, udp)
}

/// Not folded.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum()
}

fn control() -> impl Strategy<Value = Control> {
    (1_u32.., any::<u32>(), any::<u32>(), 1_u8.., any::<bool>()).prop_map(|(mine, yours, us, mult, is_up)| {
        let state = if is_up { State::Up } else { State::Down };
        Control::probe(state, mine, yours, us, mult)
    })
}

/// Sender and receiver, as etherparse takes them.
trait Reference: Network + std::fmt::Debug {
    fn write(stations: [Mac; 2], between: [Self::Address; 2], ports: [u16; 2], payload: &[u8]) -> Vec<u8>;
}

impl Reference for ipv4::Header {
    fn write(
        [from, to]: [Mac; 2],
        [source, destination]: [[u8; 4]; 2],
        ports: [u16; 2],
        payload: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ethernet2(from, to).ipv4(source, destination, 255);
        builder.udp(ports[0], ports[1]).write(&mut bytes, payload).unwrap();
        bytes
    }
}

impl Reference for ipv6::Header {
    fn write(
        [from, to]: [Mac; 2],
        [source, destination]: [[u8; 16]; 2],
        ports: [u16; 2],
        payload: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ethernet2(from, to).ipv6(source, destination, 255);
        builder.udp(ports[0], ports[1]).write(&mut bytes, payload).unwrap();
        bytes
    }
}

fn check_reflection<N: Reference>(
    control: Control,
    [source, destination]: [N::Address; 2],
    port: u16,
) -> Result<(), TestCaseError>
where
    N::Address: std::fmt::Debug,
{
    let bytes = N::write([PEER, OURS], [source, destination], [port, 7784], control.as_bytes());
    let mut frame = Frame::<N>::parse(&bytes).unwrap();
    prop_assert_eq!(frame.control, control);
    prop_assert_eq!((frame.ip.source(), frame.ip.destination()), (source, destination));

    let before = sum(frame.as_bytes());
    let word = frame.reflect(State::Up, Diag::None);
    let change = |word| checksum::add(0, word);
    // Nothing but one word changes the sum.
    prop_assert_eq!(sum(frame.as_bytes()) + change(&word.before), before + change(&word.after));
    frame.renew_checksum();
    let mut reflected = control;
    reflected.reflect(State::Up, Diag::None);
    let expected = N::write([OURS, PEER], [destination, source], [7784, port], reflected.as_bytes());
    prop_assert_eq!(frame.as_bytes(), expected.as_slice());
    Ok(())
}

proptest! {
    #[test]
    fn a_probe_is_read_and_its_reflection_is_what_etherparse_writes(
        control in control(), ipv4: [[u8; 4]; 2], ipv6: [[u8; 16]; 2], port in 7785_u16..
    ) {
        check_reflection::<ipv4::Header>(control, ipv4, port)?;
        check_reflection::<ipv6::Header>(control, ipv6, port)?;
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..110)) {
        let parsed = FrameV4::parse(&bytes);
        prop_assert_eq!(bytes.len() < FrameV4::LEN, parsed == Err(Malformed::Truncated));
        let parsed = FrameV6::parse(&bytes);
        prop_assert_eq!(bytes.len() < FrameV6::LEN, parsed == Err(Malformed::Truncated));
    }
}

#[test]
fn what_is_no_probe_over_ipv6_is_told_apart() {
    let control = Control::probe(State::Up, 1, 2, 50_000, 3);
    let right = ipv6::Header::write([PEER, OURS], [[1; 16], [2; 16]], [50_000, 7784], control.as_bytes());
    let judged = |at: usize, value: u8| {
        let mut bytes = right.clone();
        bytes[at] = value;
        FrameV6::parse(&bytes).map(|frame| frame.control)
    };
    assert_eq!(judged(15, 0), Ok(control)); // traffic class and flow label
    assert_eq!(judged(12, 0x08), Err(Malformed::NotSbfd));
    assert_eq!(judged(14, 0x45), Err(Malformed::IpHeader));
    assert_eq!(judged(19, 31), Err(Malformed::Length));
    assert_eq!(judged(20, 44), Err(Malformed::NotSbfd));
    assert_eq!(judged(21, 254), Err(Malformed::HopLimit));
    let mut unsummed = right.clone();
    unsummed[60..62].fill(0);
    assert_eq!(FrameV6::parse(&unsummed), Err(Malformed::NoChecksum));
}

#[test]
fn a_probe_without_checksum_is_reflected_without() {
    let control = Control::probe(State::Up, 1, 2, 50_000, 3);
    let (ip, udp) = parts(&control);
    let bytes = assembled(&ip, &UdpHeader { checksum: 0, ..udp }, control.as_bytes());
    let mut frame = FrameV4::parse(&bytes).unwrap();
    frame.reflect(State::Up, Diag::None);
    frame.renew_checksum();
    assert_eq!(frame.udp.checksum_be, [0, 0]);
}

#[test]
fn what_is_no_probe_is_told_apart() {
    let control = Control::probe(State::Up, 1, 2, 50_000, 3);
    let (ip, udp) = parts(&control);
    let judged = |ip: &Ipv4Header, udp: &UdpHeader| {
        FrameV4::parse(&assembled(ip, udp, control.as_bytes())).map(|frame| frame.control)
    };
    assert_eq!(judged(&ip, &udp), Ok(control));
    let with = |change: fn(&mut Ipv4Header)| {
        let mut changed = ip.clone();
        change(&mut changed);
        judged(&changed, &udp)
    };
    assert_eq!(with(|ip| ip.protocol = IpNumber::TCP), Err(Malformed::NotSbfd));
    assert_eq!(with(|ip| ip.time_to_live = 254), Err(Malformed::HopLimit));
    assert_eq!(with(|ip| ip.total_len = 51), Err(Malformed::Length));
    assert_eq!(with(|ip| ip.total_len = 12), Err(Malformed::Length));
    assert_eq!(with(|ip| ip.more_fragments = true), Err(Malformed::Fragment));
    assert_eq!(with(|ip| ip.fragment_offset = IpFragOffset::try_new(1).unwrap()), Err(Malformed::Fragment));
    assert_eq!(with(|ip| ip.dont_fragment = true), Ok(control));
    assert_eq!(judged(&ip, &UdpHeader { destination_port: 3784, ..udp.clone() }), Err(Malformed::NotSbfd));
    assert_eq!(judged(&ip, &UdpHeader { source_port: 7784, ..udp.clone() }), Err(Malformed::SourcePort));
    assert_eq!(judged(&ip, &UdpHeader { length: 33, ..udp.clone() }), Err(Malformed::Length));

    let mut optional = ip.clone();
    optional.options = Ipv4Options::from([1, 1, 1, 1]);
    let shifted = FrameV4::parse(&assembled(&optional, &udp, control.as_bytes()));
    assert_eq!(shifted, Err(Malformed::NotSbfd)); // its port stands elsewhere
    let mut ihl_6 = assembled(&ip, &udp, control.as_bytes());
    ihl_6[14] = 0x46;
    assert_eq!(FrameV4::parse(&ihl_6), Err(Malformed::IpHeader));

    let mut answer = control;
    answer.reflect(State::Up, Diag::None);
    assert_eq!(FrameV4::parse(&assembled(&ip, &udp, answer.as_bytes())), Err(Malformed::NotDemand));
    let nobody = Control::probe(State::Up, 0, 2, 50_000, 3);
    let expected = Err(Malformed::Control(bfd::Malformed::Zero));
    assert_eq!(FrameV4::parse(&assembled(&ip, &udp, nobody.as_bytes())), expected);
}
