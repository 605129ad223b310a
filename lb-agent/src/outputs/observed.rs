//! What the loop's report comes to, as far as it is told on.

use std::{collections::BTreeSet, sync::Arc};

use super::{Conflict, Failure, Observed, Split};
use crate::{
    cluster::selection::Selection,
    holding::Stance,
    model::{MacText, Place},
    plan::PlannedUnit,
    report::{History, Report, Told, UnitReport},
};

/// All of it. VIPs count as held while the kernel answers for them, so not past the lease.
#[must_use]
pub fn observed(report: &Report, selection: &Selection) -> Observed {
    let mut observed = Observed { failures: failures(report, selection), ..Observed::default() };
    for (place, unit) in &*report.units {
        if let Some(interface) = report.interfaces.get(&place.ifindex) {
            observed.add(*place, unit, interface, report.has_lease);
        }
    }
    observed
}

impl Observed {
    fn add(&mut self, at: Place, unit: &UnitReport, interface: &str, has_lease: bool) {
        let UnitReport { vips, stance, history: History { taken: _, conflict, split } } = unit;
        if has_lease && matches!(stance, Stance::Held | Stance::Leaving) {
            for vip in &**vips {
                self.held.entry(*vip).or_default().insert(interface.to_owned());
            }
        }
        let claims = |mac, is_left, number| Conflict {
            vip: at.address,
            interface: interface.to_owned(),
            mac: MacText(mac).to_string(),
            is_left,
            number,
        };
        match (stance, conflict) {
            (Stance::Contested(mac), _) => self.conflicts.push(claims(*mac, true, 0)),
            (_, Some(Told { what, number })) => self.conflicts.push(claims(*what, false, *number)),
            (_, None) => {}
        }
        if let Some(Told { what: (one, other), number }) = split {
            let nodes = BTreeSet::from([Arc::clone(one), Arc::clone(other)]);
            let interface = interface.to_owned();
            self.splits.push(Split { vip: at.address, interface, nodes, number: *number });
        }
    }
}

/// Units that this node may announce, on interfaces of which it has none. Nothing is told before it has any at all: it may
/// only have begun.
fn failures(report: &Report, selection: &Selection) -> Vec<Failure> {
    if report.interfaces.is_empty() {
        return Vec::new();
    }
    let here: BTreeSet<&str> = report.interfaces.values().map(|name| &**name).collect();
    let failure = |unit: &Arc<PlannedUnit>| {
        let wanted = unit.interfaces.as_ref()?;
        let is_candidate =
            unit.candidates.iter().flat_map(|all| all.iter()).any(|one| one.node == report.node);
        if !is_candidate || wanted.iter().any(|name| here.contains(name.as_str())) {
            return None;
        }
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let why = format!(
            "node {} has none of the interfaces that the L2Advertisements name ({}); name one of its own, or keep it out by \
             nodeSelectors",
            report.node,
            names.join(", ")
        );
        Some(Failure { vip: *unit.addresses.first()?, why })
    };
    selection.plan.units.iter().filter_map(failure).collect()
}
