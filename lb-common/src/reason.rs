//! The fate of each frame that is ours to judge, by name.

/// Declares the fates once: the enum, the counters with one named field each (so that
/// `bpftool map dump` prints names), and the lists that tie the two together.
macro_rules! fates {
    ($($(#[$doc:meta])+ $variant:ident, $field:ident, $action:ident;)+) => {
        /// Why a frame was answered, dropped, passed or rewritten.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u32)]
        pub enum Fate {
            $($(#[$doc])+ $variant,)+
        }

        /// Frames by fate: the value of `LB_FRAMES`, one for each CPU. Host byte order.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[repr(C)]
        pub struct FrameCounters {
            $($(#[$doc])+ pub $field: u64,)+
        }

        impl Fate {
            /// Every fate, in the order of the counters.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// The name that users see: the field of the counter.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)+
                }
            }

            /// What happens to a frame with this fate.
            #[must_use]
            pub const fn action(self) -> Action {
                match self {
                    $(Self::$variant => Action::$action,)+
                }
            }
        }

        impl FrameCounters {
            /// The count of one fate.
            #[must_use]
            pub const fn get(&self, fate: Fate) -> u64 {
                match fate {
                    $(Fate::$variant => self.$field,)+
                }
            }

            /// Adds the counts of another CPU.
            pub fn add(&mut self, other: &Self) {
                let Self { $($field),+ } = self;
                $(*$field = $field.wrapping_add(other.$field);)+
            }
        }
    };
}

/// What the entry points do with a frame once its fate is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Out of the interface it came from, rewritten as the answer.
    Answer,
    /// Goes no further.
    Drop,
    /// On to the stack (ingress) or to the wire (egress).
    Pass,
}

fates! {
    /// A request (ARP) or solicitation (NDP) for a VIP announced here: answered. Both count as requests below.
    Answered, answered, Answer;
    /// The reserved entry of the self-test: answered, but never counted.
    SelfTest, self_test, Answer;
    /// A request for a VIP that this node knows but does not announce.
    Suppressed, suppressed, Drop;
    /// A request for an announced VIP after the agent's lease has ended.
    LeaseExpired, lease_expired, Drop;
    /// A request for a VIP whose sender gives a group or zero address as its own.
    SenderNotUnicast, sender_not_unicast, Drop;
    /// A request for a VIP without any lease, or a day after it has ended: the host is left alone.
    LeaseAbandoned, lease_abandoned, Pass;
    /// A request for an address that no entry names on this interface.
    NotOurTarget, not_our_target, Pass;
    /// A request for a VIP sent to the link-layer address of another station, or to an IP address that is neither the VIP nor
    /// the group in which it is asked for.
    OtherDestination, other_destination, Pass;
    /// An announcement (RFC 5227, 3: spa = tpa; RFC 4861, 7.2.6: unsolicited) that claims no VIP of ours.
    Announcement, announcement, Pass;
    /// A reply, or a solicited advertisement, that claims no VIP of ours.
    Reply, reply, Pass;
    /// An announcement or reply that claims a VIP announced here for another station.
    ForeignClaim, foreign_claim, Pass;
    /// An announcement or reply that claims a VIP for another station, and the VIP is suppressed or contested here.
    OtherHolder, other_holder, Pass;
    /// Neither request nor reply.
    UnknownOper, unknown_oper, Pass;
    /// ARP for another hardware or protocol type, or with other address lengths.
    NotEthernetIpv4, not_ethernet_ipv4, Pass;
    /// Shorter than its format.
    Truncated, truncated, Pass;
    /// For a VLAN on top of this interface (the tag was taken off by the NIC or the stack).
    VlanTagged, vlan_tagged, Pass;
    /// Outgoing, with a VIP that is not announced here as sender: sender replaced.
    SenderRewritten, sender_rewritten, Pass;
    /// Outgoing, with a VIP that is not announced here as the sender of a solicitation, and the interface has no address of its
    /// own to put there: from no address it would be a probe for duplicates.
    SenderUnknown, sender_unknown, Drop;
    /// Outgoing, the stack's own advertisement of a VIP that is not announced here.
    Unheld, unheld, Drop;
    /// A request for a VIP announced here for whose answer the frame could not be made long enough.
    NoRoom, no_room, Pass;
    /// A solicitation or advertisement behind an extension header: NDP does not come so (RFC 6980, 5).
    NdpExtension, ndp_extension, Pass;
    /// A solicitation or advertisement whose IP version is not that of its EtherType.
    NdpIpHeader, ndp_ip_header, Pass;
    /// A solicitation or advertisement that may have come through a router: its hop limit is not 255 (RFC 4861, 7.1).
    NdpHopLimit, ndp_hop_limit, Pass;
    /// A solicitation or advertisement with another ICMPv6 code than 0 (RFC 4861, 7.1).
    NdpCode, ndp_code, Pass;
    /// A solicitation or advertisement whose IP header gives a length that it cannot have.
    NdpLength, ndp_length, Pass;
    /// A solicitation or advertisement with more options than are looked at.
    NdpTooLong, ndp_too_long, Pass;
    /// A solicitation or advertisement for a group (RFC 4861, 7.1).
    NdpTarget, ndp_target, Pass;
    /// A solicitation or advertisement with an option without length, or beyond its end (RFC 4861, 7.1).
    NdpOptionLength, ndp_option_length, Pass;
    /// A solicitation or advertisement with a wrong checksum (RFC 4861, 7.1).
    NdpChecksum, ndp_checksum, Pass;
    /// A probe for duplicates to another group than the target's, or with a link-layer address (RFC 4861, 7.1.1).
    NdpUnspecifiedSource, ndp_unspecified_source, Pass;
    /// An advertisement to a group that says it was asked for (RFC 4861, 7.1.2).
    NdpSolicitedByGroup, ndp_solicited_by_group, Pass;
    /// A probe by S-BFD, answered: this node is up.
    Reflected, reflected, Answer;
    /// A probe by S-BFD, answered: this node is not to be used (drained, or its agent's lease has ended).
    ReflectedAdminDown, reflected_admin_down, Answer;
    /// To the port of S-BFD reflectors, shorter than its format.
    SbfdTruncated, sbfd_truncated, Pass;
    /// A probe whose IP header has options, or is of another version than the EtherType says.
    SbfdIpHeader, sbfd_ip_header, Pass;
    /// A probe in fragments.
    SbfdFragment, sbfd_fragment, Pass;
    /// A probe that may have come through a router: its TTL or hop limit is not 255 (RFC 5881, 5).
    SbfdHopLimit, sbfd_hop_limit, Pass;
    /// A probe whose IP and UDP headers give another length than that of a packet without authentication.
    SbfdLength, sbfd_length, Pass;
    /// A probe over IPv6 without the checksum that UDP has to have there (RFC 8200, 8.1).
    SbfdNoChecksum, sbfd_no_checksum, Pass;
    /// From the port of a reflector, as answers are and probes are not (RFC 7881, 4).
    SbfdSourcePort, sbfd_source_port, Pass;
    /// A probe of another BFD version (RFC 5880, 6.8.6).
    SbfdVersion, sbfd_version, Pass;
    /// A probe that gives its own length as another than that without authentication (RFC 5880, 6.8.6).
    SbfdControlLength, sbfd_control_length, Pass;
    /// A probe with authentication or for several receivers (RFC 5880, 6.8.6).
    SbfdUnsupported, sbfd_unsupported, Pass;
    /// A probe without detection multiplier or without discriminator of its sender (RFC 5880, 6.8.6).
    SbfdZero, sbfd_zero, Pass;
    /// A Control packet that is no probe: its D bit is clear (RFC 7880, 7.2.1).
    SbfdNotDemand, sbfd_not_demand, Pass;
    /// A probe for a link-layer or IP address that is not this interface's own.
    SbfdOtherDestination, sbfd_other_destination, Pass;
    /// A probe that seems to come from this interface itself.
    SbfdOwnSource, sbfd_own_source, Pass;
    /// A probe from an IP address outside of this interface's prefix.
    SbfdOffLink, sbfd_off_link, Pass;
    /// A probe from a link-layer or IP address that is not one station's.
    SbfdNotUnicast, sbfd_not_unicast, Pass;
    /// A probe while the agent has given this node no discriminator yet.
    SbfdNoDiscriminator, sbfd_no_discriminator, Pass;
    /// A probe for another node's discriminator (RFC 7880, 7.2.1).
    SbfdOtherDiscriminator, sbfd_other_discriminator, Pass;
    /// A probe without any lease, or a day after it has ended: the host is left alone.
    SbfdLeaseAbandoned, sbfd_lease_abandoned, Pass;
    /// A probe from no known peer, beyond what such senders are answered.
    SbfdLimited, sbfd_limited, Pass;
}

const _: () = assert!(size_of::<FrameCounters>() == 8 * Fate::ALL.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_lie_in_the_order_of_the_fates() {
        for (place, fate) in Fate::ALL.into_iter().enumerate() {
            assert_eq!(place, fate as usize, "{}", fate.name());
        }
    }

    #[test]
    fn counters_of_two_cpus_add_up() {
        let mut sum = FrameCounters { answered: 2, ..FrameCounters::default() };
        sum.add(&FrameCounters { answered: 3, truncated: 1, ..FrameCounters::default() });
        assert_eq!(sum, FrameCounters { answered: 5, truncated: 1, ..FrameCounters::default() });
    }
}
