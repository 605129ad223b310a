//! Frames that are sent.

use super::{
    ADVERTISEMENT, HEAD_LEN, Head, MESSAGE_LEN, ON_LINK_HOP_LIMIT, OVERRIDE, PROTOCOL, SOLICITATION,
    SOLICITED, UNIT_LEN, options::LinkLayerAddress,
};
use crate::wire::{
    checksum,
    ethernet::{self, ETHERTYPE_IPV6, Mac},
    ipv6::{self, ALL_NODES, Address, is_unicast, multicast_mac, solicited_node},
};

/// Bytes of a frame that is sent.
pub const FRAME_LEN: usize = HEAD_LEN + UNIT_LEN;

/// A whole frame with one option, a link-layer address, 86 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Frame {
    /// Everything up to the option.
    pub head: Head,
    option: LinkLayerAddress,
}

/// Sender and receiver of a frame, on both layers.
struct Between {
    mac: Mac,
    station: Mac,
    source: Address,
    destination: Address,
}

impl Frame {
    /// A solicitation to the group of `target` (RFC 4861, 7.2.2) from the station `mac` with the address `source`.
    #[must_use]
    pub const fn solicitation(mac: Mac, source: Address, target: Address) -> Self {
        let destination = solicited_node(target);
        let station = multicast_mac(destination);
        Self::new(&Between { mac, station, source, destination }, SOLICITATION, 0, target)
    }

    /// A solicitation to `station` alone, which is thought to have `target`: the probe of Neighbor Unreachability
    /// Detection (RFC 4861, 7.3.3).
    #[must_use]
    pub const fn unicast_solicitation(mac: Mac, source: Address, station: Mac, target: Address) -> Self {
        Self::new(&Between { mac, station, source, destination: target }, SOLICITATION, 0, target)
    }

    /// An unsolicited advertisement to all nodes (RFC 4861, 7.2.6): `mac` has `address`, whatever they knew before.
    #[must_use]
    pub const fn unsolicited_advertisement(mac: Mac, address: Address) -> Self {
        let between =
            Between { mac, station: multicast_mac(ALL_NODES), source: address, destination: ALL_NODES };
        Self::new(&between, ADVERTISEMENT, OVERRIDE, address)
    }

    /// The same frame for one station instead of a group, whose IP address it keeps (RFC 6085).
    #[must_use]
    pub const fn to(mut self, station: Mac) -> Self {
        self.head.ethernet.destination = station;
        self
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "8")]
    const fn new(between: &Between, message_type: u8, flags: u8, target: Address) -> Self {
        const LEN: u16 = MESSAGE_LEN + UNIT_LEN as u16;
        let &Between { mac, station, source, destination } = between;
        let ethernet = ethernet::Header::new(station, mac, ETHERTYPE_IPV6);
        let ip = ipv6::Header::new(PROTOCOL, LEN, ON_LINK_HOP_LIMIT, source, destination);
        let mut head = Head::new(ethernet, ip, message_type, flags, target);
        let option = LinkLayerAddress::new(head.option_wanted(), mac);
        head.icmpv6.checksum_be = checksum::icmpv6(head.sum() + option.sum());
        Self { head, option }
    }

    /// The frame as bytes on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; FRAME_LEN] {
        // SAFETY: `repr(C)` of byte arrays only, so no padding, alignment 1 and, by the assert below, this size.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl Head {
    /// The answer of the station `mac` to a solicitation (RFC 4861, 7.2.4). It goes back to the station that the frame
    /// came from; after a probe for duplicates, to all nodes.
    #[must_use]
    #[inline(always)]
    pub const fn answer_from(&self, mac: Mac) -> Frame {
        let (station, address, flags) = if is_unicast(self.ip.source()) {
            (self.ethernet.source, self.ip.source(), SOLICITED | OVERRIDE)
        } else {
            (multicast_mac(ALL_NODES), ALL_NODES, OVERRIDE)
        };
        let between = Between { mac, station, source: self.target_address, destination: address };
        Frame::new(&between, ADVERTISEMENT, flags, self.target_address)
    }
}

const _: () = assert!(size_of::<Frame>() == FRAME_LEN && align_of::<Frame>() == 1);
