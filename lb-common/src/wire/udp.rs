//! UDP (RFC 768).

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;
/// Where the port of the receiver stands in the header.
pub const DESTINATION_PORT_AT: usize = core::mem::offset_of!(Header, destination_port_be);
/// Its number as an IP protocol.
pub const PROTOCOL: u8 = 17;

/// Header of a UDP datagram, 8 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Header {
    source_port_be: [u8; 2],
    destination_port_be: [u8; 2],
    datagram_len_be: [u8; 2],
    /// Zero where the sender has made none, as it may over IPv4.
    pub checksum_be: [u8; 2],
}

impl Header {
    /// Port of the sender, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn source_port(&self) -> u16 {
        u16::from_be_bytes(self.source_port_be)
    }

    /// Port of the receiver, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn destination_port(&self) -> u16 {
        u16::from_be_bytes(self.destination_port_be)
    }

    /// Bytes of header and payload, as the header says, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn datagram_len(&self) -> u16 {
        u16::from_be_bytes(self.datagram_len_be)
    }

    /// Whether the sender has made a checksum.
    #[must_use]
    #[inline(always)]
    pub const fn has_checksum(&self) -> bool {
        u16::from_ne_bytes(self.checksum_be) != 0
    }

    /// Turns the datagram around.
    #[inline(always)]
    pub const fn swap_ports(&mut self) {
        core::mem::swap(&mut self.source_port_be, &mut self.destination_port_be);
    }

    /// The header's part of the checksum's sum: everything but the checksum itself.
    #[must_use]
    #[inline(always)]
    pub const fn sum(&self) -> u32 {
        let [a, b] = self.source_port_be;
        let [c, d] = self.destination_port_be;
        let [e, f] = self.datagram_len_be;
        super::checksum::add(0, &[a, b, c, d, e, f])
    }
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN && align_of::<Header>() == 1);
