//! One frame about a VIP, of either family.

use std::net::{IpAddr, Ipv4Addr};

use lb_common::wire::{arp, ethernet::Mac, icmpv6::ndp};

use crate::announcements::Form;

/// A frame to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame {
    /// About an IPv4 address.
    Arp(arp::Frame),
    /// About an IPv6 address.
    Ndp(ndp::Frame),
}

impl Frame {
    /// Asks who has `vip`: everyone, or the one station `to`. Without a `source` it is an ARP Probe (RFC 5227, 2.1.1);
    /// its counterpart in NDP would say that this node means to use the address, and have the answer go to all nodes
    /// (RFC 4862, 5.4): there is none then.
    #[must_use]
    pub fn ask(mac: Mac, source: Option<IpAddr>, vip: IpAddr, to: Option<Mac>) -> Option<Self> {
        match (vip, source) {
            (IpAddr::V4(vip), source) => {
                let source = match source {
                    Some(IpAddr::V4(source)) => source,
                    _ => Ipv4Addr::UNSPECIFIED,
                };
                let request = arp::Frame::request(mac, source.octets(), vip.octets());
                Some(Self::Arp(to.map_or(request, |station| request.to(station))))
            }
            (IpAddr::V6(vip), Some(IpAddr::V6(source))) => {
                let (source, target) = (source.octets(), vip.octets());
                Some(Self::Ndp(match to {
                    Some(station) => ndp::Frame::unicast_solicitation(mac, source, station, target),
                    None => ndp::Frame::solicitation(mac, source, target),
                }))
            }
            (IpAddr::V6(_), _) => None,
        }
    }

    /// Says to everyone that `mac` has `vip`, in the form of a question or of a reply. NDP has but one form (RFC 4861,
    /// 7.2.6), which goes out in the place of the first.
    #[must_use]
    pub fn announcement(mac: Mac, vip: IpAddr, form: Form) -> Option<Self> {
        match (vip, form) {
            (IpAddr::V4(vip), Form::Request) => {
                Some(Self::Arp(arp::Frame::request(mac, vip.octets(), vip.octets())))
            }
            (IpAddr::V4(vip), Form::Reply) => {
                Some(Self::Arp(arp::Frame::announcement_reply(mac, vip.octets())))
            }
            (IpAddr::V6(vip), Form::Request) => {
                Some(Self::Ndp(ndp::Frame::unsolicited_advertisement(mac, vip.octets())))
            }
            (IpAddr::V6(_), Form::Reply) => None,
        }
    }

    /// The same frame for one station instead of the whole segment.
    #[must_use]
    pub const fn to(self, station: Mac) -> Self {
        match self {
            Self::Arp(frame) => Self::Arp(frame.to(station)),
            Self::Ndp(frame) => Self::Ndp(frame.to(station)),
        }
    }

    /// The frame as bytes on the wire, without padding.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Arp(frame) => frame.as_bytes(),
            Self::Ndp(frame) => frame.as_bytes(),
        }
    }
}
