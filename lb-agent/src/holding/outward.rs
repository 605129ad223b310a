//! What follows for the kernel's map and for the probing, unit by unit, and for which units it may have changed.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::maps::VipEntry;

use super::{
    Holding,
    hold::{Hold, State},
};
use crate::{choose::Need, election::NodeId, model::Place};

impl Holding {
    /// Counts up with every change of how a unit stands.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What the kernel's map has to say of a VIP; `None`: nothing.
    #[must_use]
    pub fn entry(&self, at: Place) -> Option<VipEntry> {
        let hold = self.holds.get(&self.unit(at))?;
        hold.wanted.addresses.contains(&at.address).then(|| hold.entry())
    }

    /// What the kernel's map has to say.
    #[must_use]
    pub fn desired(&self) -> BTreeMap<Place, VipEntry> {
        self.holds.iter().flat_map(|(at, hold)| vips(*at, hold).map(|vip| (vip, hold.entry()))).collect()
    }

    /// The VIPs whose entry may be another than when this was last called.
    pub fn take_new_entries(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.new_entries)
    }

    /// Which peers this node has to know about, unit by unit, to hold rightly on an interface.
    pub fn needs(&self, ifindex: u32) -> impl Iterator<Item = Need<'_>> {
        self.holds.range(Place::all_of(ifindex)).filter_map(|(_, hold)| hold.need(self.me))
    }

    /// The same for one unit.
    #[must_use]
    pub fn need(&self, at: Place) -> Option<Need<'_>> {
        self.holds.get(&at)?.need(self.me)
    }

    /// The units whose need may be another than when this was last called, by another reason than
    /// [`Self::liveness_changed`].
    pub fn take_new_needs(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.new_needs)
    }

    pub(super) fn entry_changed(&mut self, at: Place) {
        if let Some(hold) = self.holds.get(&at) {
            self.version += 1;
            self.new_entries.extend(vips(at, hold));
        }
    }

    pub(super) fn need_changed(&mut self, at: Place) {
        self.version += 1;
        self.new_needs.insert(at);
    }
}

/// The VIPs of a unit.
fn vips(at: Place, hold: &Hold) -> impl Iterator<Item = Place> {
    hold.wanted.addresses.iter().map(move |&address| Place { ifindex: at.ifindex, address })
}

impl Hold {
    /// Which peers a node has to know about to hold it rightly; `None`: nobody.
    fn need(&self, me: NodeId) -> Option<Need<'_>> {
        let watch_all = match self.state {
            State::Suppressed | State::Leaving | State::Contested { .. } => return None,
            State::Holding(_) => true,
            State::Asking { .. } | State::Standby(_) => false,
        };
        let predecessors = self.predecessors(me);
        // A better-ranked holder is one of the predecessors: of those one that lives is enough.
        let also = self.holder().filter(|holder| !predecessors.contains(holder));
        let is_any = !predecessors.is_empty() || also.is_some();
        is_any.then_some(Need { predecessors, watch_all, silent: &self.silent, also })
    }
}
