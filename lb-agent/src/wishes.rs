//! What this node has to do with each VIP on each interface, from its view of the group and its interfaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
    sync::Arc,
};

use crate::{
    election::NodeId,
    holding::{Failback, Part, Wanted},
    model::{Interface, Place},
};

/// VIPs that go together: one node announces all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit {
    /// The VIPs; the first one stands for the unit.
    pub addresses: Arc<[IpAddr]>,
    /// The candidates, best first.
    pub order: Arc<[NodeId]>,
    /// Names of the interfaces to announce them on; `None`: those for units that name none.
    pub interfaces: Option<Arc<BTreeSet<String>>>,
}

impl Unit {
    /// Whether it is announced on an interface.
    #[must_use]
    pub fn is_on(&self, carrier: Carrier<'_>) -> bool {
        match &self.interfaces {
            Some(names) => names.contains(&carrier.interface.name),
            None => carrier.is_default,
        }
    }
}

/// An interface that may carry VIPs.
#[derive(Clone, Copy, Debug)]
pub struct Carrier<'a> {
    /// The interface.
    pub interface: &'a Interface,
    /// Units that do not name their interfaces are announced here.
    pub is_default: bool,
}

/// What the configuration says of the VIPs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct View {
    /// Units that are announced by one of their candidates.
    pub units: Vec<Unit>,
    /// Known VIPs that this group does not announce.
    pub suppress: Vec<IpAddr>,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

impl View {
    /// Every VIP.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let announced = self.units.iter().flat_map(|unit| unit.addresses.iter());
        announced.chain(&self.suppress).copied()
    }
}

/// The part of node `me` in each unit, on each of `carriers` that has an Ethernet address.
#[must_use]
pub fn wishes<'a>(
    view: &View,
    me: NodeId,
    carriers: impl IntoIterator<Item = Carrier<'a>>,
    is_drained: bool,
) -> BTreeMap<Place, Wanted> {
    let wishes = |carrier: Carrier<'a>| {
        let suppressed = view.suppress.iter().filter_map(move |&address| suppressed(address, carrier));
        suppressed.chain(view.units.iter().filter_map(move |unit| wish(unit, me, carrier, is_drained)))
    };
    carriers.into_iter().flat_map(wishes).collect()
}

/// What of a view is new.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Units that were there before, changed ones among them.
    pub units_gone: Vec<Unit>,
    /// Where the new and the changed units stand in [`View::units`].
    pub units_new: Vec<usize>,
    /// VIPs of others that were there before.
    pub suppress_gone: Vec<IpAddr>,
    /// Where the new ones stand in [`View::suppress`].
    pub suppress_new: Range<usize>,
    /// Every unit may have changed.
    pub is_all: bool,
}

impl Changed {
    /// The addresses of what was there before.
    pub fn addresses_gone(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.units_gone.iter().flat_map(|unit| &*unit.addresses).chain(&self.suppress_gone).copied()
    }

    /// The addresses of what is there now.
    pub fn addresses_new<'a>(&'a self, view: &'a View) -> impl Iterator<Item = IpAddr> + 'a {
        let units = self.units_new(view).flat_map(|unit| &*unit.addresses);
        units.chain(&view.suppress[self.suppress_new.clone()]).copied()
    }

    fn units_new<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a Unit> {
        self.units_new.iter().map(|&at| &view.units[at])
    }
}

/// The parts of two lists that differ, between what they have in common at the beginning and at the end.
pub fn window<T: PartialEq>(before: &[T], now: &[T]) -> (Range<usize>, Range<usize>) {
    let first = before.iter().zip(now).take_while(|(before, now)| before == now).count();
    let (before, now) = (&before[first..], &now[first..]);
    let last = before.iter().rev().zip(now.iter().rev()).take_while(|(before, now)| before == now).count();
    (first..first + before.len() - last, first..first + now.len() - last)
}

/// What [`wishes`] has become by a change of the view, with `None` for what is gone; or `None` where they have to be looked at
/// anew. `is_vip` says what is a VIP in the new view.
#[must_use]
pub fn changed_wishes<'a>(
    view: &View,
    changed: &Changed,
    me: NodeId,
    carriers: impl Iterator<Item = Carrier<'a>>,
    is_drained: bool,
    is_vip: impl Fn(IpAddr) -> bool,
) -> Option<BTreeMap<Place, Option<Wanted>>> {
    if changed.is_all {
        return None;
    }
    let firsts_gone = || {
        let units = changed.units_gone.iter().filter_map(|unit| unit.addresses.first());
        units.chain(&changed.suppress_gone).copied()
    };
    let suppress = &view.suppress[changed.suppress_new.clone()];
    let mut wishes: BTreeMap<Place, Option<Wanted>> = BTreeMap::new();
    for carrier in carriers {
        let place = |address| Place { ifindex: carrier.interface.index, address };
        wishes.extend(firsts_gone().map(|address| (place(address), None)));
        let suppressed = suppress.iter().filter_map(|&address| suppressed(address, carrier));
        let new =
            suppressed.chain(changed.units_new(view).filter_map(|unit| wish(unit, me, carrier, is_drained)));
        wishes.extend(new.map(|(place, wanted)| (place, Some(wanted))));
    }
    // Still a VIP of something that has not changed, or elsewhere in a unit.
    let is_doubtful = |(place, wanted): (&Place, &Option<Wanted>)| wanted.is_none() && is_vip(place.address);
    (!wishes.iter().any(is_doubtful)).then_some(wishes)
}

/// A VIP of another group.
fn suppressed(address: IpAddr, Carrier { interface, .. }: Carrier<'_>) -> Option<(Place, Wanted)> {
    let place = Place { ifindex: interface.index, address };
    let mac = interface.mac?;
    Some((place, Wanted { addresses: [address].into(), order: Arc::default(), mac, part: Part::Bystander }))
}

/// The part of node `me` in one unit on one interface. A drained node, or one that is no candidate, leaves, and falls silent
/// at once where nobody could follow it; so does an interface without carrier, or one whose IPv6 has only begun, for the
/// units that could not be asked for on that account, or one without IPv6 for units that are of IPv6 alone. A unit outside
/// of an interface's prefixes is not asked for there (a proxy-ARP router would answer). On the interfaces that a unit does
/// not name it is suppressed.
#[must_use]
pub fn wish(unit: &Unit, me: NodeId, carrier: Carrier<'_>, is_drained: bool) -> Option<(Place, Wanted)> {
    let (Unit { addresses, order, interfaces: _ }, interface) = (unit, carrier.interface);
    let place = Place { ifindex: interface.index, address: *addresses.first()? };
    let is_fit = || order.contains(&me) && !is_drained;
    let has_others = || order.iter().any(|&node| node != me);
    let part = match () {
        () if !interface.is_running || !unit.is_on(carrier) => Part::Bystander,
        () if !is_fit() => match has_others() {
            true => Part::Leaver,
            false => Part::Bystander,
        },
        () if lacks_ipv6(interface, addresses) || is_too_early(interface, addresses) => Part::Bystander,
        () => Part::Candidate { asks: addresses.iter().any(|&vip| interface.covers(vip)) },
    };
    let mac = interface.mac?;
    Some((place, Wanted { addresses: Arc::clone(addresses), order: Arc::clone(order), mac, part }))
}

/// Whether a unit is of IPv6 alone, and the interface has none.
fn lacks_ipv6(interface: &Interface, unit: &[IpAddr]) -> bool {
    !interface.has_ipv6() && unit.iter().all(IpAddr::is_ipv6)
}

/// Whether a unit has to wait for IPv6: none of its VIPs can be asked for now.
fn is_too_early(interface: &Interface, unit: &[IpAddr]) -> bool {
    let is_early = |&&vip: &&IpAddr| interface.is_too_early_for(vip);
    unit.iter().any(|vip| is_early(&vip)) && !unit.iter().any(|vip| !is_early(&vip) && interface.covers(*vip))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const ME: NodeId = 7;

    fn eth0() -> Interface {
        Interface::eth0(MAC, &["10.77.0.1/16"])
    }

    fn unit(addresses: &[&str], order: &[NodeId]) -> Unit {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Unit { addresses, order: order.into(), interfaces: None }
    }

    fn on(interface: &Interface) -> [Carrier<'_>; 1] {
        [Carrier { interface, is_default: true }]
    }

    fn view() -> View {
        View {
            units: vec![
                unit(&["10.77.1.10", "10.77.1.11"], &[3, ME]),
                unit(&["192.0.2.1"], &[ME]),
                unit(&["10.77.1.12"], &[3]),
            ],
            suppress: vec!["10.77.3.1".parse().unwrap()],
            failback: Failback::default(),
        }
    }

    fn parts(interface: &Interface, is_drained: bool) -> Vec<(String, Part)> {
        let wishes = wishes(&view(), ME, on(interface), is_drained);
        wishes.into_iter().map(|(place, wanted)| (place.address.to_string(), wanted.part)).collect()
    }

    fn expected(parts: [Part; 4]) -> Vec<(String, Part)> {
        let addresses = ["10.77.1.10", "10.77.1.12", "10.77.3.1", "192.0.2.1"];
        addresses.map(str::to_owned).into_iter().zip(parts).collect()
    }

    #[test]
    fn a_candidate_asks_only_within_the_prefixes() {
        let candidate = |asks| Part::Candidate { asks };
        let expected = expected([candidate(true), Part::Leaver, Part::Bystander, candidate(false)]);
        assert_eq!(parts(&eth0(), false), expected);
    }

    #[test]
    fn a_unit_is_asked_for_where_one_of_its_vips_lies_within_the_prefixes() {
        let dual_stack = unit(&["192.0.2.1", "fd77::11"], &[ME]);
        let view = View { units: vec![dual_stack], ..View::default() };
        let asks = |address: &str| {
            let interface = Interface { addresses: vec![(address.parse().unwrap(), 64)], ..eth0() };
            let wishes = wishes(&view, ME, on(&interface), false);
            wishes.into_values().map(|wanted| wanted.part).collect::<Vec<_>>()
        };
        assert_eq!(asks("fd77::1"), [Part::Candidate { asks: true }]);
        assert_eq!(asks("fe80::1"), [Part::Candidate { asks: false }]);
    }

    #[test]
    fn a_unit_that_cannot_be_asked_for_until_ipv6_is_ready_waits() {
        let units =
            [&["fd77::10"][..], &["10.77.1.10", "fd77::11"], &["192.0.2.1", "fd77::12"], &["2001:db8::1"]];
        let view = View { units: units.map(|vips| unit(vips, &[ME])).to_vec(), ..View::default() };
        let parts = |addresses: &[&str], unsettled: &[&str]| {
            let all = |addresses: &[&str]| addresses.iter().map(|own| (own.parse().unwrap(), 24)).collect();
            let interface = Interface { addresses: all(addresses), unsettled: all(unsettled), ..eth0() };
            let wishes = wishes(&view, ME, on(&interface), false);
            units.map(|vips| wishes[&Place { ifindex: 2, address: vips[0].parse().unwrap() }].part)
        };
        let [asks, does_not_ask] = [true, false].map(|asks| Part::Candidate { asks });
        let waits = Part::Bystander;
        assert_eq!(parts(&["10.77.1.1"], &["fd77::1", "fe80::1"]), [waits, asks, waits, waits]);
        assert_eq!(parts(&["10.77.1.1", "fd77::1"], &["fe80::1"]), [waits, asks, waits, waits]);
        let settled = [asks, asks, asks, does_not_ask];
        assert_eq!(parts(&["10.77.1.1", "fe80::1"], &["fd77::1"]), settled);
        assert_eq!(parts(&["10.77.1.1", "fd77::1"], &[]), settled, "without a link-local address");
        assert_eq!(parts(&["10.77.1.1"], &[]), [waits, asks, does_not_ask, waits], "without IPv6");
    }

    #[test]
    fn the_vips_of_a_unit_go_together() {
        let wishes = wishes(&view(), ME, on(&eth0()), false);
        let first = Place { ifindex: 2, address: "10.77.1.10".parse().unwrap() };
        assert_eq!(wishes[&first].addresses.len(), 2);
        assert_eq!(*wishes[&first].order, [3, ME]);
        assert_eq!(view().addresses().count(), 5);
    }

    #[test]
    fn a_unit_is_announced_on_the_interfaces_that_it_names_and_suppressed_on_the_others() {
        let named = |names: &[&str]| Some(Arc::new(names.iter().map(|&name| name.to_owned()).collect()));
        let units = [None, named(&["eth1", "eth7"]), named(&["eth0", "eth1"]), named(&[])];
        let unit = |(number, interfaces): (u8, _)| Unit {
            interfaces,
            ..unit(&[&format!("10.77.1.{number}")], &[ME, 3])
        };
        let view = View { units: (0..).zip(units).map(unit).collect(), ..View::default() };
        let eth1 = Interface { index: 3, name: "eth1".to_owned(), ..eth0() };
        let eth0 = eth0();
        let carriers =
            [Carrier { interface: &eth0, is_default: true }, Carrier { interface: &eth1, is_default: false }];
        let wishes = wishes(&view, ME, carriers, false);
        let parts: Vec<Part> = wishes.values().map(|wanted| wanted.part).collect();
        let (announced, suppressed) = (Part::Candidate { asks: true }, Part::Bystander);
        let on_eth0 = [announced, suppressed, announced, suppressed];
        let on_eth1 = [suppressed, announced, announced, suppressed];
        assert_eq!(parts, [on_eth0, on_eth1].concat());
    }

    #[test]
    fn a_drained_node_leaves_and_is_silent_where_nobody_follows_or_without_carrier() {
        let drained = expected([Part::Leaver, Part::Leaver, Part::Bystander, Part::Bystander]);
        assert_eq!(parts(&eth0(), true), drained);
        let down = Interface { is_running: false, ..eth0() };
        assert_eq!(parts(&down, false), expected([Part::Bystander; 4]));
    }

    #[test]
    fn an_interface_without_an_ethernet_address_has_nothing_to_say() {
        let tun = Interface { mac: None, ..eth0() };
        assert_eq!(wishes(&view(), ME, on(&tun), false), BTreeMap::new());
    }
}
