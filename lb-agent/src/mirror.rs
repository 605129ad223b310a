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
    /// The version of [`Holding`] that `actual` follows; `None` when something is left to write.
    written_version: Option<u64>,
    /// VIPs that should have been announced by a write that failed.
    unspoken: BTreeSet<Place>,
    is_silence_owed: bool,
}

impl Mirror {
    /// Over what is there.
    #[must_use]
    pub fn new(actual: BTreeMap<Place, VipEntry>) -> Self {
        Self { actual, ..Self::default() }
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

    /// Whether everything is written.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.written_version.is_some()
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
        if self.written_version == Some(holding.version()) {
            return Ok(());
        }
        let mut result = Ok(());
        self.is_silence_owed = false;
        let failed_before = std::mem::take(&mut self.unspoken);
        for op in diff(&holding.desired(), &self.actual) {
            match (apply(&op), op) {
                (Ok(()), MapOp::Remove(place)) => drop(self.actual.remove(&place)),
                (Ok(()), MapOp::Set(place, entry)) => {
                    self.actual.insert(place, entry);
                    if op.speaks() && failed_before.contains(&place) {
                        holding.spoken_late(place, now);
                    }
                }
                (Err(error), op) => {
                    self.is_silence_owed |= !op.speaks();
                    if let MapOp::Set(place, _) = op
                        && op.speaks()
                    {
                        self.unspoken.insert(place);
                    }
                    result = result.and(Err(error));
                }
            }
        }
        self.written_version = result.is_ok().then(|| holding.version());
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
        for place in before.keys().filter(|place| self.actual.get(place) != before.get(place)) {
            holding.doubt(*place, now);
        }
        self.written_version = None;
        true
    }
}

#[cfg(test)]
mod tests;
