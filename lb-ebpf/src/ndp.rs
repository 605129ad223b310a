//! What becomes of a Neighbor Solicitation or Advertisement.

use lb_common::{
    maps::{ClaimKind, VipKey},
    reason::Fate,
    wire::{
        ethernet::{self, is_unicast},
        icmpv6::{
            self,
            ndp::{ADVERTISEMENT, Head, Kind, Malformed, SOLICITATION, TYPE_AT},
        },
        ipv6,
    },
};

use crate::{
    ifaces,
    packet::{Packet, SkbPacket},
    resolution::{Question, claim, judge, must_be_silent},
};

/// Bytes of the shortest extension header.
const EXTENSION_LEN: usize = 8;

/// Judges an incoming IPv6 packet and, if it asks for a VIP announced here, makes it the answer. `None`: not NDP.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Option<Fate> {
    match carried(packet)? {
        Carried::Behind => Some(Fate::NdpExtension),
        Carried::Directly => Some(match resolve(packet) {
            Ok(fate) | Err(fate) => fate,
        }),
    }
}

/// How a packet carries NDP.
enum Carried {
    /// Right behind the IPv6 header, as all of it is sent.
    Directly,
    /// Behind an extension header.
    Behind,
}

/// The test that all IPv6 traffic has to pass: a byte for most.
#[inline(always)]
fn carried<P: Packet>(packet: &P) -> Option<Carried> {
    const NEXT_HEADER_AT: usize = ethernet::HEADER_LEN + ipv6::NEXT_HEADER_AT;
    let is_ndp = |at| matches!(packet.peek(at), Some([SOLICITATION | ADVERTISEMENT]));
    let [next_header] = packet.peek(NEXT_HEADER_AT)?;
    if next_header == icmpv6::PROTOCOL {
        return is_ndp(TYPE_AT).then_some(Carried::Directly);
    }
    let is_behind = is_extension(next_header)
        && packet.peek(TYPE_AT) == Some([icmpv6::PROTOCOL, 0])
        && is_ndp(TYPE_AT + EXTENSION_LEN);
    is_behind.then_some(Carried::Behind)
}

/// Whether such a header can come before ICMPv6 (RFC 8200, 4): hop-by-hop options, routing, fragment, destination options.
#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | 44 | 60)
}

#[inline(always)]
fn resolve<P: Packet>(packet: &mut P) -> Result<Fate, Fate> {
    if packet.is_vlan_tagged() {
        return Err(Fate::VlanTagged);
    }
    let ifindex = packet.ifindex();
    let head = packet.head::<Head>().ok_or(Fate::Truncated)?;
    // SAFETY: `head` has proved the bytes of a `Head`; it is only read, and not after `replace`.
    let head = unsafe { &*head };
    let message = head.check(|at| packet.peek(at)).map_err(fate_of)?;
    let (kind, otherwise) = match message.kind {
        Kind::Solicitation => return answer(packet, ifindex, head),
        Kind::OwnSolicitation | Kind::UnsolicitedAdvertisement => {
            (announcement_kind(head), Fate::Announcement)
        }
        Kind::SolicitedAdvertisement => (ClaimKind::Answer, Fate::Reply),
    };
    let key = VipKey { ifindex, address: head.target_address };
    let claimant = message.link_layer_address.unwrap_or(head.ethernet.source);
    Ok(claim(key, claimant, kind).unwrap_or(otherwise))
}

#[inline(always)]
fn answer<P: Packet>(packet: &mut P, ifindex: u32, head: &Head) -> Result<Fate, Fate> {
    let permit = judge(&question(ifindex, head))?;
    let answer = head.answer_from(permit.mac);
    if packet.replace(&answer) { Ok(permit.used()) } else { Err(Fate::NoRoom) }
}

#[inline(always)]
fn question(ifindex: u32, head: &Head) -> Question<[u8; 16]> {
    let group = ipv6::solicited_node(head.target_address);
    Question {
        key: VipKey { ifindex, address: head.target_address },
        destination: head.ethernet.destination,
        is_for_everyone: head.ethernet.destination == ipv6::multicast_mac(group),
        is_for_target: head.is_addressed_to_target(),
        is_from_one_station: head.is_from_one_station(),
    }
}

/// Judges an outgoing packet: neither as the sender of a solicitation nor in an advertisement does a VIP leave that this
/// node does not announce, since either would move the neighbours' caches to this node (RFC 4861, 7.2.3 and 7.2.5). (Linux
/// does either only for an address of this very interface; one on the loopback or on a dummy it keeps to itself.)
#[inline(always)]
pub fn egress(packet: &mut SkbPacket) -> Option<Fate> {
    if !matches!(carried(packet), Some(Carried::Directly)) {
        return None;
    }
    let ifindex = packet.ifindex();
    let head = packet.head::<Head>()?;
    // SAFETY: `head` has proved the bytes of a `Head`; no other reference lives, and it is not used after `mend`.
    let head = unsafe { &mut *head };
    if !head.is_solicitation() {
        return must_be_silent(&VipKey { ifindex, address: head.target_address }).then_some(Fate::Unheld);
    }
    let before = head.ip.source();
    if !must_be_silent(&VipKey { ifindex, address: before }) {
        return None;
    }
    let own = ifaces::get(ifindex).map(|iface| iface.ipv6_link_local);
    let Some(after) = own.filter(|&own| ipv6::is_unicast(own)) else { return Some(Fate::SenderUnknown) };
    head.ip.set_source(after);
    packet.mend_ndp_checksum(&before, &after);
    Some(Fate::SenderRewritten)
}

#[inline(always)]
const fn announcement_kind(head: &Head) -> ClaimKind {
    if is_unicast(head.ethernet.destination) { ClaimKind::ToOne } else { ClaimKind::Announcement }
}

#[inline(always)]
const fn fate_of(reason: Malformed) -> Fate {
    match reason {
        // The bytes and the type have been looked at before.
        Malformed::Truncated | Malformed::NotNdp => Fate::Truncated,
        Malformed::IpHeader => Fate::NdpIpHeader,
        Malformed::HopLimit => Fate::NdpHopLimit,
        Malformed::Code => Fate::NdpCode,
        Malformed::Length => Fate::NdpLength,
        Malformed::TooLong => Fate::NdpTooLong,
        Malformed::Target => Fate::NdpTarget,
        Malformed::OptionLength => Fate::NdpOptionLength,
        Malformed::Checksum => Fate::NdpChecksum,
        Malformed::UnspecifiedSource => Fate::NdpUnspecifiedSource,
        Malformed::SolicitedByGroup => Fate::NdpSolicitedByGroup,
    }
}
