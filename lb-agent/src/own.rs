//! The addresses by which this node speaks, and is probed, on one interface.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use lb_common::{maps::Iface, wire::ethernet::Mac};

use crate::model::{Interface, is_link_local};

/// One address of each kind, where the interface has it; none is a VIP.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Own {
    ipv4: Option<Ipv4Net>,
    ipv6: Option<Ipv6Net>,
    ipv6_link_local: Option<Ipv6Addr>,
}

impl Own {
    /// Of each kind the first address that the peers know, or else the first one.
    #[must_use]
    pub fn of(interface: &Interface, known: &[IpAddr], is_vip: impl Fn(IpAddr) -> bool) -> Self {
        let first = |is_wanted: fn(IpAddr) -> bool| {
            let wanted = interface.addresses.iter().filter(|&&(own, _)| is_wanted(own) && !is_vip(own));
            wanted.min_by_key(|(own, _)| !known.contains(own)).copied()
        };
        let mut own = Self::default();
        if let Some((IpAddr::V4(address), prefix_len)) = first(|address| address.is_ipv4()) {
            own.ipv4 = Ipv4Net::new(address, prefix_len).ok();
        }
        if let Some((IpAddr::V6(address), prefix_len)) =
            first(|address| address.is_ipv6() && !is_link_local(address))
        {
            own.ipv6 = Ipv6Net::new(address, prefix_len).ok();
        }
        if let Some((IpAddr::V6(address), _)) = first(is_link_local) {
            own.ipv6_link_local = Some(address);
        }
        own
    }

    /// The address from which a peer is probed: the kernel side answers only neighbours, so it has to be of the peer's
    /// prefix.
    #[must_use]
    pub fn facing(&self, peer: IpAddr) -> Option<IpAddr> {
        match peer {
            IpAddr::V4(peer) => self.ipv4.filter(|own| own.contains(&peer)).map(|own| own.addr().into()),
            IpAddr::V6(_) if is_link_local(peer) => self.ipv6_link_local.map(Into::into),
            IpAddr::V6(peer) => self.ipv6.filter(|own| own.contains(&peer)).map(|own| own.addr().into()),
        }
    }

    /// The same for the kernel side.
    #[must_use]
    pub fn iface(&self, mac: Mac) -> Iface {
        let &Self { ipv4, ipv6, ipv6_link_local } = self;
        Iface {
            ipv4: ipv4.map_or([0; 4], |own| own.addr().octets()),
            ipv4_mask: ipv4.map_or([0; 4], |own| own.netmask().octets()),
            mac,
            reserved: [0; 2],
            ipv6_link_local: ipv6_link_local.map_or([0; 16], |own| own.octets()),
            ipv6: ipv6.map_or([0; 16], |own| own.addr().octets()),
            ipv6_mask: ipv6.map_or([0; 16], |own| own.netmask().octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 1];

    fn own(addresses: &[&str], known: &[&str], vip: &str) -> Own {
        let interface = Interface::eth0(MAC, addresses);
        let known: Vec<IpAddr> = known.iter().map(|address| address.parse().unwrap()).collect();
        Own::of(&interface, &known, |address| address.to_string() == vip)
    }

    const ALL: [&str; 7] = [
        "10.77.1.10/16",
        "10.77.0.1/16",
        "10.78.0.1/24",
        "fd77::10/64",
        "fd77::1/64",
        "2001:db8::1/48",
        "fe80::1/64",
    ];

    #[test]
    fn without_more_knowledge_it_is_the_first_of_each_kind_that_is_no_vip() {
        let expected = Own {
            ipv4: Some("10.77.0.1/16".parse().unwrap()),
            ipv6: Some("fd77::10/64".parse().unwrap()),
            ipv6_link_local: Some("fe80::1".parse().unwrap()),
        };
        assert_eq!(own(&ALL, &[], "10.77.1.10"), expected);
        assert_eq!(own(&["10.77.1.10/16"], &["10.77.1.10"], "10.77.1.10"), Own::default());
    }

    #[test]
    fn an_address_that_the_peers_know_goes_before() {
        let expected = Own {
            ipv4: Some("10.78.0.1/24".parse().unwrap()),
            ipv6: Some("2001:db8::1/48".parse().unwrap()),
            ipv6_link_local: Some("fe80::2".parse().unwrap()),
        };
        let known = ["2001:db8::1", "10.78.0.1", "fe80::2"];
        assert_eq!(own(&[&ALL[..], &["fe80::2/64"]].concat(), &known, "fd77::10"), expected);
    }

    #[test]
    fn a_peer_is_faced_by_an_address_of_its_prefix() {
        let facing = |peer: &str| {
            let own = own(&["10.77.0.1/16", "fd77::1/64", "fe80::1/64"], &[], "");
            own.facing(peer.parse().unwrap()).map(|own| own.to_string())
        };
        assert_eq!(facing("10.77.0.2").as_deref(), Some("10.77.0.1"));
        assert_eq!(facing("fd77::2").as_deref(), Some("fd77::1"));
        assert_eq!(facing("fe80::2").as_deref(), Some("fe80::1"));
        assert_eq!([facing("10.78.0.2"), facing("fd78::2")], [None, None]);
        assert_eq!(Own::default().facing("fe80::2".parse().unwrap()), None);
    }

    #[test]
    fn the_kernel_side_is_told_all_of_them() {
        let octets = |address: &str| address.parse::<Ipv6Addr>().unwrap().octets();
        let expected = Iface {
            ipv4: [10, 77, 0, 1],
            ipv4_mask: [255, 255, 0, 0],
            mac: MAC,
            reserved: [0; 2],
            ipv6_link_local: octets("fe80::1"),
            ipv6: octets("2001:db8::1"),
            ipv6_mask: octets("ffff:ffff:ffff::"),
        };
        assert_eq!(own(&["10.77.0.1/16", "fe80::1/64", "2001:db8::1/48"], &[], "").iface(MAC), expected);
        assert_eq!(Own::default().iface(MAC), Iface { mac: MAC, ..Iface::default() });
    }
}
