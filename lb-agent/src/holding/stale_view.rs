//! What it means that the view may be out of date.

use super::{
    ASKS, DEFEND_AFTER_NS, Holding, NEVER, STALE_ASK_INTERVAL_NS, YIELD_AFTER_NS,
    hold::{Check, CheckCause, State},
    timers::Slot,
};
use crate::model::{BoottimeNs, Place};

impl Holding {
    /// Whether the view may be out of date, its source having been silent for a while. A holder then yields to the claim
    /// of a live peer that answers, whichever of the two ranks better by this view, and nothing is claimed from a live
    /// holder. Those that are gone are followed as ever.
    ///
    /// A view that came with the source's first word is to be followed ([`Self::follow`]) before this says that it is not
    /// stale any more.
    pub fn set_view_stale(&mut self, is_stale: bool, now: BoottimeNs) {
        if is_stale == self.is_view_stale() || !self.rules.distrusts_stale_views {
            return;
        }
        // The peers' views come up to date at about the same time.
        self.claims_from = if is_stale { NEVER } else { now + DEFEND_AFTER_NS };
        self.asks_around_at = if is_stale { now } else { NEVER };
        let mut waiting = Vec::new();
        for (&at, hold) in &mut self.holds {
            let State::Standby(standby) = &mut hold.state else { continue };
            if !is_stale && standby.not_before == NEVER {
                // Yielded to another view, which this one has caught up with: it comes back as if from elsewhere.
                standby.not_before = 0;
                hold.fit_since = now;
            }
            waiting.push(at);
        }
        waiting.into_iter().for_each(|at| self.evaluate(at, false, now));
    }

    pub(super) fn is_view_stale(&self) -> bool {
        self.claims_from == NEVER
    }

    /// How long a claim is left alone that this node's view does not explain.
    pub(super) fn patience_ns(&self) -> u64 {
        if self.is_view_stale() { YIELD_AFTER_NS } else { DEFEND_AFTER_NS }
    }

    /// A holder with a stale view asks now and then whether others hold the unit: neither may know of the other, as after
    /// a partition, and both announce but once a minute.
    pub(super) fn ask_around(&mut self, now: BoottimeNs) {
        if now < self.asks_around_at {
            return;
        }
        self.asks_around_at = now + STALE_ASK_INTERVAL_NS;
        let mut held: Vec<Place> = Vec::new();
        for (&at, hold) in &mut self.holds {
            let asks = hold.wanted.asks();
            let State::Holding(tenure) = &mut hold.state else { continue };
            if asks && !tenure.is_disputed() && tenure.check.is_none() {
                tenure.check = Some(Check { asked: ASKS - 1, ..Check::new(None, CheckCause::Returned) });
                held.push(at);
            }
        }
        held.into_iter().for_each(|at| self.arm(at, Slot::Ask, now, 0));
    }
}
