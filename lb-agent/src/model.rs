//! Plain values that the pure core works on.

use std::{fmt, net::IpAddr};

use lb_common::wire::ethernet::Mac;

/// CLOCK_BOOTTIME, in ns: the clock that the kernel side measures the lease by.
pub type BoottimeNs = u64;

/// A VIP on one interface.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Interface index.
    pub ifindex: u32,
    /// The VIP.
    pub address: IpAddr,
}

impl Place {
    /// Every place on one interface.
    pub fn all_of(ifindex: u32) -> impl std::ops::RangeBounds<Self> {
        let first = Self { ifindex, address: IpAddr::from([0_u8; 4]) };
        let last = Self { ifindex, address: IpAddr::from([0xff_u8; 16]) };
        first..=last
    }
}

/// A network interface, as far as it matters here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Interface index.
    pub index: u32,
    /// Name, such as `eth0`.
    pub name: String,
    /// Link-layer address; `None` where it is not an Ethernet address.
    pub mac: Option<Mac>,
    /// Administratively up.
    pub is_up: bool,
    /// Administratively up and with carrier.
    pub is_running: bool,
    /// Set not to resolve addresses by ARP or NDP.
    pub is_noarp: bool,
    /// Index of the interface that this one is a port of: a bridge, a bond, a VRF.
    pub master: Option<u32>,
    /// Kind of virtual device (`veth`, `bridge`, ...) as rtnetlink names it; `None` for a NIC.
    pub kind: Option<String>,
    /// Index of the device below, for a VLAN or the like.
    pub lower: Option<u32>,
    /// Id of the XDP program that the device runs now.
    pub xdp_program: Option<u32>,
    /// Own addresses that packets may come from, with their prefix lengths: the lasting ones first.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The same of addresses that no packet may come from, at least not yet: they are tested for duplicates, or have been
    /// found to be ones (RFC 4862, 5.4).
    pub unsettled: Vec<(IpAddr, u8)>,
}

impl Interface {
    /// Whether `address` lies in one of the interface's prefixes; a host address covers only itself.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.addresses.iter().chain(&self.unsettled).any(|&(own, prefix_len)| {
            ipnet::IpNet::new(own, prefix_len).is_ok_and(|net| net.contains(&address))
        })
    }

    /// Whether it has IPv6: an interface that has any address of its own, be it under test (RFC 4291, 2.1). One without can
    /// neither ask, nor take the packets that an answer would bring.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().chain(&self.unsettled).any(|(own, _)| own.is_ipv6())
    }

    /// Whether IPv6 has only begun here: until the link-local address is tested the kernel does not ask for neighbours
    /// (RFC 4861, 7.2.2), and other addresses may be to come. IPv4 needs no address to ask with (RFC 5227, 2.1.1).
    #[must_use]
    pub fn is_too_early_for(&self, address: IpAddr) -> bool {
        let is_settled = || self.addresses.iter().any(|&(own, _)| is_link_local(own));
        address.is_ipv6() && self.unsettled.iter().any(|(own, _)| own.is_ipv6()) && !is_settled()
    }

    /// The address to ask and speak from for `vip`: one of the same prefix before one that is link-local, and that before
    /// any other of the family (RFC 4861, 7.2.2).
    #[must_use]
    pub fn source_for(&self, vip: IpAddr, is_vip: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let own = || self.addresses.iter().filter(|(own, _)| own.is_ipv4() == vip.is_ipv4() && !is_vip(*own));
        let same_prefix = own().find(|&&(own, prefix_len)| {
            ipnet::IpNet::new(own, prefix_len).is_ok_and(|net| net.contains(&vip))
        });
        let link_local = || own().find(|(own, _)| is_link_local(*own));
        same_prefix.or_else(link_local).or_else(|| own().next()).map(|&(address, _)| address)
    }
}

/// Whether an IPv6 address is of use on one link only (RFC 4291, 2.5.6). Of IPv4 none is.
#[must_use]
pub const fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
impl Interface {
    /// `eth0` with index 2, up, with these addresses (`10.0.0.1/24`).
    pub fn eth0(mac: Mac, addresses: &[&str]) -> Self {
        let net = |text: &&str| {
            let net: ipnet::IpNet = text.parse().expect("an address with a prefix length");
            (net.addr(), net.prefix_len())
        };
        Self {
            index: 2,
            name: "eth0".to_owned(),
            mac: Some(mac),
            is_up: true,
            is_running: true,
            is_noarp: false,
            master: None,
            kind: None,
            lower: None,
            xdp_program: None,
            unsettled: Vec::new(),
            addresses: addresses.iter().map(net).collect(),
        }
    }
}

/// A link-layer address for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MacText(pub Mac);

impl fmt::Display for MacText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
