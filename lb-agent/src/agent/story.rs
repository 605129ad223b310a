//! Changes of holding, told so that an operator can follow them.

use std::collections::BTreeMap;

use tracing::{info, warn};

use crate::{
    holding::Change,
    model::{MacText, Place},
};

/// More changes of a kind than this in one turn are told as one.
const ONE_BY_ONE: usize = 8;

/// Logs the changes of one turn.
pub fn tell(changes: Vec<(Place, Change)>, interface_name: impl Fn(u32) -> String) {
    let mut by_kind: BTreeMap<(u32, &'static str), Vec<(Place, Change)>> = BTreeMap::new();
    for (place, change) in changes {
        by_kind.entry((place.ifindex, text(change))).or_default().push((place, change));
    }
    for ((ifindex, text), changes) in by_kind {
        let interface = interface_name(ifindex);
        match changes.as_slice() {
            [] => {}
            few if few.len() <= ONE_BY_ONE => few.iter().for_each(|change| tell_one(change, &interface)),
            [(first, _), .., (last, _)] => info!(
                vips = changes.len(), interface, first = %first.address, last = %last.address, "VIPs {text}"
            ),
            [_] => {}
        }
    }
}

fn tell_one(&(place, change): &(Place, Change), interface: &str) {
    let vip = place.address;
    match change {
        Change::Taken | Change::Released => info!(%vip, interface, "VIP {}", text(change)),
        Change::Contested(station) => {
            warn!(%vip, interface, station = %MacText(station), "VIP {}", text(change));
        }
    }
}

const fn text(change: Change) -> &'static str {
    match change {
        Change::Taken => "announced here",
        Change::Released => "no longer announced here",
        Change::Contested(_) => "left to another station, which answers for it",
    }
}
