//! What becomes of an ARP frame.

use lb_common::{
    maps::{ClaimKind, VipKey},
    reason::Fate,
    wire::{
        arp::{Frame, Kind, Malformed},
        ethernet::{BROADCAST, is_unicast},
    },
};

use crate::{
    ifaces,
    packet::{Packet, SkbPacket},
    resolution::{Question, claim, judge, must_be_silent},
};

/// Judges an incoming frame and, if it asks for a VIP announced here, turns it into the answer.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Fate {
    if packet.is_vlan_tagged() {
        return Fate::VlanTagged;
    }
    let ifindex = packet.ifindex();
    let Some(frame) = packet.head::<Frame>() else { return Fate::Truncated };
    // SAFETY: `head` has proved the bytes of a `Frame`; no other reference lives until `pad`.
    let frame = unsafe { &mut *frame };
    let (kind, otherwise) = match frame.kind() {
        Ok(Kind::Request) => {
            let fate = request(ifindex, frame);
            if matches!(fate, Fate::Answered | Fate::SelfTest) {
                packet.pad();
            }
            return fate;
        }
        Ok(Kind::Announcement) => (announcement_kind(frame), Fate::Announcement),
        Ok(Kind::Reply) => (reply_kind(frame), Fate::Reply),
        Err(Malformed::UnknownOper) => return Fate::UnknownOper,
        Err(Malformed::NotEthernetIpv4) => return Fate::NotEthernetIpv4,
        Err(Malformed::NotArp | Malformed::Truncated) => return Fate::Truncated, // `kind` looks at neither
    };
    claim(VipKey { ifindex, address: frame.spa }, frame.sha, kind).unwrap_or(otherwise)
}

/// Judges an outgoing frame: a request from a VIP that this node does not announce would move the neighbours'
/// caches to this node, so it leaves with the interface's own address (RFC 826 merges sender addresses).
#[inline(always)]
pub fn egress(packet: &mut SkbPacket) -> Option<Fate> {
    let ifindex = packet.ifindex();
    let frame = packet.head::<Frame>()?;
    // SAFETY: `head` has proved the bytes of a `Frame`; no other reference lives.
    let frame = unsafe { &mut *frame };
    let Ok(Kind::Request | Kind::Announcement) = frame.kind() else { return None };
    if !must_be_silent(&VipKey { ifindex, address: frame.spa }) {
        return None;
    }
    frame.spa = ifaces::get(ifindex).map_or([0; 4], |iface| iface.ipv4);
    Some(Fate::SenderRewritten)
}

#[inline(always)]
const fn announcement_kind(frame: &Frame) -> ClaimKind {
    if is_unicast(frame.ethernet.destination) { ClaimKind::ToOne } else { ClaimKind::Announcement }
}

#[inline(always)]
const fn reply_kind(frame: &Frame) -> ClaimKind {
    if u32::from_ne_bytes(frame.spa) == u32::from_ne_bytes(frame.tpa) {
        ClaimKind::GratuitousReply
    } else {
        ClaimKind::Answer
    }
}

#[inline(always)]
fn request(ifindex: u32, frame: &mut Frame) -> Fate {
    let question = Question {
        key: VipKey { ifindex, address: frame.tpa },
        destination: frame.ethernet.destination,
        is_for_everyone: frame.ethernet.destination == BROADCAST,
        is_for_target: true,
        is_from_one_station: is_unicast(frame.sha),
    };
    match judge(&question) {
        Ok(permit) => {
            frame.answer_from(permit.mac);
            permit.used()
        }
        Err(fate) => fate,
    }
}
