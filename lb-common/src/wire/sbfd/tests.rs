//! The codec against an independent one (etherparse), from length 0.

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice, UdpHeader,
};
use proptest::prelude::*;

use super::*;
use crate::wire::ethernet::Mac;

const PEER: Mac = [2, 0, 0, 0, 0, 0xbb];
const OURS: Mac = [2, 0, 0, 0, 0, 0xaa];

/// A probe as etherparse writes it, checksums and all.
fn probe(source: [u8; 4], destination: [u8; 4], source_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(PEER, OURS)
        .ipv4(source, destination, 255)
        .udp(source_port, 7784)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

/// The same probe from parts that can be wrong.
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

/// Whether etherparse finds both checksums right, and a payload of 24 bytes from port 7784.
fn is_sound_reply(bytes: &[u8], payload: &[u8]) -> bool {
    let sliced = SlicedPacket::from_ethernet(bytes).unwrap();
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (sliced.net, sliced.transport) else {
        return false;
    };
    let (ip, header) = (ip.header().to_header(), udp.to_header());
    ip.header_checksum == ip.calc_header_checksum()
        && header.checksum == header.calc_checksum_ipv4(&ip, udp.payload()).unwrap()
        && (header.source_port, udp.payload()) == (7784, payload)
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

proptest! {
    #[test]
    fn a_probe_is_read_and_its_reflection_is_what_etherparse_writes(
        control in control(), source: [u8; 4], destination: [u8; 4], port in 7785_u16..
    ) {
        let bytes = probe(source, destination, port, control.as_bytes());
        let mut frame = FrameV4::parse(&bytes).unwrap();
        prop_assert_eq!(frame.control, control);
        prop_assert_eq!((frame.ip.source(), frame.ip.destination()), (source, destination));

        frame.reflect(State::Up, Diag::None);
        frame.renew_checksum();
        let mut reflected = control;
        reflected.reflect(State::Up, Diag::None);
        let mut expected = Vec::new();
        PacketBuilder::ethernet2(OURS, PEER)
            .ipv4(destination, source, 255)
            .udp(7784, port)
            .write(&mut expected, reflected.as_bytes())
            .unwrap();
        prop_assert_eq!(frame.as_bytes(), expected.as_slice());
        prop_assert!(is_sound_reply(frame.as_bytes(), reflected.as_bytes()));
    }

    #[test]
    fn nothing_but_one_word_changes_the_sum(control in control(), source: [u8; 4], destination: [u8; 4]) {
        let mut frame = FrameV4::parse(&probe(source, destination, 50_000, control.as_bytes())).unwrap();
        let before = sum(frame.as_bytes());
        let word = frame.reflect(State::AdminDown, Diag::AdministrativelyDown);
        let change = |word| checksum::add(0, word);
        prop_assert_eq!(sum(frame.as_bytes()) + change(&word.before), before + change(&word.after));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
        let parsed = FrameV4::parse(&bytes);
        prop_assert_eq!(bytes.len() < FrameV4::LEN, parsed == Err(Malformed::Truncated));
    }
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
