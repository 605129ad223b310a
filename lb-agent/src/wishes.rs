//! What this node is to announce and to suppress on each interface, from its configuration and its interfaces.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    holding::Wish,
    model::{Interface, Place},
};

/// VIPs as the configuration names them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vips {
    /// To be announced by this node.
    pub announce: Vec<IpAddr>,
    /// Known VIPs of other nodes.
    pub suppress: Vec<IpAddr>,
}

/// Each VIP on each of `interfaces` that has an Ethernet address. A drained node, or an interface without carrier,
/// announces nothing; a VIP outside an interface's prefixes is not asked for there (a proxy-ARP router would answer).
#[must_use]
pub fn wishes<'a>(
    vips: &Vips,
    interfaces: impl IntoIterator<Item = &'a Interface>,
    is_drained: bool,
) -> BTreeMap<Place, Wish> {
    let mut wishes = BTreeMap::new();
    for interface in interfaces {
        let Some(mac) = interface.mac else { continue };
        let may_speak = interface.is_running && !is_drained;
        let place = |address| Place { ifindex: interface.index, address };
        wishes.extend(vips.suppress.iter().map(|&address| (place(address), Wish::Suppress { mac })));
        wishes.extend(vips.announce.iter().map(|&address| {
            let wish = match may_speak {
                true => Wish::Announce { mac, ask: interface.covers(address) },
                false => Wish::Suppress { mac },
            };
            (place(address), wish)
        }));
    }
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn eth0() -> Interface {
        Interface {
            index: 2,
            name: "eth0".to_owned(),
            mac: Some(MAC),
            is_running: true,
            kind: None,
            lower: None,
            xdp_program: None,
            addresses: vec![("10.77.0.1".parse().unwrap(), 16)],
        }
    }

    fn vips() -> Vips {
        Vips {
            announce: vec!["10.77.1.10".parse().unwrap(), "192.0.2.1".parse().unwrap()],
            suppress: vec!["10.77.3.1".parse().unwrap()],
        }
    }

    fn place(address: &str) -> Place {
        Place { ifindex: 2, address: address.parse().unwrap() }
    }

    #[test]
    fn vips_are_announced_and_asked_for_only_within_the_prefixes() {
        let expected = [
            (place("10.77.1.10"), Wish::Announce { mac: MAC, ask: true }),
            (place("10.77.3.1"), Wish::Suppress { mac: MAC }),
            (place("192.0.2.1"), Wish::Announce { mac: MAC, ask: false }),
        ];
        assert_eq!(wishes(&vips(), [&eth0()], false), BTreeMap::from(expected));
    }

    #[test]
    fn a_drained_node_and_an_interface_without_carrier_suppress_everything() {
        let expected: BTreeMap<_, _> = ["10.77.1.10", "10.77.3.1", "192.0.2.1"]
            .map(|address| (place(address), Wish::Suppress { mac: MAC }))
            .into();
        let down = Interface { is_running: false, ..eth0() };
        assert_eq!(wishes(&vips(), [&eth0()], true), expected);
        assert_eq!(wishes(&vips(), [&down], false), expected);
    }

    #[test]
    fn an_interface_without_an_ethernet_address_has_nothing_to_say() {
        let tun = Interface { mac: None, ..eth0() };
        assert_eq!(wishes(&vips(), [&tun], false), BTreeMap::new());
    }
}
