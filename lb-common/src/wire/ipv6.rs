//! IPv6 (RFC 8200), without extension headers, and its addresses (RFC 4291).

use super::{checksum, ethernet::ETHERTYPE_IPV6, ethernet::Mac, sbfd, udp};

/// An address, in wire order.
pub type Address = [u8; 16];

/// Bytes of the header.
pub const HEADER_LEN: usize = 40;
/// Where the number of the next header stands in the header.
pub const NEXT_HEADER_AT: usize = core::mem::offset_of!(Header, next_header);

/// No address: the sender of a probe for duplicates has none yet (RFC 4291, 2.5.2).
pub const UNSPECIFIED: Address = [0; 16];
/// All nodes on the link (RFC 4291, 2.7.1).
pub const ALL_NODES: Address = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

const VERSION_6: [u8; 4] = [0x60, 0, 0, 0];

/// Whether `address` is a group's (RFC 4291, 2.7).
#[must_use]
#[inline(always)]
pub const fn is_multicast(address: Address) -> bool {
    address[0] == 0xff
}

/// Whether `address` can be one node's own: neither a group's nor all zero.
#[must_use]
#[inline(always)]
pub const fn is_unicast(address: Address) -> bool {
    !is_multicast(address) && u128::from_ne_bytes(address) != 0
}

/// Whether `address` is of use on one link only (RFC 4291, 2.5.6).
#[must_use]
#[inline(always)]
pub const fn is_link_local(address: Address) -> bool {
    address[0] == 0xfe && address[1] & 0xc0 == 0x80
}

/// The group in which `address` is asked for (RFC 4291, 2.7.1).
#[must_use]
#[inline(always)]
pub const fn solicited_node(address: Address) -> Address {
    let [.., a, b, c] = address;
    [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]
}

/// The link-layer address of a group (RFC 2464, 7).
#[must_use]
#[inline(always)]
pub const fn multicast_mac(group: Address) -> Mac {
    let [.., a, b, c, d] = group;
    [0x33, 0x33, a, b, c, d]
}

/// Header of an IPv6 packet, 40 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Header {
    version_class_flow: [u8; 4],
    payload_len_be: [u8; 2],
    next_header: u8,
    hop_limit: u8,
    source: Address,
    destination: Address,
}

impl Header {
    /// A header with traffic class and flow label zero; `payload_len` in bytes, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn new(
        next_header: u8,
        payload_len: u16,
        hop_limit: u8,
        source: Address,
        destination: Address,
    ) -> Self {
        let payload_len_be = payload_len.to_be_bytes();
        Self { version_class_flow: VERSION_6, payload_len_be, next_header, hop_limit, source, destination }
    }

    /// Whether the header is one of version 6.
    #[must_use]
    #[inline(always)]
    pub const fn is_version_6(&self) -> bool {
        self.version_class_flow[0] >> 4 == 6
    }

    /// Number of the header that follows.
    #[must_use]
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        self.next_header
    }

    /// Routers that the packet may still pass.
    #[must_use]
    #[inline(always)]
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// Bytes behind the header, as the header says, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes(self.payload_len_be)
    }

    /// Address of the sender.
    #[must_use]
    #[inline(always)]
    pub const fn source(&self) -> Address {
        self.source
    }

    /// Puts another address in the sender's place.
    #[inline(always)]
    pub const fn set_source(&mut self, source: Address) {
        self.source = source;
    }

    /// Address of the receiver.
    #[must_use]
    #[inline(always)]
    pub const fn destination(&self) -> Address {
        self.destination
    }

    /// The pseudo header's part of the sum for the checksum of the protocol above (RFC 8200, 8.1), whose packet has
    /// `len` bytes.
    #[must_use]
    #[inline(always)]
    pub const fn pseudo_header_sum(&self, protocol: u8, len: u16) -> u32 {
        let [a, b] = len.to_be_bytes();
        let addresses = checksum::add(checksum::add(0, &self.source), &self.destination);
        checksum::add(addresses, &[a, b, 0, protocol])
    }
}

// SAFETY: `repr(C)` of bytes and byte arrays; the assert below excludes padding and a larger alignment.
unsafe impl sbfd::Network for Header {
    type Address = Address;

    const ETHERTYPE: u16 = ETHERTYPE_IPV6;
    const NEEDS_UDP_CHECKSUM: bool = true;

    #[inline(always)]
    fn next_protocol(&self) -> u8 {
        self.next_header
    }

    #[inline(always)]
    fn check(&self) -> Result<(), sbfd::Malformed> {
        // A fragment has a header of its own in between, and so does not come here.
        if self.is_version_6() { Ok(()) } else { Err(sbfd::Malformed::IpHeader) }
    }

    #[inline(always)]
    fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    #[inline(always)]
    fn payload_len(&self) -> u16 {
        Self::payload_len(self)
    }

    #[inline(always)]
    fn source(&self) -> Address {
        self.source
    }

    #[inline(always)]
    fn destination(&self) -> Address {
        self.destination
    }

    #[inline(always)]
    fn swap_addresses(&mut self) {
        core::mem::swap(&mut self.source, &mut self.destination);
    }

    #[inline(always)]
    fn pseudo_header_sum(&self, udp_len: u16) -> u32 {
        Self::pseudo_header_sum(self, udp::PROTOCOL, udp_len)
    }
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN && align_of::<Header>() == 1);

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_are_what_std_takes_them_for(first in any::<[u8; 2]>(), rest in any::<[u8; 14]>()) {
            // The first bytes decide; so both random and telling ones.
            for first in [first, [0xfe, first[1]], [0xff, first[1]], [0, 0]] {
                let address: Address = [&first[..], &rest].concat().try_into().unwrap();
                let std = Ipv6Addr::from(address);
                prop_assert_eq!(is_multicast(address), std.is_multicast());
                prop_assert_eq!(is_link_local(address), std.is_unicast_link_local());
                prop_assert_eq!(is_unicast(address), !std.is_multicast() && !std.is_unspecified());
            }
        }
    }

    #[test]
    fn groups_and_their_link_layer_addresses_are_those_of_the_rfcs() {
        // The example of RFC 4291, 2.7.1.
        let address: Ipv6Addr = "4037::01:800:200e:8c6c".parse().unwrap();
        let group = solicited_node(address.octets());
        assert_eq!(Ipv6Addr::from(group), "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap());
        assert_eq!(multicast_mac(group), [0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]);
        assert_eq!(Ipv6Addr::from(ALL_NODES), "ff02::1".parse::<Ipv6Addr>().unwrap());
        assert!(!is_unicast(UNSPECIFIED));
    }
}
