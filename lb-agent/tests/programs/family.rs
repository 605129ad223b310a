//! What the same sentences are said of: ARP and NDP.

use std::net::IpAddr;

use lb_common::{maps::ClaimKind, reason::Fate};

use crate::{
    arp::{Arp, BROADCAST, CLIENT, CLIENT_IP, Mac, NODE_IP, OTHER, REQUEST, VIP},
    ndp::{
        self, CLIENT_IP6, NODE_LINK_LOCAL, Ndp, OTHER6, SOLICITED, VIP6, advertisement, solicitation,
        source_address,
    },
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

pub const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A request or a solicitation.
#[derive(Clone, Debug)]
pub enum Question {
    Arp(Arp),
    Ndp(Ndp),
}

impl Family {
    pub fn vip(self) -> IpAddr {
        match self {
            Self::Ipv4 => VIP.into(),
            Self::Ipv6 => VIP6.into(),
        }
    }

    pub fn other(self) -> IpAddr {
        match self {
            Self::Ipv4 => OTHER.into(),
            Self::Ipv6 => OTHER6.into(),
        }
    }

    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::Ipv4 => [0; 4].into(),
            Self::Ipv6 => [0; 16].into(),
        }
    }

    pub fn client(self) -> IpAddr {
        match self {
            Self::Ipv4 => CLIENT_IP.into(),
            Self::Ipv6 => CLIENT_IP6.into(),
        }
    }

    /// The node's own address, which replaces a VIP's.
    pub fn node(self) -> IpAddr {
        match self {
            Self::Ipv4 => NODE_IP.into(),
            Self::Ipv6 => NODE_LINK_LOCAL.into(),
        }
    }

    /// The link-layer address of some group.
    pub fn group(self) -> Mac {
        match self {
            Self::Ipv4 => [1, 0, 0x5e, 0, 0, 1],
            Self::Ipv6 => ndp::ALL_NODES_MAC,
        }
    }

    /// The client asks everyone for the VIP.
    pub fn question(self) -> Question {
        match self {
            Self::Ipv4 => Question::Arp(REQUEST),
            Self::Ipv6 => Question::Ndp(solicitation()),
        }
    }

    /// Every form in which the station `mac` says that it has the VIP, with the fate of such a frame when no VIP is
    /// concerned.
    pub fn claims(self, mac: Mac) -> Vec<(ClaimKind, Vec<u8>, Fate)> {
        let announced = |kind, bytes| (kind, bytes, Fate::Announcement);
        match self {
            Self::Ipv4 => {
                let announcement = Arp { source: mac, sha: mac, spa: VIP, ..REQUEST };
                let reply = Arp { oper: 2, tha: mac, ..announcement };
                vec![
                    announced(ClaimKind::Announcement, announcement.padded(60, 0)),
                    announced(ClaimKind::ToOne, Arp { destination: CLIENT, ..announcement }.padded(60, 0)),
                    (ClaimKind::GratuitousReply, reply.padded(60, 0), Fate::Reply),
                    (ClaimKind::Answer, self.answer(mac), Fate::Reply),
                ]
            }
            Self::Ipv6 => {
                let all = advertisement(mac);
                let own = Ndp { source: mac, sender: VIP6, options: source_address(mac), ..solicitation() };
                vec![
                    announced(ClaimKind::Announcement, all.bytes()),
                    announced(ClaimKind::Announcement, own.bytes()),
                    announced(ClaimKind::ToOne, Ndp { destination: CLIENT, ..all }.bytes()),
                    announced(ClaimKind::ToOne, Ndp { destination: CLIENT, ..own }.bytes()),
                    (ClaimKind::Answer, self.answer(mac), Fate::Reply),
                ]
            }
        }
    }

    /// The station `mac` tells the client that it has the VIP.
    pub fn answer(self, mac: Mac) -> Vec<u8> {
        match self {
            Self::Ipv4 => Arp {
                destination: CLIENT,
                source: mac,
                oper: 2,
                sha: mac,
                spa: VIP,
                tha: CLIENT,
                tpa: CLIENT_IP,
                ..REQUEST
            }
            .padded(60, 0),
            Self::Ipv6 => Ndp {
                destination: CLIENT,
                receiver: CLIENT_IP6,
                flags: SOLICITED | ndp::OVERRIDE,
                ..advertisement(mac)
            }
            .bytes(),
        }
    }
}

impl Question {
    pub fn family(&self) -> Family {
        match self {
            Self::Arp(_) => Family::Ipv4,
            Self::Ndp(_) => Family::Ipv6,
        }
    }

    /// For one station, or a group, instead of everyone.
    pub fn to(self, destination: Mac) -> Self {
        match self {
            Self::Arp(arp) => Self::Arp(Arp { destination, ..arp }),
            Self::Ndp(ndp) => Self::Ndp(Ndp { destination, ..ndp }),
        }
    }

    /// From another station.
    pub fn sent_by(self, mac: Mac) -> Self {
        match self {
            Self::Arp(arp) => Self::Arp(Arp { source: mac, sha: mac, ..arp }),
            Self::Ndp(ndp) => Self::Ndp(Ndp { source: mac, options: source_address(mac), ..ndp }),
        }
    }

    /// From another address.
    pub fn sent_from(self, address: IpAddr) -> Self {
        match (self, address) {
            (Self::Arp(arp), IpAddr::V4(spa)) => Self::Arp(Arp { spa: spa.octets(), ..arp }),
            (Self::Ndp(ndp), IpAddr::V6(sender)) => Self::Ndp(Ndp { sender: sender.octets(), ..ndp }),
            mixed => panic!("{mixed:?}"),
        }
    }

    /// For another address, to everyone.
    pub fn about(self, address: IpAddr) -> Self {
        match (self, address) {
            (Self::Arp(arp), IpAddr::V4(tpa)) => {
                Self::Arp(Arp { destination: BROADCAST, tpa: tpa.octets(), ..arp })
            }
            (Self::Ndp(ndp), IpAddr::V6(target)) => {
                let target = target.octets();
                let (receiver, destination) = ndp::group(target);
                Self::Ndp(Ndp { destination, receiver, target, ..ndp })
            }
            mixed => panic!("{mixed:?}"),
        }
    }

    /// The frame as a host sends it.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Arp(arp) => arp.padded(60, 0),
            Self::Ndp(ndp) => ndp.bytes(),
        }
    }

    /// The answer of the station `mac` to this question, which came as `input`: by ARP padded with zeros up to 60 bytes or as
    /// long as it came, by NDP always of the same length.
    pub fn answered_by(&self, mac: Mac, input: &[u8]) -> Vec<u8> {
        match self {
            Self::Arp(arp) => {
                let mut answer = arp.answered_by(mac).bytes();
                answer.extend(&input[answer.len()..]);
                answer.resize(answer.len().max(60), 0);
                answer
            }
            Self::Ndp(ndp) => ndp.answered_by(mac),
        }
    }
}
