//! Which addresses may be a VIP, and which a node's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address cannot be a VIP.
pub(crate) fn unusable_vip(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            Some("it is a link-local address, which means another host on each link")
        }
        address => unusable_node(address),
    }
}

/// Why an address cannot be a node's own on a segment.
pub(super) fn unusable_node(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => unusable_ipv4(v4),
        IpAddr::V6(v6) => unusable_ipv6(v6),
    }
}

fn unusable_ipv4(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        _ if address.is_loopback() => Some("it is a loopback address"),
        _ if address.is_multicast() => Some("it is a multicast address"),
        _ if address.octets()[0] == 0 => Some("0.0.0.0/8 means \"this host\""),
        _ if address.octets()[0] >= 240 => Some("240.0.0.0/4 is reserved"),
        _ => None,
    }
}

fn unusable_ipv6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("it is the unspecified address"),
        _ if address.is_loopback() => Some("it is a loopback address"),
        _ if address.is_multicast() => Some("it is a multicast address"),
        _ if address.to_ipv4_mapped().is_some() => {
            Some("it is an IPv4-mapped address, which is written as 10.0.0.1")
        }
        _ => None,
    }
}
