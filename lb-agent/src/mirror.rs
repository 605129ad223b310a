//! The kernel's map of VIPs as this agent knows it, and what it takes to bring it to what it should say.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::maps::{Role, VipEntry};

use crate::{
    diff::{MapOp, diff},
    holding::{Holding, Message},
    model::{BoottimeNs, Place},
};

/// What the agent has written, or found when it began.
#[derive(Debug, Default)]
pub struct Mirror {
    actual: BTreeMap<Place, VipEntry>,
    /// VIPs of which `actual` may not say what it should.
    due: BTreeSet<Place>,
    is_whole: bool,
    /// VIPs that should have been announced by a write that failed.
    unspoken: BTreeSet<Place>,
    is_silence_owed: bool,
}

impl Mirror {
    /// Over what is there.
    #[must_use]
    pub fn new(actual: BTreeMap<Place, VipEntry>) -> Self {
        Self { due: actual.keys().copied().collect(), actual, ..Self::default() }
    }

    /// VIPs that are announced.
    pub fn announced(&self) -> impl Iterator<Item = Place> + '_ {
        let is_announced = |entry: &VipEntry| entry.role() == Some(Role::Announce);
        self.actual.iter().filter(move |(_, entry)| is_announced(entry)).map(|(&place, _)| place)
    }

    /// What the map says of a VIP.
    #[must_use]
    pub fn entry(&self, place: Place) -> Option<VipEntry> {
        self.actual.get(&place).copied()
    }

    /// Everything, as it was last written, or found.
    #[must_use]
    pub const fn entries(&self) -> &BTreeMap<Place, VipEntry> {
        &self.actual
    }

    /// Whether everything is written.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether a write that should have silenced a VIP has failed, and is still to be made.
    #[must_use]
    pub const fn is_silence_owed(&self) -> bool {
        self.is_silence_owed
    }

    /// Makes by `apply` the writes that are due. What fails stays to be written next time.
    ///
    /// # Errors
    /// The first error of `apply`.
    pub fn write<E>(
        &mut self,
        holding: &mut Holding,
        mut apply: impl FnMut(&MapOp) -> Result<(), E>,
        now: BoottimeNs,
    ) -> Result<(), E> {
        self.due.append(&mut holding.take_new_entries());
        let due = std::mem::take(&mut self.due);
        let mut result = Ok(());
        self.is_silence_owed = false;
        let failed_before = std::mem::take(&mut self.unspoken);
        for op in diff(due, |vip| holding.entry(vip), &self.actual) {
            match (apply(&op), op) {
                (Ok(()), MapOp::Remove(place)) => drop(self.actual.remove(&place)),
                (Ok(()), MapOp::Set(place, entry)) => {
                    self.actual.insert(place, entry);
                    if op.speaks() && failed_before.contains(&place) {
                        holding.spoken_late(place, now);
                    }
                }
                (Err(error), op) => {
                    self.due.insert(op.place());
                    if op.speaks() {
                        self.unspoken.insert(op.place());
                    } else {
                        self.is_silence_owed = true;
                    }
                    result = result.and(Err(error));
                }
            }
        }
        self.is_whole = result.is_ok();
        result
    }

    /// Whether a message may go out: an announcement only for what the kernel answers for.
    #[must_use]
    pub fn backs(&self, place: Place, message: Message) -> bool {
        match message {
            Message::Ask(_) | Message::Claim(_) => true,
            Message::Announce(_) => {
                self.actual.get(&place).is_some_and(|entry| entry.role() == Some(Role::Announce))
            }
        }
    }

    /// Takes in what the map really says; tells whether that is news. What was missing may be held by another node by
    /// now, and is doubted.
    pub fn resync(
        &mut self,
        actual: BTreeMap<Place, VipEntry>,
        holding: &mut Holding,
        now: BoottimeNs,
    ) -> bool {
        if actual == self.actual {
            return false;
        }
        let before = std::mem::replace(&mut self.actual, actual);
        for &place in before.keys().filter(|place| self.actual.get(place) != before.get(place)) {
            holding.doubt(place, now);
            self.due.insert(place);
        }
        self.due.extend(self.actual.keys().filter(|place| !before.contains_key(place)));
        self.is_whole = false;
        true
    }
}

#[cfg(test)]
mod tests;
