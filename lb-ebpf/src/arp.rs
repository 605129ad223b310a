//! What becomes of an ARP frame.

use lb_common::{
    maps::{ClaimKind, Lease, Role, VipKey, VipKeyV4},
    reason::Fate,
    wire::{
        arp::{Frame, Kind, Malformed},
        ethernet::{BROADCAST, ETHERTYPE_ARP, is_unicast},
    },
};

use crate::{
    events, ifaces, lease,
    packet::Packet,
    vips::{self, Stats},
};

/// Judges an incoming frame and, if it asks for a VIP announced here, turns it into the answer. `None`: not ARP.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Option<Fate> {
    if packet.ethertype() != ETHERTYPE_ARP {
        return None;
    }
    if packet.is_vlan_tagged() {
        return Some(Fate::VlanTagged);
    }
    let ifindex = packet.ifindex();
    let Some(frame) = packet.head::<Frame>() else { return Some(Fate::Truncated) };
    // SAFETY: `head` has proved the bytes of a `Frame`; no other reference lives until `pad`.
    let frame = unsafe { &mut *frame };
    let fate = match frame.kind() {
        Ok(Kind::Request) => request(ifindex, frame),
        Ok(Kind::Announcement) => {
            claim(ifindex, frame, announcement_kind(frame)).unwrap_or(Fate::Announcement)
        }
        Ok(Kind::Reply) => claim(ifindex, frame, reply_kind(frame)).unwrap_or(Fate::Reply),
        Err(Malformed::UnknownOper) => Fate::UnknownOper,
        Err(Malformed::NotEthernetIpv4) => Fate::NotEthernetIpv4,
        Err(Malformed::NotArp | Malformed::Truncated) => Fate::Truncated, // `kind` looks at neither
    };
    if matches!(fate, Fate::Answered | Fate::SelfTest) {
        packet.pad();
    }
    Some(fate)
}

/// Judges an outgoing frame: a request from a VIP that this node does not announce would move the neighbours'
/// caches to this node, so it leaves with the interface's own address (RFC 826 merges sender addresses).
#[inline(always)]
pub fn egress<P: Packet>(packet: &mut P) -> Option<Fate> {
    if packet.ethertype() != ETHERTYPE_ARP || packet.is_vlan_tagged() {
        return None;
    }
    let ifindex = packet.ifindex();
    let frame = packet.head::<Frame>()?;
    // SAFETY: `head` has proved the bytes of a `Frame`; no other reference lives.
    let frame = unsafe { &mut *frame };
    let Ok(Kind::Request | Kind::Announcement) = frame.kind() else { return None };
    let entry = vips::get(&key(ifindex, frame.spa))?;
    let may_speak = match (entry.role()?, lease::state(lease::now_ns())) {
        (Role::Suppress, Lease::Valid | Lease::Expired) | (Role::Announce, Lease::Expired) => false,
        (Role::Announce, Lease::Valid) | (_, Lease::Abandoned) | (Role::SelfTest | Role::Contested, _) => {
            true
        }
    };
    if may_speak {
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
    let key = key(ifindex, frame.tpa);
    let Some(entry) = vips::get(&key) else { return Fate::NotOurTarget };
    let announced = match entry.role() {
        Some(Role::Announce) => true,
        Some(Role::Suppress) => false,
        Some(Role::SelfTest) => {
            frame.answer_from(entry.mac);
            return Fate::SelfTest;
        }
        Some(Role::Contested) | None => return Fate::NotOurTarget,
    };
    if frame.ethernet.destination != BROADCAST && frame.ethernet.destination != entry.mac {
        return Fate::OtherDestination;
    }
    let now_ns = lease::now_ns();
    let stats = vips::stats(&key);
    stats.requested();
    match lease::state(now_ns) {
        Lease::Abandoned => return Fate::LeaseAbandoned,
        _ if !announced => return Fate::Suppressed,
        Lease::Expired => return Fate::LeaseExpired,
        Lease::Valid => {}
    }
    if !is_unicast(frame.sha) {
        return Fate::SenderNotUnicast;
    }
    frame.answer_from(entry.mac);
    stats.answered(now_ns);
    Fate::Answered
}

/// Whether the frame says that another station has a VIP of the map (RFC 5227, 2.4); if so the agent hears of it,
/// whatever the lease: who holds a VIP is known from the wire.
#[inline(always)]
fn claim(ifindex: u32, frame: &Frame, kind: ClaimKind) -> Option<Fate> {
    let key = key(ifindex, frame.spa);
    let entry = vips::get(&key)?;
    let (own_mac, fate) = match entry.role()? {
        Role::Announce => (entry.mac, Fate::ForeignClaim),
        Role::Suppress => (entry.mac, Fate::OtherHolder),
        Role::Contested => (ifaces::get(ifindex).map_or([0; 6], |iface| iface.mac), Fate::OtherHolder),
        Role::SelfTest => return None,
    };
    if own_mac == frame.sha {
        return None;
    }
    let now_ns = lease::now_ns();
    if vips::stats(&key).is_claim_due(frame.sha, kind, now_ns) {
        events::claim(now_ns, ifindex, frame, kind);
    }
    Some(fate)
}

#[inline(always)]
const fn key(ifindex: u32, address: [u8; 4]) -> VipKeyV4 {
    VipKey { ifindex, address }
}
