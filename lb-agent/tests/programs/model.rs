//! What should become of an incoming frame, written a second time from the RFCs and with etherparse's parser.

mod ndp;
mod probe;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, Ethernet2Slice};
use lb_common::reason::{Action, Fate};

use crate::{
    arp::{NODE, VIP},
    kernel::Program,
};

/// What the maps say of the VIP of each family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    Announced,
    Suppressed,
    Absent,
}

/// Action, fate and output for a frame under a valid lease. The client's addresses are the only known peers, and others
/// have had all replies that they get.
pub fn model(program: Program, frame: &[u8], entry: Entry) -> (Action, Option<Fate>, Vec<u8>) {
    let fate = fate(frame, entry);
    let output = match fate {
        Some(Fate::Answered) if frame[12..14] == [0x86, 0xdd] => ndp::answer(frame),
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
        EtherType::IPV6 => ndp::fate(&ethernet, frame, entry).or_else(|| probe::fate(&ethernet, frame)),
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
    let claim = claim(spa == VIP, arp.sender_hw_addr(), entry);
    match arp.operation() {
        ArpOperation::REPLY => claim.or(Some(Fate::Reply)),
        ArpOperation::REQUEST if spa == tpa => claim.or(Some(Fate::Announcement)),
        ArpOperation::REQUEST if tpa != VIP => Some(Fate::NotOurTarget),
        ArpOperation::REQUEST => {
            let destination = ethernet.destination();
            let is_for_us = destination == [0xff; 6] || destination == NODE;
            Some(question(is_for_us, is_station(arp.sender_hw_addr()), entry))
        }
        _ => Some(Fate::UnknownOper),
    }
}

/// The fate of what says that a station has an address.
fn claim(is_of_vip: bool, claimant: &[u8], entry: Entry) -> Option<Fate> {
    match entry {
        _ if !is_of_vip || claimant == NODE => None,
        Entry::Announced => Some(Fate::ForeignClaim),
        Entry::Suppressed => Some(Fate::OtherHolder),
        Entry::Absent => None,
    }
}

/// The fate of a question for the VIP.
fn question(is_for_us: bool, is_from_one_station: bool, entry: Entry) -> Fate {
    match entry {
        Entry::Absent => Fate::NotOurTarget,
        _ if !is_for_us => Fate::OtherDestination,
        Entry::Suppressed => Fate::Suppressed,
        Entry::Announced if !is_from_one_station => Fate::SenderNotUnicast,
        Entry::Announced => Fate::Answered,
    }
}

fn is_station(mac: &[u8]) -> bool {
    mac[0] & 1 == 0 && mac.iter().any(|&byte| byte != 0)
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
