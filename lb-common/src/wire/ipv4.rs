//! IPv4 (RFC 791), without options.

use super::{checksum, ethernet::ETHERTYPE_IPV4, sbfd, udp};

/// Bytes of the header.
pub const HEADER_LEN: usize = 20;
/// Where the protocol's number stands in the header.
pub const PROTOCOL_AT: usize = core::mem::offset_of!(Header, protocol);

/// Bytes of a header with options, from its first byte: at most 60.
#[must_use]
#[inline(always)]
pub const fn header_len(version_ihl: u8) -> usize {
    (version_ihl & 0x0f) as usize * 4
}

const VERSION_4_IHL_5: u8 = 0x45;
/// More Fragments, and the fragment's offset.
const FRAGMENT: u16 = 0x3fff;

/// Header of an IPv4 packet, 20 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Header {
    version_ihl: u8,
    dscp_ecn: u8,
    total_len_be: [u8; 2],
    identification_be: [u8; 2],
    flags_fragment_be: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum_be: [u8; 2],
    source: [u8; 4],
    destination: [u8; 4],
}

impl Header {
    /// Number of the protocol above.
    #[must_use]
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Whether the packet is one fragment of several (RFC 791, 3.2).
    #[must_use]
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        u16::from_be_bytes(self.flags_fragment_be) & FRAGMENT != 0
    }

    /// Whether the header is one of version 4 and of 20 bytes.
    #[must_use]
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        self.version_ihl == VERSION_4_IHL_5
    }
}

// SAFETY: `repr(C)` of bytes and byte arrays; the assert below excludes padding and a larger alignment.
unsafe impl sbfd::Network for Header {
    type Address = [u8; 4];

    const ETHERTYPE: u16 = ETHERTYPE_IPV4;
    const NEEDS_UDP_CHECKSUM: bool = false;

    #[inline(always)]
    fn next_protocol(&self) -> u8 {
        self.protocol
    }

    #[inline(always)]
    fn check(&self) -> Result<(), sbfd::Malformed> {
        if !self.is_plain() {
            return Err(sbfd::Malformed::IpHeader);
        }
        if self.is_fragment() {
            return Err(sbfd::Malformed::Fragment);
        }
        Ok(())
    }

    #[inline(always)]
    fn hop_limit(&self) -> u8 {
        self.ttl
    }

    #[inline(always)]
    fn payload_len(&self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "20")]
        u16::from_be_bytes(self.total_len_be).wrapping_sub(HEADER_LEN as u16)
    }

    #[inline(always)]
    fn source(&self) -> [u8; 4] {
        self.source
    }

    #[inline(always)]
    fn destination(&self) -> [u8; 4] {
        self.destination
    }

    #[inline(always)]
    fn swap_addresses(&mut self) {
        // The header's own checksum stays right: it is a sum.
        core::mem::swap(&mut self.source, &mut self.destination);
    }

    #[inline(always)]
    fn pseudo_header_sum(&self, udp_len: u16) -> u32 {
        let [a, b] = udp_len.to_be_bytes();
        let addresses = checksum::add(checksum::add(0, &self.source), &self.destination);
        checksum::add(addresses, &[0, udp::PROTOCOL, a, b])
    }
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN && align_of::<Header>() == 1);
