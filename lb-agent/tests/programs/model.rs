//! What should become of an incoming frame, written a second time from the RFCs and with etherparse's parser.

mod probe;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Slice};
use lb_common::reason::{Action, Fate};

use crate::{
    arp::{NODE, VIP},
    kernel::Program,
};

/// What the maps say of [`VIP`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    Announced,
    Suppressed,
    Absent,
}

/// Action, fate and output for a frame under a valid lease. The client is the only known peer, and others have had
/// all replies that they get.
pub fn model(program: Program, frame: &[u8], entry: Entry) -> (Action, Option<Fate>, Vec<u8>) {
    let fate = fate(frame, entry);
    let output = match fate {
        Some(Fate::Answered) => answer(frame),
        Some(Fate::Reflected) => probe::answer(program, frame),
        _ => frame.to_vec(),
    };
    (fate.map_or(Action::Pass, Fate::action), fate, output)
}

fn fate(frame: &[u8], entry: Entry) -> Option<Fate> {
    let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
    match ethernet.ether_type() {
        EtherType::ARP => arp(&ethernet, frame, entry),
        EtherType::IPV4 => probe::fate(&ethernet, frame),
        _ => None,
    }
}

fn arp(ethernet: &Ethernet2Slice<'_>, frame: &[u8], entry: Entry) -> Option<Fate> {
    // Any ARP packet for other types is as long as its own lengths say; one for ours has 28 bytes.
    if frame.len() < 42 {
        return Some(Fate::Truncated);
    }
    let Ok(arp) = ArpPacketSlice::from_slice(&frame[14..]) else { return Some(Fate::NotEthernetIpv4) };
    let is_ours = arp.hw_addr_type() == ArpHardwareId::ETHERNET
        && arp.proto_addr_type() == EtherType::IPV4
        && (arp.hw_addr_size(), arp.proto_addr_size()) == (6, 4);
    if !is_ours {
        return Some(Fate::NotEthernetIpv4);
    }
    let (spa, tpa) = (arp.sender_protocol_addr(), arp.target_protocol_addr());
    let is_foreign = spa == VIP && arp.sender_hw_addr() != NODE;
    let claim = match entry {
        Entry::Announced if is_foreign => Some(Fate::ForeignClaim),
        Entry::Suppressed if is_foreign => Some(Fate::OtherHolder),
        _ => None,
    };
    match arp.operation() {
        ArpOperation::REPLY => claim.or(Some(Fate::Reply)),
        ArpOperation::REQUEST if spa == tpa => claim.or(Some(Fate::Announcement)),
        ArpOperation::REQUEST if tpa != VIP || entry == Entry::Absent => Some(Fate::NotOurTarget),
        ArpOperation::REQUEST => Some(request(ethernet, arp.sender_hw_addr(), entry)),
        _ => Some(Fate::UnknownOper),
    }
}

fn request(ethernet: &Ethernet2Slice<'_>, sha: &[u8], entry: Entry) -> Fate {
    let destination = ethernet.destination();
    if destination != [0xff; 6] && destination != NODE {
        return Fate::OtherDestination;
    }
    let is_unicast = sha[0] & 1 == 0 && sha.iter().any(|&byte| byte != 0);
    match entry {
        Entry::Suppressed => Fate::Suppressed,
        _ if !is_unicast => Fate::SenderNotUnicast,
        _ => Fate::Answered,
    }
}

/// RFC 826: swap the pairs, put in our own hardware address, say that it is a reply. A short frame is padded with
/// zeros; what follows the packet in a longer one stays.
fn answer(frame: &[u8]) -> Vec<u8> {
    let (sha, spa) = (&frame[22..28], &frame[28..32]);
    let mut reply = [
        sha,
        &NODE,
        &frame[12..20],
        &[0, 2],
        &NODE,
        &VIP,
        sha,
        spa,
        if frame.len() < 60 { &[] } else { &frame[42..] },
    ]
    .concat();
    reply.resize(reply.len().max(60), 0);
    reply
}
