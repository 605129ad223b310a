//! The codec against an independent one (etherparse), from length 0.

use etherparse::{
    EtherType, Ethernet2Slice, Icmpv6Slice, Icmpv6Type, Ipv6HeaderSlice, PacketBuilder,
    icmpv6::{NdpOptionHeader, NeighborAdvertisementHeader},
};
use proptest::prelude::*;

use super::*;
use crate::wire::ipv6::ALL_NODES;

const OURS: Mac = [2, 0, 0, 0, 0, 0xaa];
const PEER: Mac = [2, 0, 0, 0, 0, 0xbb];
const ONE: Address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TWO: Address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 2];
const TWOS_GROUP: Address = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 2];
const TWOS_GROUP_MAC: Mac = [0x33, 0x33, 0xff, 0x12, 0x34, 2];
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];

/// A message written by etherparse.
fn reference(
    [source, destination]: [Mac; 2],
    [sender, receiver]: [Address; 2],
    message: Icmpv6Type,
    target: Address,
    options: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(source, destination)
        .ipv6(sender, receiver, 255)
        .icmpv6(message)
        .write(&mut bytes, &[&target[..], options].concat())
        .unwrap();
    bytes
}

fn advertised(solicited: bool) -> Icmpv6Type {
    Icmpv6Type::NeighborAdvertisement(NeighborAdvertisementHeader {
        router: false,
        solicited,
        r#override: true,
    })
}

fn option(option_type: u8, mac: Mac) -> Vec<u8> {
    [&[option_type, 1], &mac[..]].concat()
}

/// What RFC 4861, 7.1, makes of the bytes, with etherparse's parsers.
fn judge(bytes: &[u8]) -> Result<Message, Malformed> {
    let ethernet = Ethernet2Slice::from_slice_without_fcs(bytes).map_err(|_| Malformed::NotNdp)?;
    let is_ndp = ethernet.ether_type() == EtherType::IPV6
        && bytes.get(20) == Some(&58)
        && matches!(bytes.get(54), Some(135 | 136));
    if !is_ndp {
        return Err(Malformed::NotNdp);
    }
    if bytes.len() < 78 {
        return Err(Malformed::Truncated);
    }
    let ip = Ipv6HeaderSlice::from_slice(&bytes[14..]).map_err(|_| Malformed::IpHeader)?;
    let len = usize::from(ip.payload_length());
    let [hop_limit, code] = [ip.hop_limit(), bytes[55]];
    for (is_so, reason) in [
        (hop_limit != 255, Malformed::HopLimit),
        (code != 0, Malformed::Code),
        (len < 24, Malformed::Length),
        (bytes[62] == 0xff, Malformed::Target),
        (!len.is_multiple_of(8), Malformed::Length),
        (len > 88, Malformed::TooLong),
    ] {
        if is_so {
            return Err(reason);
        }
    }
    let message = bytes.get(54..54 + len);
    let is_solicitation = bytes[54] == 135;
    let wanted = if is_solicitation { 1 } else { 2 };
    let link_layer_address = options(&bytes[78..], len - 24, wanted)?;
    let icmp = Icmpv6Slice::from_slice(message.ok_or(Malformed::Length)?).unwrap();
    if !icmp.is_checksum_valid(ip.source(), ip.destination()) {
        return Err(Malformed::Checksum);
    }
    let (source, receiver) = (ip.source_addr(), ip.destination_addr());
    let kind = match icmp.icmp_type() {
        Icmpv6Type::NeighborAdvertisement(flags) if flags.solicited && receiver.is_multicast() => {
            return Err(Malformed::SolicitedByGroup);
        }
        Icmpv6Type::NeighborAdvertisement(flags) if flags.solicited => Kind::SolicitedAdvertisement,
        Icmpv6Type::NeighborAdvertisement(_) => Kind::UnsolicitedAdvertisement,
        _ if source.is_unspecified() => {
            let group = [&TWOS_GROUP[..13], &bytes[75..78]].concat();
            if link_layer_address.is_some() || receiver.octets()[..] != group {
                return Err(Malformed::UnspecifiedSource);
            }
            Kind::Solicitation
        }
        _ if source.octets() == bytes[62..78] => Kind::OwnSolicitation,
        _ => Kind::Solicitation,
    };
    Ok(Message { kind, link_layer_address })
}

/// The link-layer address in `len` bytes of options, of which fewer may be there: what is wrong first counts.
fn options(there: &[u8], len: usize, wanted: u8) -> Result<Option<Mac>, Malformed> {
    let mut found = None;
    let mut at = 0;
    while at < len {
        let unit = there.get(at..at + 8).ok_or(Malformed::Length)?;
        let (header, _) = NdpOptionHeader::from_slice(unit).unwrap();
        let option_len = header.byte_len();
        if option_len == 0 || at + option_len > len {
            return Err(Malformed::OptionLength);
        }
        there.get(at..at + option_len).ok_or(Malformed::Length)?;
        if header.option_type.0 == wanted && option_len == 8 {
            found = unit[2..].try_into().ok();
        }
        at += option_len;
    }
    Ok(found)
}

/// Options in any order, mostly sound.
fn some_options() -> impl Strategy<Value = Vec<u8>> {
    let one = (prop_oneof![Just(1_u8), Just(2), Just(14), any::<u8>()], 1_u8..4, any::<[u8; 32]>());
    let bytes = |(option_type, units, content): (u8, u8, [u8; 32])| {
        [&[option_type, units], &content[..usize::from(units) * 8 - 2]].concat()
    };
    proptest::collection::vec(one.prop_map(bytes), 0..5).prop_map(|all| all.concat())
}

/// Frames that are NDP in most fields, so that the deep checks are reached.
fn nearly_ndp() -> impl Strategy<Value = Vec<u8>> {
    let addresses = || {
        prop_oneof![
            Just(ONE),
            Just(TWO),
            Just(TWOS_GROUP),
            Just(ALL_NODES),
            Just(UNSPECIFIED),
            any::<Address>()
        ]
    };
    let message = prop_oneof![
        3 => Just(Icmpv6Type::NeighborSolicitation),
        1 => any::<bool>().prop_map(advertised),
        1 => any::<u8>().prop_map(|code_u8| Icmpv6Type::Unknown { type_u8: 135, code_u8, bytes5to8: [0; 4] }),
    ];
    let edit = proptest::option::weighted(0.4, (14_usize..100, any::<u8>()));
    let cut = proptest::option::weighted(0.2, 0_usize..100);
    (any::<[Mac; 2]>(), [addresses(), addresses()], message, addresses(), some_options(), edit, cut).prop_map(
        |(stations, between, message, target, options, edit, cut)| {
            let mut bytes = reference(stations, between, message, target, &options);
            if let Some((at, value)) = edit
                && let Some(byte) = bytes.get_mut(at)
            {
                *byte = value;
            }
            bytes.truncate(cut.unwrap_or(bytes.len()));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_we_write_is_what_etherparse_writes(mac: Mac, station: Mac, source: Address) {
        let ask = Frame::solicitation(mac, source, TWO);
        let asked = Icmpv6Type::NeighborSolicitation;
        let expected =
            reference([mac, TWOS_GROUP_MAC], [source, TWOS_GROUP], asked, TWO, &option(1, mac));
        prop_assert_eq!(ask.as_bytes().as_slice(), expected);

        let ask_one = Frame::unicast_solicitation(mac, source, station, TWO);
        let asked = Icmpv6Type::NeighborSolicitation;
        let expected = reference([mac, station], [source, TWO], asked, TWO, &option(1, mac));
        prop_assert_eq!(ask_one.as_bytes().as_slice(), expected);

        let tell = Frame::unsolicited_advertisement(mac, TWO);
        let all = [TWO, ALL_NODES];
        let expected = reference([mac, ALL_NODES_MAC], all, advertised(false), TWO, &option(2, mac));
        prop_assert_eq!(tell.as_bytes().as_slice(), expected);
        let expected = reference([mac, station], all, advertised(false), TWO, &option(2, mac));
        let told = tell.to(station);
        prop_assert_eq!(told.as_bytes().as_slice(), expected);
    }

    #[test]
    fn an_answer_is_what_etherparse_writes(mac: Mac, source in any::<Address>(), options in some_options()) {
        prop_assume!(source[0] != 0xff);
        for sender in [source, UNSPECIFIED] {
            let asked = Icmpv6Type::NeighborSolicitation;
            let bytes = reference([PEER, TWOS_GROUP_MAC], [sender, TWOS_GROUP], asked, TWO, &options);
            let Ok((head, _)) = parse(&bytes) else { continue };
            let (station, receiver, solicited) = match sender {
                UNSPECIFIED => (ALL_NODES_MAC, ALL_NODES, false),
                _ => (PEER, sender, true),
            };
            let expected =
                reference([mac, station], [TWO, receiver], advertised(solicited), TWO, &option(2, mac));
            let answer = head.answer_from(mac);
            prop_assert_eq!(answer.as_bytes().as_slice(), expected);
        }
    }

    #[test]
    fn we_read_what_etherparse_reads(
        bytes in prop_oneof![5 => nearly_ndp(), 1 => proptest::collection::vec(any::<u8>(), 0..160)]
    ) {
        let read = parse(&bytes);
        prop_assert_eq!(read.map(|(_, message)| message), judge(&bytes));
        if let Ok((head, _)) = read {
            prop_assert_eq!(&head.ip.source()[..], &bytes[22..38]);
            prop_assert_eq!(&head.ip.destination()[..], &bytes[38..54]);
            prop_assert_eq!(&head.target_address[..], &bytes[62..78]);
            prop_assert_eq!(head.is_solicitation(), bytes[54] == 135);
        }
    }
}

#[test]
fn what_we_write_we_read() {
    let message = |kind| Ok(Message { kind, link_layer_address: Some(OURS) });
    let read = |frame: Frame| parse(frame.as_bytes()).map(|(_, message)| message);
    assert_eq!(read(Frame::solicitation(OURS, ONE, TWO)), message(Kind::Solicitation));
    assert_eq!(read(Frame::solicitation(OURS, TWO, TWO)), message(Kind::OwnSolicitation));
    assert_eq!(read(Frame::unicast_solicitation(OURS, ONE, PEER, TWO)), message(Kind::Solicitation));
    let told = message(Kind::UnsolicitedAdvertisement);
    assert_eq!(read(Frame::unsolicited_advertisement(OURS, TWO).to(PEER)), told);
}

#[test]
fn a_solicitation_is_for_its_target_or_the_targets_group() {
    let is_addressed = |frame: Frame| frame.head.is_addressed_to_target();
    assert!(is_addressed(Frame::solicitation(OURS, ONE, TWO)));
    assert!(is_addressed(Frame::unicast_solicitation(OURS, ONE, PEER, TWO)));
    assert!(!is_addressed(Frame::unsolicited_advertisement(OURS, TWO)));
}

#[test]
fn one_station_can_be_answered_and_a_group_cannot() {
    let is_one = |mac, source| Frame::solicitation(mac, source, TWO).head.is_from_one_station();
    assert!(is_one(OURS, ONE) && is_one(OURS, UNSPECIFIED));
    assert!(!is_one([0; 6], ONE) && !is_one(TWOS_GROUP_MAC, ONE) && !is_one(OURS, ALL_NODES));
}

#[test]
fn every_length_short_of_the_message_is_told() {
    let frame = Frame::solicitation(OURS, ONE, TWO);
    for len in 0..=FRAME_LEN {
        let expected = match len {
            0..55 => Err(Malformed::NotNdp),
            55..HEAD_LEN => Err(Malformed::Truncated),
            HEAD_LEN..FRAME_LEN => Err(Malformed::Length),
            _ => Ok(Kind::Solicitation),
        };
        let read = parse(&frame.as_bytes()[..len]).map(|(_, message)| message.kind);
        assert_eq!(read, expected, "length {len}");
    }
}
