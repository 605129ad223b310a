//! From what the map should say and what it says to the writes that lie between.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::maps::{Role, VipEntry};

use crate::model::Place;

/// One write to the map of VIPs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MapOp {
    /// The entry goes.
    Remove(Place),
    /// The entry is made or replaced.
    Set(Place, VipEntry),
}

impl MapOp {
    /// The VIP.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Remove(place) | Self::Set(place, _) => *place,
        }
    }

    /// Whether the kernel answers more after it than before.
    #[must_use]
    pub fn speaks(&self) -> bool {
        match self {
            Self::Remove(_) => false,
            Self::Set(_, entry) => entry.role() == Some(Role::Announce),
        }
    }
}

/// The writes that bring `actual` to what is `desired` of these VIPs: removals first, then what silences, then what speaks.
#[must_use]
pub fn diff(
    vips: BTreeSet<Place>,
    desired: impl Fn(Place) -> Option<VipEntry>,
    actual: &BTreeMap<Place, VipEntry>,
) -> Vec<MapOp> {
    let (mut gone, mut silencing, mut speaking) = (Vec::new(), Vec::new(), Vec::new());
    for vip in vips {
        match (desired(vip), actual.get(&vip)) {
            (Some(entry), Some(known)) if entry == *known => {}
            (None, None) => {}
            (None, Some(_)) => gone.push(MapOp::Remove(vip)),
            (Some(entry), _) => {
                let op = MapOp::Set(vip, entry);
                if op.speaks() { speaking.push(op) } else { silencing.push(op) }
            }
        }
    }
    gone.into_iter().chain(silencing).chain(speaking).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn maps() -> impl Strategy<Value = BTreeMap<Place, VipEntry>> {
        let place = (1_u32..4, 0_u8..8)
            .prop_map(|(ifindex, last)| Place { ifindex, address: [10, 0, 0, last].into() });
        let role = prop_oneof![Just(Role::Announce), Just(Role::Suppress), Just(Role::Contested)];
        let entry = (role, 0_u8..3).prop_map(|(role, last)| VipEntry::new(role, [2, 0, 0, 0, 0, last]));
        proptest::collection::btree_map(place, entry, 0..12)
    }

    fn rank(op: &MapOp) -> u8 {
        match op {
            MapOp::Remove(_) => 0,
            MapOp::Set(_, entry) if entry.role() == Some(Role::Announce) => 2,
            MapOp::Set(..) => 1,
        }
    }

    proptest! {
        #[test]
        fn the_writes_lead_from_actual_to_desired_and_none_is_idle(desired in maps(), actual in maps()) {
            let all = desired.keys().chain(actual.keys()).copied().collect();
            let ops = diff(all, |vip| desired.get(&vip).copied(), &actual);
            prop_assert!(ops.is_sorted_by_key(rank), "{ops:?}");
            let mut result = actual.clone();
            for op in &ops {
                let changed = match *op {
                    MapOp::Remove(place) => result.remove(&place).is_some(),
                    MapOp::Set(place, entry) => result.insert(place, entry) != Some(entry),
                };
                prop_assert!(changed, "{op:?} changes nothing");
            }
            prop_assert_eq!(result, desired);
        }

        #[test]
        fn nothing_is_written_without_a_change(map in maps()) {
            let all = map.keys().copied().collect();
            prop_assert_eq!(diff(all, |vip| map.get(&vip).copied(), &map), []);
        }
    }
}
