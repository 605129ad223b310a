//! S-BFD Control packets on the link: Ethernet, IP, UDP (RFC 7880, 7881).

use super::{
    bfd::{self, CONTROL_LEN, Control, Diag, ON_LINK_TTL, SBFD_PORT, State},
    checksum, ethernet, ipv4, ipv6, udp,
};

/// Bytes of a UDP datagram with a Control packet.
#[expect(clippy::cast_possible_truncation, reason = "32")]
const UDP_LEN: u16 = (udp::HEADER_LEN + CONTROL_LEN) as u16;

/// What S-BFD needs of an IP header: all that IPv4 and IPv6 differ in.
///
/// # Safety
/// The header can be laid over a frame at any address: alignment 1, no padding, and every bit pattern is a value.
pub unsafe trait Network: Copy {
    /// An address, in wire order.
    type Address: Copy + Eq;

    /// EtherType, host byte order.
    const ETHERTYPE: u16;
    /// Whether a datagram has to have a checksum (RFC 8200, 8.1).
    const NEEDS_UDP_CHECKSUM: bool;

    /// Number of the protocol above.
    fn next_protocol(&self) -> u8;
    /// Whether the payload begins right behind the header, and is whole.
    ///
    /// # Errors
    /// [`Malformed::IpHeader`] or [`Malformed::Fragment`].
    fn check(&self) -> Result<(), Malformed>;
    /// TTL or Hop Limit.
    fn hop_limit(&self) -> u8;
    /// Bytes behind the header, as the header says.
    fn payload_len(&self) -> u16;
    /// Address of the sender.
    fn source(&self) -> Self::Address;
    /// Address of the receiver.
    fn destination(&self) -> Self::Address;
    /// Turns the packet around.
    fn swap_addresses(&mut self);
    /// The pseudo header's part of the UDP checksum's sum.
    fn pseudo_header_sum(&self, udp_len: u16) -> u32;
}

/// A frame with a Control packet over the IP header `N`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Frame<N> {
    /// Ethernet header.
    pub ethernet: ethernet::Header,
    /// IP header.
    pub ip: N,
    /// UDP header.
    pub udp: udp::Header,
    /// The packet itself.
    pub control: Control,
}

/// A frame over IPv4, 66 bytes.
pub type FrameV4 = Frame<ipv4::Header>;
/// A frame over IPv6, 86 bytes.
pub type FrameV6 = Frame<ipv6::Header>;

/// Why a frame is no probe for a reflector on the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Another EtherType, protocol or port.
    NotSbfd,
    /// Fewer bytes than the format has.
    Truncated,
    /// An IP header with options, or of another version.
    IpHeader,
    /// One fragment of several.
    Fragment,
    /// The packet may have come through a router (RFC 5881, 5; RFC 5082, 3).
    HopLimit,
    /// IP and UDP do not agree on the one length that the format has.
    Length,
    /// No UDP checksum over IPv6 (RFC 8200, 8.1).
    NoChecksum,
    /// A reflector's answer comes from this port (RFC 7881, 4); no probe does, lest two reflectors answer each other.
    SourcePort,
    /// The Control packet.
    Control(bfd::Malformed),
    /// A reflector's answer, by its D bit (RFC 7880, 7.2.1).
    NotDemand,
}

/// The one word of a frame that [`Frame::reflect`] changes otherwise than by swapping it with another: all that a
/// checksum has to follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChangedWord {
    /// As it was, wire order.
    pub before: [u8; 2],
    /// As it is, wire order.
    pub after: [u8; 2],
}

impl<N: Network> Frame<N> {
    /// Bytes of the frame, padding left out.
    pub const LEN: usize = size_of::<Self>();
    /// Where the UDP checksum stands in the frame.
    pub const CHECKSUM_AT: usize =
        core::mem::offset_of!(Self, udp) + core::mem::offset_of!(udp::Header, checksum_be);

    /// Reads a probe; bytes past the packet are padding. The checksums are the receiving stack's matter.
    ///
    /// # Errors
    /// [`Malformed`], first cause first; [`Malformed::Truncated`] at any length that is too short.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes = bytes.get(..Self::LEN).ok_or(Malformed::Truncated)?;
        // SAFETY: every bit pattern is a `Frame` of alignment 1 by what `Network` and the headers' asserts promise, and
        // `bytes` has as many as it takes.
        let frame: Self = unsafe { bytes.as_ptr().cast::<Self>().read() };
        if frame.ethernet.ethertype() != N::ETHERTYPE
            || frame.ip.next_protocol() != udp::PROTOCOL
            || frame.udp.destination_port() != SBFD_PORT
        {
            return Err(Malformed::NotSbfd);
        }
        frame.check().map(|()| frame)
    }

    /// The checks of [`Self::parse`], for a frame that is there whole and is known to be for the reflector's port.
    ///
    /// # Errors
    /// [`Malformed`], first cause first.
    #[inline(always)]
    pub fn check(&self) -> Result<(), Malformed> {
        self.ip.check()?;
        if self.ip.hop_limit() != ON_LINK_TTL {
            return Err(Malformed::HopLimit);
        }
        if self.ip.payload_len() != UDP_LEN || self.udp.datagram_len() != UDP_LEN {
            return Err(Malformed::Length);
        }
        if N::NEEDS_UDP_CHECKSUM && !self.udp.has_checksum() {
            return Err(Malformed::NoChecksum);
        }
        if self.udp.source_port() == SBFD_PORT {
            return Err(Malformed::SourcePort);
        }
        self.control.check().map_err(Malformed::Control)?;
        if self.control.is_demand() { Ok(()) } else { Err(Malformed::NotDemand) }
    }

    /// Turns a probe into the reflector's answer, in place (RFC 7880, 7.2.2; RFC 7881, 6.1): it goes back to where the
    /// frame came from. TTL 255 stays. The UDP checksum is left to follow the change.
    #[inline(always)]
    pub fn reflect(&mut self, state: State, diag: Diag) -> ChangedWord {
        core::mem::swap(&mut self.ethernet.source, &mut self.ethernet.destination);
        self.ip.swap_addresses();
        self.udp.swap_ports();
        let before = self.control.first_word();
        self.control.reflect(state, diag);
        ChangedWord { before, after: self.control.first_word() }
    }

    /// The frame as bytes on the wire, without padding.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        // SAFETY: by what `Network` and the headers' asserts promise the frame has no padding and alignment 1.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), Self::LEN) }
    }

    /// Computes the UDP checksum anew; a probe without one stays without (RFC 768).
    #[inline(always)]
    pub fn renew_checksum(&mut self) {
        if self.udp.has_checksum() {
            let sum = self.ip.pseudo_header_sum(UDP_LEN) + self.udp.sum();
            self.udp.checksum_be = checksum::udp(checksum::add(sum, self.control.as_bytes()));
        }
    }
}

const _: () = assert!(FrameV4::LEN == 66 && align_of::<FrameV4>() == 1);
const _: () = assert!(FrameV6::LEN == 86 && align_of::<FrameV6>() == 1);

#[cfg(test)]
mod tests;
