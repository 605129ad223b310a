//! The reflector of S-BFD (RFC 7880, 7.2): probes of other nodes are answered here, so that a starved agent does not
//! make a living node look dead.

use lb_common::{
    maps::{Iface, NotANeighbour, VipKey},
    reason::Fate,
    wire::{
        bfd::{self, SBFD_PORT, State},
        ethernet::{self, is_unicast},
        ipv4,
        sbfd::{Frame, Malformed, Network},
        udp,
    },
};

use crate::{ifaces, lease, packet::Packet, peers};

/// Judges an incoming frame and, if it is a probe for this node, turns it into the answer. `None`: not for the port of
/// reflectors.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Option<Fate> {
    if !is_for_reflector(packet) {
        return None;
    }
    Some(match reflect::<ipv4::Header, P>(packet) {
        Ok(fate) | Err(fate) => fate,
    })
}

/// The test that all IPv4 traffic has to pass: a byte for most, the header's length and the port for UDP. Nothing is
/// moved for it, and what is too short for it is none of ours.
#[inline(always)]
fn is_for_reflector<P: Packet>(packet: &P) -> bool {
    const IP_AT: usize = ethernet::HEADER_LEN;
    if packet.ethertype() != ipv4::Header::ETHERTYPE
        || !matches!(packet.peek(IP_AT + ipv4::PROTOCOL_AT), Some([udp::PROTOCOL]))
    {
        return false;
    }
    let Some([version_ihl]) = packet.peek(IP_AT) else { return false };
    let port_at = IP_AT + ipv4::header_len(version_ihl) + udp::DESTINATION_PORT_AT;
    packet.peek(port_at).is_some_and(|port| u16::from_be_bytes(port) == SBFD_PORT)
}

/// What the reflector needs to know of one IP version beside its header.
trait Family: Network {
    /// Whether `address` is the interface's own.
    fn is_own(iface: &Iface, address: Self::Address) -> bool;
    /// Whether `address` is another host's on the interface's prefix.
    fn check_neighbour(iface: &Iface, address: Self::Address) -> Result<(), NotANeighbour>;
    /// Whether the sender may have an answer now; if so it is counted.
    fn is_reply_due(ifindex: u32, sender: Self::Address, now_ns: u64) -> bool;
}

impl Family for ipv4::Header {
    #[inline(always)]
    fn is_own(iface: &Iface, address: [u8; 4]) -> bool {
        iface.is_own_ipv4(address)
    }

    #[inline(always)]
    fn check_neighbour(iface: &Iface, address: [u8; 4]) -> Result<(), NotANeighbour> {
        iface.check_neighbour_ipv4(address)
    }

    #[inline(always)]
    fn is_reply_due(ifindex: u32, address: [u8; 4], now_ns: u64) -> bool {
        peers::is_reply_due_v4(&VipKey { ifindex, address }, now_ns)
    }
}

#[inline(always)]
fn reflect<N: Family, P: Packet>(packet: &mut P) -> Result<Fate, Fate> {
    if packet.is_vlan_tagged() {
        return Err(Fate::VlanTagged);
    }
    let ifindex = packet.ifindex();
    let frame = packet.head::<Frame<N>>().ok_or(Fate::SbfdTruncated)?;
    // SAFETY: `head` has proved the bytes of a `Frame`; no other reference lives until `mend_checksum`.
    let frame = unsafe { &mut *frame };
    frame.check().map_err(fate_of)?;
    let iface = ifaces::get(ifindex).ok_or(Fate::SbfdOtherDestination)?;
    check_addresses(iface, frame)?;

    let agent = lease::agent().ok_or(Fate::SbfdNoDiscriminator)?;
    // RFC 7880, 7.2.1: the discriminator says whom the probe is for.
    match (agent.discriminator, frame.control.your_discriminator()) {
        (0, _) => return Err(Fate::SbfdNoDiscriminator),
        (own, asked) if own != asked => return Err(Fate::SbfdOtherDiscriminator),
        _ => {}
    }
    let now_ns = lease::now_ns();
    let (state, diag) = agent.reflection(now_ns).ok_or(Fate::SbfdLeaseAbandoned)?;
    if !N::is_reply_due(ifindex, frame.ip.source(), now_ns) {
        return Err(Fate::SbfdLimited);
    }
    let changed = frame.reflect(state, diag);
    packet.mend_checksum::<N>(changed);
    Ok(match state {
        State::Up => Fate::Reflected,
        State::AdminDown | State::Down | State::Init => Fate::ReflectedAdminDown, // the latter two never come
    })
}

/// A probe is for this interface from another host on its link (RFC 5881, 5), and the answer goes back to the very
/// station that the frame came from: nobody can have others flooded with answers.
#[inline(always)]
fn check_addresses<N: Family>(iface: &Iface, frame: &Frame<N>) -> Result<(), Fate> {
    let ethernet::Header { destination, source, .. } = frame.ethernet;
    if destination != iface.mac || !N::is_own(iface, frame.ip.destination()) {
        return Err(Fate::SbfdOtherDestination);
    }
    if source == iface.mac {
        return Err(Fate::SbfdOwnSource);
    }
    if !is_unicast(source) {
        return Err(Fate::SbfdNotUnicast);
    }
    N::check_neighbour(iface, frame.ip.source()).map_err(|reason| match reason {
        NotANeighbour::Own => Fate::SbfdOwnSource,
        NotANeighbour::OffLink => Fate::SbfdOffLink,
        NotANeighbour::NotUnicast => Fate::SbfdNotUnicast,
    })
}

#[inline(always)]
const fn fate_of(reason: Malformed) -> Fate {
    match reason {
        // The bytes and the port have been looked at before.
        Malformed::Truncated | Malformed::NotSbfd | Malformed::Control(bfd::Malformed::Truncated) => {
            Fate::SbfdTruncated
        }
        Malformed::IpHeader => Fate::SbfdIpHeader,
        Malformed::Fragment => Fate::SbfdFragment,
        Malformed::HopLimit => Fate::SbfdHopLimit,
        Malformed::Length => Fate::SbfdLength,
        Malformed::SourcePort => Fate::SbfdSourcePort,
        Malformed::Control(bfd::Malformed::Version) => Fate::SbfdVersion,
        Malformed::Control(bfd::Malformed::Length) => Fate::SbfdControlLength,
        Malformed::Control(bfd::Malformed::Unsupported) => Fate::SbfdUnsupported,
        Malformed::Control(bfd::Malformed::Zero) => Fate::SbfdZero,
        Malformed::NotDemand => Fate::SbfdNotDemand,
    }
}
