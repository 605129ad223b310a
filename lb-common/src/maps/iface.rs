//! What the programs need to know of an interface.

use crate::wire::ipv6;

/// An interface's own addresses: the value of `LB_IFACES`, keyed by interface index.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Iface {
    /// The interface's own IPv4 address. On the way out it replaces a foreign VIP as sender; where it is all zero the
    /// request leaves as an ARP Probe (RFC 5227, 1.1), which changes nobody's cache. Probes by S-BFD have to be for it.
    pub ipv4: [u8; 4],
    /// Netmask of `ipv4`, wire order.
    pub ipv4_mask: [u8; 4],
    /// The interface's own link-layer address; all zero where there is none.
    pub mac: [u8; 6],
    /// Zero.
    pub reserved: [u8; 2],
    /// The interface's own link-local IPv6 address, all zero where there is none. On the way out it replaces a foreign VIP
    /// as the sender of a Neighbor Solicitation. Probes by S-BFD are for it or for `ipv6`.
    pub ipv6_link_local: [u8; 16],
    /// Another IPv6 address of its own, of more than the link's scope; all zero where there is none.
    pub ipv6: [u8; 16],
    /// Netmask of `ipv6`, wire order.
    pub ipv6_mask: [u8; 16],
}

/// Why the sender of a packet is no other host on the interface's prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotANeighbour {
    /// Its address is the interface's own.
    Own,
    /// Its address lies outside of the prefix.
    OffLink,
    /// Its address is that of the prefix itself, its broadcast address, or a group's.
    NotUnicast,
}

impl Iface {
    /// Whether `address` is the interface's own.
    #[must_use]
    #[inline(always)]
    pub const fn is_own_ipv4(&self, address: [u8; 4]) -> bool {
        let own = u32::from_be_bytes(self.ipv4);
        own != 0 && own == u32::from_be_bytes(address)
    }

    /// Whether `address` is that of another host on the interface's prefix.
    ///
    /// # Errors
    /// [`NotANeighbour`] where it is none.
    #[inline(always)]
    pub const fn check_neighbour_ipv4(&self, address: [u8; 4]) -> Result<(), NotANeighbour> {
        let [own, mask, address] =
            [u32::from_be_bytes(self.ipv4), u32::from_be_bytes(self.ipv4_mask), u32::from_be_bytes(address)];
        if address == own {
            return Err(NotANeighbour::Own);
        }
        if (address ^ own) & mask != 0 {
            return Err(NotANeighbour::OffLink);
        }
        let host = address & !mask;
        // A prefix of 31 bits has neither network nor broadcast address (RFC 3021).
        let has_broadcast = !mask > 1;
        if has_broadcast && (host == 0 || host == !mask) || address >> 28 >= 0xe || address == 0 {
            return Err(NotANeighbour::NotUnicast);
        }
        Ok(())
    }

    /// Whether `address` is the interface's own.
    #[must_use]
    #[inline(always)]
    pub const fn is_own_ipv6(&self, address: [u8; 16]) -> bool {
        let address = u128::from_ne_bytes(address);
        address != 0
            && (address == u128::from_ne_bytes(self.ipv6_link_local)
                || address == u128::from_ne_bytes(self.ipv6))
    }

    /// Whether `address` is that of another host on the interface's link: link-local, or of the interface's prefix.
    ///
    /// # Errors
    /// [`NotANeighbour`] where it is none.
    #[inline(always)]
    pub const fn check_neighbour_ipv6(&self, address: [u8; 16]) -> Result<(), NotANeighbour> {
        if self.is_own_ipv6(address) {
            return Err(NotANeighbour::Own);
        }
        if !ipv6::is_unicast(address) {
            return Err(NotANeighbour::NotUnicast);
        }
        let [own, mask] = [u128::from_ne_bytes(self.ipv6), u128::from_ne_bytes(self.ipv6_mask)];
        let is_of_prefix = own != 0 && (u128::from_ne_bytes(address) ^ own) & mask == 0;
        if is_of_prefix || ipv6::is_link_local(address) { Ok(()) } else { Err(NotANeighbour::OffLink) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iface(ipv4: [u8; 4], prefix_len: u32) -> Iface {
        let mask = u32::MAX.checked_shl(32 - prefix_len).unwrap_or(0);
        Iface { ipv4, ipv4_mask: mask.to_be_bytes(), ..Iface::default() }
    }

    #[test]
    fn an_own_address_is_the_one_that_the_interface_has() {
        assert!(iface([10, 77, 0, 2], 24).is_own_ipv4([10, 77, 0, 2]));
        assert!(!iface([10, 77, 0, 2], 24).is_own_ipv4([10, 77, 0, 3]));
        assert!(!Iface::default().is_own_ipv4([0; 4]));
    }

    #[test]
    fn neighbours_are_the_other_hosts_of_the_prefix() {
        use NotANeighbour::{NotUnicast, OffLink, Own};
        let on = |prefix_len, last| iface([10, 77, 0, 2], prefix_len).check_neighbour_ipv4([10, 77, 0, last]);
        assert_eq!(on(24, 3), Ok(()));
        assert_eq!(on(24, 2), Err(Own));
        assert_eq!((on(24, 0), on(24, 255)), (Err(NotUnicast), Err(NotUnicast)));
        assert_eq!((on(30, 1), on(30, 0), on(30, 3)), (Ok(()), Err(NotUnicast), Err(NotUnicast)));
        assert_eq!((on(30, 4), on(31, 1)), (Err(OffLink), Err(OffLink)));
        assert_eq!((on(31, 3), on(32, 3), on(32, 2)), (Ok(()), Err(OffLink), Err(Own)));
        let wide = iface([10, 77, 0, 2], 0);
        assert_eq!(wide.check_neighbour_ipv4([224, 0, 0, 1]), Err(NotUnicast));
        assert_eq!(wide.check_neighbour_ipv4([0; 4]), Err(NotUnicast));
    }

    fn ipv6(address: &str) -> [u8; 16] {
        address.parse::<std::net::Ipv6Addr>().unwrap().octets()
    }

    fn iface_v6(address: &str, mask: &str) -> Iface {
        Iface {
            ipv6_link_local: ipv6("fe80::2"),
            ipv6: ipv6(address),
            ipv6_mask: ipv6(mask),
            ..Iface::default()
        }
    }

    #[test]
    fn own_ipv6_addresses_are_the_two_that_the_interface_has() {
        let iface = iface_v6("2001:db8::2", "ffff:ffff:ffff:ffff::");
        assert!(iface.is_own_ipv6(ipv6("fe80::2")) && iface.is_own_ipv6(ipv6("2001:db8::2")));
        assert!(!iface.is_own_ipv6(ipv6("fe80::3")) && !Iface::default().is_own_ipv6([0; 16]));
    }

    #[test]
    fn ipv6_neighbours_are_link_local_or_of_the_prefix() {
        use NotANeighbour::{NotUnicast, OffLink, Own};
        let on_64 =
            |address| iface_v6("2001:db8::2", "ffff:ffff:ffff:ffff::").check_neighbour_ipv6(ipv6(address));
        assert_eq!([on_64("2001:db8::3"), on_64("fe80::3"), on_64("febf::3")], [Ok(()); 3]);
        assert_eq!([on_64("2001:db8::2"), on_64("fe80::2")], [Err(Own); 2]);
        assert_eq!([on_64("2001:db8:0:1::3"), on_64("fec0::3"), on_64("::1")], [Err(OffLink); 3]);
        assert_eq!([on_64("::"), on_64("ff02::1")], [Err(NotUnicast); 2]);
        let no_prefix = |address| iface_v6("::", "::").check_neighbour_ipv6(ipv6(address));
        assert_eq!([no_prefix("2001:db8::3"), no_prefix("fe80::3")], [Err(OffLink), Ok(())]);
    }
}
