//! Which of an interface's addresses packets may come from.

use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

/// Whether packets may come from the address: it is the interface's alone, as far as is known (RFC 4862, 5.4).
pub(super) fn is_settled(message: &AddressMessage) -> bool {
    !message.header.flags.intersects(AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed)
}

/// Lower is better: an address that lasts before a temporary one (RFC 8981), and that before one that is to be given up
/// (RFC 4862, 5.5.4). IPv4 has no such thing: the kernel's flag for temporary means there "not the first of its prefix".
pub(super) fn transience(message: &AddressMessage) -> u8 {
    let flags = message.header.flags;
    match own(message) {
        Some(IpAddr::V6(_)) if flags.contains(AddressHeaderFlags::Deprecated) => 2,
        Some(IpAddr::V6(_)) if flags.contains(AddressHeaderFlags::Secondary) => 1,
        _ => 0,
    }
}

/// The address that is the interface's own: on a point-to-point link `Address` is the peer's.
pub(super) fn own(message: &AddressMessage) -> Option<IpAddr> {
    let find = |is_local: bool| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) if is_local => Some(*address),
            AddressAttribute::Address(address) if !is_local => Some(*address),
            _ => None,
        })
    };
    find(true).or_else(|| find(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(address: &str, flags: AddressHeaderFlags) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.prefix_len = 64;
        message.header.flags = flags;
        message.attributes.push(AddressAttribute::Address(address.parse().unwrap()));
        message
    }

    #[test]
    fn an_address_under_test_or_found_twice_is_not_settled() {
        let with = |flags| is_settled(&message("fd77::1", flags));
        assert!(with(AddressHeaderFlags::Permanent) && with(AddressHeaderFlags::Deprecated));
        for unsettled in [
            AddressHeaderFlags::Tentative,
            AddressHeaderFlags::Permanent | AddressHeaderFlags::Dadfailed,
            AddressHeaderFlags::Tentative | AddressHeaderFlags::Optimistic,
        ] {
            assert!(!with(unsettled), "{unsettled:?}");
        }
    }

    #[test]
    fn of_ipv6_addresses_the_lasting_ones_come_first() {
        let of = |address, flags| transience(&message(address, flags));
        let [permanent, temporary, deprecated] = [
            AddressHeaderFlags::Permanent,
            AddressHeaderFlags::Secondary,
            AddressHeaderFlags::Secondary | AddressHeaderFlags::Deprecated,
        ];
        assert_eq!(
            [of("fd77::1", permanent), of("fd77::1", temporary), of("fd77::1", deprecated)],
            [0, 1, 2]
        );
        assert_eq!([of("10.77.0.1", permanent), of("10.77.0.1", temporary)], [0, 0]);
    }

    #[test]
    fn on_a_point_to_point_link_the_local_address_is_the_own_one() {
        let mut message = message("10.77.0.2", AddressHeaderFlags::Permanent);
        message.attributes.push(AddressAttribute::Local("10.77.0.1".parse().unwrap()));
        assert_eq!(own(&message), Some("10.77.0.1".parse().unwrap()));
    }
}
