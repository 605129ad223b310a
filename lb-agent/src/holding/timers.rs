//! What is to be done when: one queue for all VIPs.

use std::collections::BTreeSet;

use crate::model::{BoottimeNs, Place};

/// What a unit waits for; each at most once at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Slot {
    /// The next ask, or the end of the time for an answer.
    Ask,
    /// A decision that was put off.
    Wait,
    /// The next announcement.
    Announce,
}

/// When each slot of a unit is due, and the step to be done then.
pub(super) type Due = [Option<(BoottimeNs, u8)>; 3];

/// The queue: by time, then by step, so that all first announcements go before any second one.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(BoottimeNs, u8, Slot, Place)>,
}

impl Timers {
    pub(super) fn first(&self) -> Option<BoottimeNs> {
        self.queue.first().map(|&(at, ..)| at)
    }

    /// What is due at `now`, taken off.
    pub(super) fn pop(&mut self, now: BoottimeNs) -> Option<(Place, Slot, u8)> {
        let &(at, step, slot, place) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some((place, slot, step))
    }

    pub(super) fn arm(&mut self, place: Place, due: &mut Due, slot: Slot, at: BoottimeNs, step: u8) {
        self.cancel(place, due, slot);
        due[slot as usize] = Some((at, step));
        self.queue.insert((at, step, slot, place));
    }

    pub(super) fn cancel(&mut self, place: Place, due: &mut Due, slot: Slot) {
        if let Some((at, step)) = due[slot as usize].take() {
            self.queue.remove(&(at, step, slot, place));
        }
    }

    pub(super) fn cancel_all(&mut self, place: Place, due: &mut Due) {
        for slot in [Slot::Ask, Slot::Wait, Slot::Announce] {
            self.cancel(place, due, slot);
        }
    }
}
