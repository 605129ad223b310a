//! What the loop's report comes to, as far as it is told on: by VIP.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    holding::Stance,
    model::Place,
    plan::PlannedUnit,
    report::{History, Report, UnitReport},
    side_by_side::changes,
};

/// The units of each VIP, as far as there is anything to tell of them, in order.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Units(HashMap<IpAddr, Vec<(Place, Arc<UnitReport>)>>);

impl Units {
    /// Follows a report that comes after another one; says of which VIPs there is something else to tell.
    pub fn follow(&mut self, before: &Report, now: &Report) -> BTreeSet<IpAddr> {
        let mut vips = BTreeSet::new();
        if Arc::ptr_eq(&before.units, &now.units) {
            return vips;
        }
        for (&at, old, new) in changes(&*before.units, &*now.units) {
            let [old, new] = [old, new].map(|unit| unit.filter(|unit| is_worth_telling(unit)));
            for vip in old.iter().flat_map(|unit| unit.vips.iter()) {
                self.remove(at, *vip);
                vips.insert(*vip);
            }
            if let Some(unit) = new {
                for vip in &*unit.vips {
                    let units = self.0.entry(*vip).or_default();
                    units.insert(units.partition_point(|(other, _)| *other < at), (at, Arc::clone(unit)));
                    vips.insert(*vip);
                }
            }
        }
        vips
    }

    fn remove(&mut self, at: Place, vip: IpAddr) {
        if let Some(units) = self.0.get_mut(&vip) {
            units.retain(|(other, _)| *other != at);
            if units.is_empty() {
                self.0.remove(&vip);
            }
        }
    }
}

fn is_worth_telling(unit: &UnitReport) -> bool {
    let UnitReport { vips: _, stance, history: History { taken: _, conflict, split } } = unit;
    is_held(stance) || matches!(stance, Stance::Contested(_)) || conflict.is_some() || split.is_some()
}

fn is_held(stance: &Stance<Arc<str>>) -> bool {
    matches!(stance, Stance::Held | Stance::Leaving)
}

/// What a node tells from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// This node's name.
    pub me: &'a Arc<str>,
    /// It tells what every node sees alike.
    pub speaks_for_all: bool,
    report: &'a Report,
    units: &'a Units,
}

impl<'a> View<'a> {
    /// Of the node `me`; `units` are those of the report.
    #[must_use]
    pub const fn new(me: &'a Arc<str>, speaks_for_all: bool, report: &'a Report, units: &'a Units) -> Self {
        Self { me, speaks_for_all, report, units }
    }

    /// The interfaces where this node holds a VIP: where the kernel answers for it, so not past the lease.
    pub fn held_on(&self, vip: IpAddr) -> impl Iterator<Item = &'a Arc<str>> {
        let has_lease = self.report.has_lease;
        let held = self.units(vip).filter(move |(_, _, unit)| has_lease && is_held(&unit.stance));
        held.map(|(_, interface, _)| interface)
    }

    /// The units that a VIP leads, with the names of their interfaces.
    pub fn led_by(&self, vip: IpAddr) -> impl Iterator<Item = (&'a Arc<str>, &'a UnitReport)> {
        let led = self.units(vip).filter(move |(at, ..)| at.address == vip);
        led.map(|(_, interface, unit)| (interface, unit))
    }

    /// Why this node cannot announce a unit that it should: it has none of the interfaces. Nothing is told before it has any
    /// at all: it may only have begun.
    #[must_use]
    pub fn failure(&self, unit: &PlannedUnit) -> Option<String> {
        let wanted = unit.interfaces.as_ref()?;
        let here = &self.report.interfaces;
        let has_one = here.values().any(|name| wanted.contains(&**name));
        let is_candidate =
            || unit.candidates.iter().flat_map(|all| all.iter()).any(|one| one.node == *self.me);
        if here.is_empty() || has_one || !is_candidate() {
            return None;
        }
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        Some(format!(
            "node {} has none of the interfaces that the L2Advertisements name ({}); name one of its own, or keep it out by \
             nodeSelectors",
            self.me,
            names.join(", ")
        ))
    }

    fn units(&self, vip: IpAddr) -> impl Iterator<Item = (Place, &'a Arc<str>, &'a UnitReport)> {
        let interfaces = &self.report.interfaces;
        let named = move |(at, unit): &'a (Place, Arc<UnitReport>)| {
            Some((*at, interfaces.get(&at.ifindex)?, &**unit))
        };
        self.units.0.get(&vip).into_iter().flatten().filter_map(named)
    }
}
