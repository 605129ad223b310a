//! What should become of an incoming Neighbor Solicitation or Advertisement.

use etherparse::{Ethernet2Slice, Icmpv6Slice, Icmpv6Type, Ipv6HeaderSlice, icmpv6::NdpOptionHeader};
use lb_common::reason::Fate;

use super::{Entry, claim, is_station, question};
use crate::{
    arp::NODE,
    ndp::{Ndp, VIP6, group, solicitation},
};

/// RFC 4861, 7.1.1 and 7.1.2, and then what ARP and NDP have in common.
pub fn fate(ethernet: &Ethernet2Slice<'_>, frame: &[u8], entry: Entry) -> Option<Fate> {
    let is_ndp = |at: usize| matches!(frame.get(at), Some(135 | 136));
    match frame.get(20)? {
        58 if is_ndp(54) => Some(message(ethernet, frame, entry).unwrap_or_else(|refusal| refusal)),
        0 | 43 | 44 | 60 if frame.get(54..56) == Some(&[58, 0]) && is_ndp(62) => Some(Fate::NdpExtension),
        _ => None,
    }
}

fn message(ethernet: &Ethernet2Slice<'_>, frame: &[u8], entry: Entry) -> Result<Fate, Fate> {
    if frame.len() < 78 {
        return Err(Fate::Truncated);
    }
    let ip = Ipv6HeaderSlice::from_slice(&frame[14..]).map_err(|_| Fate::NdpIpHeader)?;
    let len = usize::from(ip.payload_length());
    let is_solicitation = frame[54] == 135;
    let refuse = |is_so: bool, fate| if is_so { Err(fate) } else { Ok(()) };
    refuse(ip.hop_limit() != 255, Fate::NdpHopLimit)?;
    refuse(frame[55] != 0, Fate::NdpCode)?;
    refuse(len < 24, Fate::NdpLength)?;
    refuse(frame[62] == 0xff, Fate::NdpTarget)?;
    refuse(len % 8 != 0, Fate::NdpLength)?;
    refuse(len > 24 + 64, Fate::NdpTooLong)?;
    let given = options(&frame[78..], len - 24, if is_solicitation { 1 } else { 2 })?;
    let icmp = Icmpv6Slice::from_slice(frame.get(54..54 + len).ok_or(Fate::NdpLength)?).expect("long enough");
    refuse(!icmp.is_checksum_valid(ip.source(), ip.destination()), Fate::NdpChecksum)?;

    let target: [u8; 16] = frame[62..78].try_into().expect("16 bytes");
    let (source, receiver) = (ip.source_addr(), ip.destination());
    let (target_group, target_group_mac) = group(target);
    let station = given.unwrap_or_else(|| ethernet.source());
    let claimed = |otherwise| Ok(claim(target == VIP6, &station, entry).unwrap_or(otherwise));
    match icmp.icmp_type() {
        Icmpv6Type::NeighborAdvertisement(flags) if flags.solicited => {
            refuse(receiver[0] == 0xff, Fate::NdpSolicitedByGroup)?;
            return claimed(Fate::Reply);
        }
        Icmpv6Type::NeighborAdvertisement(_) => return claimed(Fate::Announcement),
        _ => {}
    }
    if source.is_unspecified() {
        refuse(given.is_some() || receiver != target_group, Fate::NdpUnspecifiedSource)?;
    } else if source.octets() == target {
        return claimed(Fate::Announcement);
    }
    refuse(target != VIP6, Fate::NotOurTarget)?;
    let is_for_us = [NODE, target_group_mac].contains(&ethernet.destination())
        && [target, target_group].contains(&receiver);
    let is_from_one = is_station(&ethernet.source()) && !source.is_multicast();
    Ok(question(is_for_us, is_from_one, entry))
}

/// The link-layer address in `len` bytes of options, of which fewer may be there: what is wrong first counts.
fn options(there: &[u8], len: usize, wanted: u8) -> Result<Option<[u8; 6]>, Fate> {
    let mut found = None;
    let mut at = 0;
    while at < len {
        let unit = there.get(at..at + 8).ok_or(Fate::NdpLength)?;
        let (header, _) = NdpOptionHeader::from_slice(unit).expect("8 bytes");
        let option_len = header.byte_len();
        if option_len == 0 || at + option_len > len {
            return Err(Fate::NdpOptionLength);
        }
        there.get(at..at + option_len).ok_or(Fate::NdpLength)?;
        if header.option_type.0 == wanted && option_len == 8 {
            found = unit[2..].try_into().ok();
        }
        at += option_len;
    }
    Ok(found)
}

/// The answer to a solicitation, as etherparse writes it.
pub fn answer(frame: &[u8]) -> Vec<u8> {
    let asked = Ndp {
        source: frame[6..12].try_into().expect("6 bytes"),
        sender: frame[22..38].try_into().expect("16 bytes"),
        ..solicitation()
    };
    asked.answered_by(NODE)
}
