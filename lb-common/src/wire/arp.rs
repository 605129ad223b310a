//! ARP for IPv4 over Ethernet (RFC 826), with the probes and announcements of RFC 5227.

use super::ethernet::{self, ETHERTYPE_ARP, Mac};

/// Bytes of an ARP frame up to `tpa`, padding left out.
pub const FRAME_LEN: usize = ethernet::HEADER_LEN + 28;

const HTYPE_ETHERNET: [u8; 2] = [0, 1];
const PTYPE_IPV4: [u8; 2] = [0x08, 0];
const OPER_REQUEST: u16 = 1;
const OPER_REPLY: u16 = 2;

/// An ARP frame: Ethernet header and packet, 42 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Frame {
    /// Ethernet header.
    pub ethernet: ethernet::Header,
    htype_be: [u8; 2],
    ptype_be: [u8; 2],
    hlen: u8,
    plen: u8,
    oper_be: [u8; 2],
    /// Sender hardware address.
    pub sha: Mac,
    /// Sender protocol address.
    pub spa: [u8; 4],
    /// Target hardware address.
    pub tha: Mac,
    /// Target protocol address.
    pub tpa: [u8; 4],
}

/// What an ARP packet is about. The classification is the one of RFC 5227, 1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Asks who has `tpa`; a probe when `spa` is zero.
    Request,
    /// Request form with `spa` = `tpa`: the sender says that it has the address.
    Announcement,
    /// Says that `sha` has `spa`.
    Reply,
}

/// Why a frame is no ARP packet that concerns us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Another EtherType.
    NotArp,
    /// Fewer than [`FRAME_LEN`] bytes.
    Truncated,
    /// `htype`, `ptype`, `hlen` or `plen` is not that of IPv4 over Ethernet.
    NotEthernetIpv4,
    /// `oper` is neither 1 nor 2.
    UnknownOper,
}

impl Frame {
    /// A request for `tpa` to the whole segment (RFC 826). With `spa` zero it is an ARP Probe, with
    /// `spa` = `tpa` an ARP Announcement (RFC 5227, 2.1.1 and 2.3).
    #[must_use]
    pub const fn request(sha: Mac, spa: [u8; 4], tpa: [u8; 4]) -> Self {
        Self::new(OPER_REQUEST, ethernet::BROADCAST, sha, spa, [0; 6], tpa)
    }

    /// The reply form of an announcement to the whole segment: some stacks take only this one.
    #[must_use]
    pub const fn announcement_reply(sha: Mac, address: [u8; 4]) -> Self {
        Self::new(OPER_REPLY, ethernet::BROADCAST, sha, address, sha, address)
    }

    const fn new(oper: u16, destination: Mac, sha: Mac, spa: [u8; 4], tha: Mac, tpa: [u8; 4]) -> Self {
        Self {
            ethernet: ethernet::Header::new(destination, sha, ETHERTYPE_ARP),
            htype_be: HTYPE_ETHERNET,
            ptype_be: PTYPE_IPV4,
            hlen: 6,
            plen: 4,
            oper_be: oper.to_be_bytes(),
            sha,
            spa,
            tha,
            tpa,
        }
    }

    /// The same frame for one station instead of the whole segment.
    #[must_use]
    pub const fn to(mut self, station: Mac) -> Self {
        self.ethernet.destination = station;
        self
    }

    /// Reads a frame; bytes past the packet are padding.
    ///
    /// # Errors
    /// [`Malformed`], first cause first; [`Malformed::NotArp`] also when the EtherType is cut off.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Kind), Malformed> {
        if bytes.get(12..14) != Some(&ETHERTYPE_ARP.to_be_bytes()) {
            return Err(Malformed::NotArp);
        }
        let bytes: &[u8; FRAME_LEN] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
        // SAFETY: `Frame` is `repr(C)` of byte arrays with alignment 1 and, by the assert below, of exactly this
        // size; every bit pattern is a value.
        let frame: Self = unsafe { core::mem::transmute(*bytes) };
        frame.kind().map(|kind| (frame, kind))
    }

    /// What the packet is about.
    ///
    /// # Errors
    /// [`Malformed::NotEthernetIpv4`] before [`Malformed::UnknownOper`].
    #[inline(always)]
    pub const fn kind(&self) -> Result<Kind, Malformed> {
        let [HTYPE_ETHERNET, PTYPE_IPV4, [6, 4]] = [self.htype_be, self.ptype_be, [self.hlen, self.plen]]
        else {
            return Err(Malformed::NotEthernetIpv4);
        };
        match u16::from_be_bytes(self.oper_be) {
            OPER_REQUEST if u32::from_ne_bytes(self.spa) == u32::from_ne_bytes(self.tpa) => {
                Ok(Kind::Announcement)
            }
            OPER_REQUEST => Ok(Kind::Request),
            OPER_REPLY => Ok(Kind::Reply),
            _ => Err(Malformed::UnknownOper),
        }
    }

    /// Turns a request into the answer of the station `mac`, in place (RFC 826, "Packet Reception").
    #[inline(always)]
    pub const fn answer_from(&mut self, mac: Mac) {
        self.ethernet.destination = self.sha;
        self.ethernet.source = mac;
        self.oper_be = OPER_REPLY.to_be_bytes();
        self.tha = self.sha;
        let asked = self.tpa;
        self.tpa = self.spa;
        self.sha = mac;
        self.spa = asked;
    }

    /// The frame as bytes on the wire, without padding.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; FRAME_LEN] {
        // SAFETY: `repr(C)` of byte arrays only, so no padding, alignment 1 and, by the assert below, this size.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

const _: () = assert!(size_of::<Frame>() == FRAME_LEN && align_of::<Frame>() == 1);

#[cfg(test)]
mod tests;
