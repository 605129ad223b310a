//! Neighbor Solicitations and Advertisements (RFC 4861) over Ethernet (RFC 2464), with the probes for duplicates of
//! RFC 4862.

mod frame;
mod options;

pub use frame::{FRAME_LEN, Frame};
pub use options::{MAX_OPTION_UNITS, UNIT_LEN};

use super::{Header, PROTOCOL};
use crate::wire::{
    checksum,
    ethernet::{self, ETHERTYPE_IPV6, Mac},
    ipv6::{self, Address, UNSPECIFIED, is_multicast, solicited_node},
};
use options::{Options, SOURCE_LINK_LAYER_ADDRESS, TARGET_LINK_LAYER_ADDRESS};

/// Bytes of a frame up to the options.
pub const HEAD_LEN: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN + MESSAGE_LEN as usize;
/// Where the type of the message stands in a frame.
pub const TYPE_AT: usize = core::mem::offset_of!(Head, icmpv6);
/// Where the checksum stands in a frame.
pub const CHECKSUM_AT: usize = TYPE_AT + core::mem::offset_of!(Header, checksum_be);

/// ICMPv6 type of a Neighbor Solicitation (RFC 4861, 4.3).
pub const SOLICITATION: u8 = 135;
/// ICMPv6 type of a Neighbor Advertisement (RFC 4861, 4.4).
pub const ADVERTISEMENT: u8 = 136;

/// Bytes of a message without options.
const MESSAGE_LEN: u16 = 24;
/// No router has passed it on (RFC 4861, 7.1).
const ON_LINK_HOP_LIMIT: u8 = 255;
const SOLICITED: u8 = 1 << 6;
const OVERRIDE: u8 = 1 << 5;

/// A solicitation or an advertisement up to its options, 78 bytes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Head {
    /// Ethernet header.
    pub ethernet: ethernet::Header,
    /// IPv6 header.
    pub ip: ipv6::Header,
    icmpv6: Header,
    flags: u8,
    reserved: [u8; 3],
    /// The address that is asked for, or told of.
    pub target_address: Address,
}

/// What a message is about. The forms are those that ARP has, so that both are judged alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Asks who has the target; a probe for duplicates when the sender has no address (RFC 4862, 5.4.2).
    Solicitation,
    /// A solicitation from the target itself: the sender says that it has the address.
    OwnSolicitation,
    /// Nobody in particular has asked (RFC 4861, 7.2.6), or it was a probe for duplicates.
    UnsolicitedAdvertisement,
    /// Says to the one who asked who has the target.
    SolicitedAdvertisement,
}

/// A message that has passed all checks of RFC 4861, 7.1.1 and 7.1.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// What it is about.
    pub kind: Kind,
    /// Source (of a solicitation) or target (of an advertisement) link-layer address, where it is given.
    pub link_layer_address: Option<Mac>,
}

/// Why a frame is no message that can be answered or believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// Another EtherType, next header or ICMPv6 type.
    NotNdp,
    /// Fewer than [`HEAD_LEN`] bytes.
    Truncated,
    /// IP of another version than the EtherType says.
    IpHeader,
    /// The message may have come through a router.
    HopLimit,
    /// The ICMPv6 code is not zero.
    Code,
    /// The IP header gives a length that the frame, the message or its options cannot have.
    Length,
    /// More than [`MAX_OPTION_UNITS`] of options, as SEND would have: nothing wrong, but too much to look at.
    TooLong,
    /// The target is a group.
    Target,
    /// An option says that it has no length, or ends beyond the message.
    OptionLength,
    /// The checksum is not that of the message.
    Checksum,
    /// A probe for duplicates that does not go to the target's group, or gives a link-layer address.
    UnspecifiedSource,
    /// An advertisement to a group that says it was asked for.
    SolicitedByGroup,
}

impl Head {
    #[inline(always)]
    const fn new(
        ethernet: ethernet::Header,
        ip: ipv6::Header,
        message_type: u8,
        flags: u8,
        target: Address,
    ) -> Self {
        Self {
            ethernet,
            ip,
            icmpv6: Header { message_type, code: 0, checksum_be: [0; 2] },
            flags,
            reserved: [0; 3],
            target_address: target,
        }
    }

    /// Checks a message of which all up to the options is there, and that is known to be a solicitation or an
    /// advertisement. `unit` gives [`UNIT_LEN`] bytes from that place in the frame, or `None` if it ends before.
    ///
    /// # Errors
    /// [`Malformed`], first cause first; never [`Malformed::NotNdp`] or [`Malformed::Truncated`].
    #[inline(always)]
    pub fn check(&self, unit: impl Fn(usize) -> Option<[u8; UNIT_LEN]>) -> Result<Message, Malformed> {
        if !self.ip.is_version_6() {
            return Err(Malformed::IpHeader);
        }
        if self.ip.hop_limit() != ON_LINK_HOP_LIMIT {
            return Err(Malformed::HopLimit);
        }
        if self.icmpv6.code != 0 {
            return Err(Malformed::Code);
        }
        let options_len = self.ip.payload_len().checked_sub(MESSAGE_LEN).ok_or(Malformed::Length)?;
        if is_multicast(self.target_address) {
            return Err(Malformed::Target);
        }
        let options = Options::read(self.option_wanted(), options_len, unit)?;
        if !checksum::is_right(self.sum() + options.sum) {
            return Err(Malformed::Checksum);
        }
        let link_layer_address = options.link_layer_address();
        Ok(Message { kind: self.kind(link_layer_address.is_some())?, link_layer_address })
    }

    /// Which of the two link-layer addresses such a message may give. By arithmetic: of a branch the compiler would make
    /// two copies of everything that follows.
    #[inline(always)]
    const fn option_wanted(&self) -> u8 {
        const {
            assert!(ADVERTISEMENT - SOLICITATION == TARGET_LINK_LAYER_ADDRESS - SOURCE_LINK_LAYER_ADDRESS);
        }
        self.icmpv6.message_type.wrapping_sub(SOLICITATION - SOURCE_LINK_LAYER_ADDRESS)
    }

    /// The rules that depend on the addresses.
    #[inline(always)]
    fn kind(&self, has_link_layer_address: bool) -> Result<Kind, Malformed> {
        let (source, destination) = (self.ip.source(), self.ip.destination());
        if !self.is_solicitation() {
            return match (self.flags & SOLICITED != 0, is_multicast(destination)) {
                (true, true) => Err(Malformed::SolicitedByGroup),
                (true, false) => Ok(Kind::SolicitedAdvertisement),
                (false, _) => Ok(Kind::UnsolicitedAdvertisement),
            };
        }
        if source == UNSPECIFIED
            && (has_link_layer_address || destination != solicited_node(self.target_address))
        {
            return Err(Malformed::UnspecifiedSource);
        }
        let is_own = source == self.target_address && source != UNSPECIFIED;
        Ok(if is_own { Kind::OwnSolicitation } else { Kind::Solicitation })
    }

    /// Whether this is a solicitation; otherwise it is an advertisement.
    #[must_use]
    #[inline(always)]
    pub const fn is_solicitation(&self) -> bool {
        self.icmpv6.message_type == SOLICITATION
    }

    /// Whether a solicitation is addressed as such are: to the target's group or to the target itself.
    #[must_use]
    #[inline(always)]
    pub fn is_addressed_to_target(&self) -> bool {
        let destination = self.ip.destination();
        destination == self.target_address || destination == solicited_node(self.target_address)
    }

    /// Whether the sender of a solicitation can be answered: one station, with an address of its own or none yet.
    #[must_use]
    #[inline(always)]
    pub const fn is_from_one_station(&self) -> bool {
        ethernet::is_unicast(self.ethernet.source) && !is_multicast(self.ip.source())
    }

    /// The sum for the checksum, over the pseudo header and all but the options.
    #[inline(always)]
    const fn sum(&self) -> u32 {
        let sum = self.ip.pseudo_header_sum(PROTOCOL, self.ip.payload_len()) + self.icmpv6.sum();
        let [a, b, c] = self.reserved;
        checksum::add(checksum::add(sum, &[self.flags, a, b, c]), &self.target_address)
    }
}

/// Reads a frame; bytes past the packet are padding.
///
/// # Errors
/// [`Malformed`], first cause first; [`Malformed::NotNdp`] also when the frame ends before the ICMPv6 type.
pub fn parse(bytes: &[u8]) -> Result<(Head, Message), Malformed> {
    let is_ndp = bytes.get(12..14) == Some(&ETHERTYPE_IPV6.to_be_bytes())
        && bytes.get(ethernet::HEADER_LEN + ipv6::NEXT_HEADER_AT) == Some(&PROTOCOL)
        && matches!(bytes.get(TYPE_AT), Some(&(SOLICITATION | ADVERTISEMENT)));
    if !is_ndp {
        return Err(Malformed::NotNdp);
    }
    let head: &[u8; HEAD_LEN] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
    // SAFETY: `Head` is `repr(C)` of bytes and byte arrays with alignment 1 and, by the assert below, of exactly this
    // size; every bit pattern is a value.
    let head: Head = unsafe { core::mem::transmute(*head) };
    let unit = |at: usize| bytes.get(at..at + UNIT_LEN)?.try_into().ok();
    head.check(unit).map(|message| (head, message))
}

const _: () = assert!(size_of::<Head>() == HEAD_LEN && align_of::<Head>() == 1);

#[cfg(test)]
mod tests;
