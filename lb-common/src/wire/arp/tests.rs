//! The codec against an independent one (etherparse), from length 0.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, NetSlice, SlicedPacket,
};
use proptest::prelude::*;

use super::*;

const OURS: Mac = [2, 0, 0, 0, 0, 0xaa];

/// The same frame written by etherparse.
fn reference(oper: u16, destination: Mac, sha: Mac, spa: [u8; 4], tha: Mac, tpa: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Ethernet2Header { destination, source: sha, ether_type: EtherType::ARP }.write(&mut bytes).unwrap();
    let packet =
        ArpPacket::new(ArpHardwareId::ETHERNET, EtherType::IPV4, ArpOperation(oper), &sha, &spa, &tha, &tpa);
    packet.unwrap().write(&mut bytes).unwrap();
    bytes
}

/// `oper`, then `sha spa tha tpa`.
type Judged = (u16, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

/// What etherparse makes of the bytes, in our terms.
fn judge(bytes: &[u8]) -> Result<Judged, &'static str> {
    match SlicedPacket::from_ethernet(bytes) {
        Ok(SlicedPacket { net: Some(NetSlice::Arp(arp)), link_exts, .. }) if link_exts.is_empty() => {
            if (arp.hw_addr_type(), arp.proto_addr_type()) != (ArpHardwareId::ETHERNET, EtherType::IPV4)
                || (arp.hw_addr_size(), arp.proto_addr_size()) != (6, 4)
            {
                return Err("other types");
            }
            let owned = <[u8]>::to_vec;
            Ok((
                arp.operation().0,
                owned(arp.sender_hw_addr()),
                owned(arp.sender_protocol_addr()),
                owned(arp.target_hw_addr()),
                owned(arp.target_protocol_addr()),
            ))
        }
        Ok(_) => Err("not ARP"),
        Err(_) => Err("too short"),
    }
}

/// Frames that are ARP in most fields, so that the deep checks are reached.
fn nearly_arp() -> impl Strategy<Value = Vec<u8>> {
    let oper = prop_oneof![4 => Just(1_u16), 2 => Just(2_u16), 1 => any::<u16>()];
    let edit = (14_usize..24, any::<u8>());
    (oper, any::<[Mac; 2]>(), any::<[[u8; 4]; 2]>(), 0_usize..=80, proptest::option::weighted(0.3, edit))
        .prop_map(|(oper, [sha, tha], [spa, tpa], len, edit)| {
            let mut bytes = reference(oper, [0xff; 6], sha, spa, tha, tpa);
            if let Some((at, value)) = edit {
                bytes[at] = value;
            }
            bytes.resize(len.max(30), 0);
            bytes.truncate(len);
            bytes
        })
}

proptest! {
    #[test]
    fn what_we_write_is_what_etherparse_writes(sha: Mac, spa: [u8; 4], tpa: [u8; 4]) {
        let request = Frame::request(sha, spa, tpa);
        prop_assert_eq!(request.as_bytes().as_slice(), reference(1, [0xff; 6], sha, spa, [0; 6], tpa));
        let reply = Frame::announcement_reply(sha, spa);
        prop_assert_eq!(reply.as_bytes().as_slice(), reference(2, [0xff; 6], sha, spa, sha, spa));
    }

    #[test]
    fn an_answer_is_what_etherparse_writes(sha: Mac, spa: [u8; 4], tpa: [u8; 4]) {
        let mut frame = Frame::request(sha, spa, tpa);
        frame.answer_from(OURS);
        prop_assert_eq!(frame.as_bytes().as_slice(), reference(2, sha, OURS, tpa, sha, spa));
    }

    #[test]
    fn we_read_what_etherparse_reads(bytes in prop_oneof![nearly_arp(), proptest::collection::vec(any::<u8>(), 0..80)]) {
        match (Frame::parse(&bytes), judge(&bytes)) {
            (Ok((frame, kind)), Ok((oper, sha, spa, tha, tpa))) => {
                prop_assert_eq!(
                    (frame.sha.to_vec(), frame.spa.to_vec(), frame.tha.to_vec(), frame.tpa.to_vec()),
                    (sha, spa, tha, tpa)
                );
                let expected = match oper {
                    1 if frame.spa == frame.tpa => Kind::Announcement,
                    1 => Kind::Request,
                    _ => Kind::Reply,
                };
                prop_assert_eq!(kind, expected);
            }
            (Err(Malformed::UnknownOper), Ok((oper, ..))) => prop_assert!(oper != 1 && oper != 2),
            (Err(Malformed::NotEthernetIpv4), judged) => prop_assert!(judged.is_err()),
            (Err(Malformed::Truncated), _) => prop_assert!(bytes.len() < FRAME_LEN),
            (Err(Malformed::NotArp), judged) => prop_assert!(judged.is_err()),
            (ours, theirs) => prop_assert!(false, "ours {ours:?}, etherparse {theirs:?}"),
        }
    }
}

#[test]
fn every_length_short_of_the_packet_is_truncated() {
    let bytes = reference(1, [0xff; 6], OURS, [10, 0, 0, 1], [0; 6], [10, 0, 0, 2]);
    for len in 0..=FRAME_LEN {
        let expected = match len {
            0..14 => Err(Malformed::NotArp),
            14..FRAME_LEN => Err(Malformed::Truncated),
            _ => Ok(Kind::Request),
        };
        assert_eq!(Frame::parse(&bytes[..len]).map(|(_, kind)| kind), expected, "length {len}");
    }
}
