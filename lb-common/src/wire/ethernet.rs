//! Ethernet II frames (RFC 894).

/// A link-layer address.
pub type Mac = [u8; 6];

/// Every station on the segment.
pub const BROADCAST: Mac = [0xff; 6];
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Bytes of the header.
pub const HEADER_LEN: usize = 14;
/// Shortest frame on the wire without its FCS (IEEE 802.3, 4A.4.2); shorter ones are padded to it.
pub const MIN_FRAME_LEN: usize = 60;

/// Whether `mac` can be one station's own address: neither a group address nor all zero.
#[must_use]
#[inline(always)]
pub const fn is_unicast(mac: Mac) -> bool {
    let [a, b, c, d, e, f] = mac;
    a & 1 == 0 && (a | b | c | d | e | f) != 0
}

/// Header of an Ethernet II frame, 14 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Header {
    /// Destination.
    pub destination: Mac,
    /// Source.
    pub source: Mac,
    ethertype_be: [u8; 2],
}

impl Header {
    /// A header for this EtherType (host byte order).
    #[must_use]
    pub const fn new(destination: Mac, source: Mac, ethertype: u16) -> Self {
        Self { destination, source, ethertype_be: ethertype.to_be_bytes() }
    }

    /// EtherType, host byte order.
    #[must_use]
    #[inline(always)]
    pub const fn ethertype(&self) -> u16 {
        u16::from_be_bytes(self.ethertype_be)
    }
}

const _: () = assert!(size_of::<Header>() == HEADER_LEN && align_of::<Header>() == 1);
