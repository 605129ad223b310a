//! ICMPv6 (RFC 4443).

pub mod ndp;

/// Its number as a next header of IPv6.
pub const PROTOCOL: u8 = 58;
/// Bytes of the header.
pub const HEADER_LEN: usize = 4;

/// Header of an ICMPv6 message, 4 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Header {
    /// What the message is.
    pub message_type: u8,
    /// What kind of it.
    pub code: u8,
    /// Over the pseudo header and the whole message (RFC 4443, 2.3).
    pub checksum_be: [u8; 2],
}

impl Header {
    /// The header's part of the checksum's sum, the checksum itself included.
    #[must_use]
    #[inline(always)]
    pub const fn sum(&self) -> u32 {
        super::checksum::add(super::checksum::add(0, &[self.message_type, self.code]), &self.checksum_be)
    }
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN && align_of::<Header>() == 1);
