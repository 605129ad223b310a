//! The reflector of S-BFD (RFC 7880, 7.2): probes of other nodes are answered here, so that a starved agent does not
//! make a living node look dead.

use lb_common::{
    maps::{Iface, NotANeighbour, VipKey},
    reason::Fate,
    wire::{
        bfd::{self, SBFD_PORT, State},
        ethernet::{self, is_unicast},
        ipv4, ipv6,
        sbfd::{Frame, Malformed, Network},
        udp,
    },
};

use crate::{
    ifaces, lease,
    packet::Packet,
    peers::{self, Address},
};

const IP_AT: usize = ethernet::HEADER_LEN;

/// Judges an incoming packet over `N` and, if it is a probe for this node, turns it into the answer. `None`: not for the
/// port of reflectors.
///
/// The test that all IP traffic has to pass is a byte for most, and the port for UDP. Nothing is moved for it, and what is
/// too short for it is none of ours.
#[inline(always)]
pub fn ingress<N: Family, P: Packet>(packet: &mut P) -> Option<Fate> {
    let port: [u8; 2] = packet.peek(N::udp_at(packet)? + udp::DESTINATION_PORT_AT)?;
    if u16::from_be_bytes(port) != SBFD_PORT {
        return None;
    }
    Some(match reflect::<N, P>(packet) {
        Ok(fate) | Err(fate) => fate,
    })
}

/// What the reflector needs to know of one IP version beside its header.
pub trait Family: Network<Address: Address> {
    /// Where UDP begins in the frame, if it is what the packet carries.
    fn udp_at<P: Packet>(packet: &P) -> Option<usize>;
    /// Whether `address` is the interface's own.
    fn is_own(iface: &Iface, address: Self::Address) -> bool;
    /// Whether `address` is another host's on the interface's prefix.
    fn check_neighbour(iface: &Iface, address: Self::Address) -> Result<(), NotANeighbour>;
}

impl Family for ipv4::Header {
    #[inline(always)]
    fn udp_at<P: Packet>(packet: &P) -> Option<usize> {
        let [protocol] = packet.peek(IP_AT + ipv4::PROTOCOL_AT)?;
        if protocol != udp::PROTOCOL {
            return None;
        }
        let [version_ihl] = packet.peek(IP_AT)?;
        Some(IP_AT + ipv4::header_len(version_ihl))
    }

    #[inline(always)]
    fn is_own(iface: &Iface, address: [u8; 4]) -> bool {
        iface.is_own_ipv4(address)
    }

    #[inline(always)]
    fn check_neighbour(iface: &Iface, address: [u8; 4]) -> Result<(), NotANeighbour> {
        iface.check_neighbour_ipv4(address)
    }
}

impl Family for ipv6::Header {
    #[inline(always)]
    fn udp_at<P: Packet>(packet: &P) -> Option<usize> {
        let [next_header] = packet.peek(IP_AT + ipv6::NEXT_HEADER_AT)?;
        (next_header == udp::PROTOCOL).then_some(IP_AT + ipv6::HEADER_LEN)
    }

    #[inline(always)]
    fn is_own(iface: &Iface, address: [u8; 16]) -> bool {
        iface.is_own_ipv6(address)
    }

    #[inline(always)]
    fn check_neighbour(iface: &Iface, address: [u8; 16]) -> Result<(), NotANeighbour> {
        iface.check_neighbour_ipv6(address)
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
    let sender = VipKey { ifindex, address: frame.ip.source() };
    if !peers::is_reply_due(&sender, now_ns) {
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
        Malformed::NoChecksum => Fate::SbfdNoChecksum,
        Malformed::SourcePort => Fate::SbfdSourcePort,
        Malformed::Control(bfd::Malformed::Version) => Fate::SbfdVersion,
        Malformed::Control(bfd::Malformed::Length) => Fate::SbfdControlLength,
        Malformed::Control(bfd::Malformed::Unsupported) => Fate::SbfdUnsupported,
        Malformed::Control(bfd::Malformed::Zero) => Fate::SbfdZero,
        Malformed::NotDemand => Fate::SbfdNotDemand,
    }
}
