//! Changes of holding and of the peers, told so that an operator can follow them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use tracing::{info, warn};

use crate::{
    election::NodeId,
    holding::{Cause, Change},
    model::{MacText, Place},
    sbfd::Liveness,
    wishes::{Carrier, Unit},
};

/// More changes of a kind than this in one turn are told as one.
const ONE_BY_ONE: usize = 8;

/// Logs the changes of one turn.
pub fn tell(
    changes: &[(Place, Change)],
    interface_name: impl Fn(u32) -> String,
    node_name: impl Fn(NodeId) -> Arc<str>,
) {
    let mut by_kind: BTreeMap<(u32, bool, String), Vec<Place>> = BTreeMap::new();
    for &(place, change) in changes {
        let (is_trouble, text) = text(change, &node_name);
        by_kind.entry((place.ifindex, is_trouble, text)).or_default().push(place);
    }
    for ((ifindex, is_trouble, text), places) in by_kind {
        let interface = interface_name(ifindex);
        match places.as_slice() {
            [first, .., last] if places.len() > ONE_BY_ONE => {
                let (vips, first, last) = (places.len(), first.address, last.address);
                match is_trouble {
                    true => warn!(vips, interface, %first, %last, "VIPs {text}"),
                    false => info!(vips, interface, %first, %last, "VIPs {text}"),
                }
            }
            few => few.iter().for_each(|place| match is_trouble {
                true => warn!(vip = %place.address, interface, "VIP {text}"),
                false => info!(vip = %place.address, interface, "VIP {text}"),
            }),
        }
    }
}

/// What happened, and whether somebody should look after it.
fn text(change: Change, node_name: impl Fn(NodeId) -> Arc<str>) -> (bool, String) {
    match change {
        Change::Taken(cause) => {
            let (is_trouble, why) = match cause {
                Cause::Unanswered => (false, "nobody else answered for it".to_owned()),
                Cause::Unasked => {
                    (false, "nobody is to be asked outside of the interface's prefixes".to_owned())
                }
                Cause::PeersGone => (false, "the nodes before this one are gone".to_owned()),
                Cause::Silent(peer) => (true, format!("{} is up but did not answer for it", node_name(peer))),
                Cause::Failback(peer) => (false, format!("back from {}", node_name(peer))),
                Cause::GivenBack(peer) => (false, format!("{} gives it back", node_name(peer))),
                Cause::Moved(peer) => (false, format!("{} is to announce it no more", node_name(peer))),
            };
            (is_trouble, format!("announced here: {why}"))
        }
        Change::Released => (false, "no longer announced here".to_owned()),
        Change::Yielded(peer) => {
            (false, format!("no longer announced here: {} announces it", node_name(peer)))
        }
        Change::Contested(station) => {
            (true, format!("left to another station, which answers for it: {}", MacText(station)))
        }
        Change::Conflict(station) => {
            (true, format!("address conflict: {} claims it, and it is announced here", MacText(station)))
        }
        Change::SplitSegment(one, other) => {
            let (one, other) = (node_name(one), node_name(other));
            (true, format!("answered by {one} and by {other}: do they hear each other?"))
        }
    }
}

/// Logs how a peer is.
pub fn tell_peer(node: &str, interface: &str, liveness: Liveness) {
    match liveness {
        Liveness::Up { is_agent_seen: true } => info!(node, interface, "node is up"),
        Liveness::Up { is_agent_seen: false } => {
            info!(
                node,
                interface, "node is up, its agent is not: it keeps what it holds and takes nothing more"
            );
        }
        Liveness::Down => warn!(node, interface, "node is down: it does not answer any more"),
        Liveness::AdminDown => {
            info!(node, interface, "node has withdrawn: it is drained, or its agent is gone")
        }
    }
}

/// Logs which interfaces should carry VIPs of IPv6 and have no IPv6, but for those that have been told; gives all of them.
pub fn tell_without_ipv6<'a>(
    units: &[Unit],
    carriers: impl Iterator<Item = Carrier<'a>>,
    told: &BTreeSet<u32>,
) -> BTreeSet<u32> {
    let carries_ipv6 =
        |carrier| units.iter().any(|unit| unit.is_on(carrier) && unit.addresses.iter().any(IpAddr::is_ipv6));
    let tell = |Carrier { interface, .. }: Carrier<'_>| {
        let name = &interface.name;
        if !told.contains(&interface.index) {
            warn!(
                interface = name,
                "no VIP of IPv6 alone is announced here: the interface has no IPv6 address; look at \
                 net.ipv6.conf.{name}.disable_ipv6"
            );
        }
        interface.index
    };
    carriers
        .filter(|carrier| carrier.interface.is_running && !carrier.interface.has_ipv6())
        .filter(|&carrier| carries_ipv6(carrier))
        .map(tell)
        .collect()
}
