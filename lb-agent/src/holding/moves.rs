//! From one state of a unit to the next.

use super::{
    AUDIT_INTERVAL_NS, Cause, Change, DEFEND_AFTER_NS, Failback, Holding, LEAVE_AFTER_NS, NEVER,
    announcements,
    hold::{Challenge, Check, CheckCause, Hold, Part, Standby, State, Tenure},
    standing::Standing,
    timers::Slot,
};
use crate::{
    election::NodeId,
    model::{BoottimeNs, Place},
};

impl Holding {
    /// As a newcomer.
    pub(super) fn begin(&mut self, at: Place, now: BoottimeNs) {
        let hold = self.holds.get_mut(&at).expect("callers have seen it");
        if hold.is_held() {
            self.changes.push((at, Change::Released));
        }
        hold.fit_since = now;
        hold.silent.clear();
        hold.answering = None;
        match hold.wanted.part {
            Part::Candidate { asks: true } => self.ask(at, now),
            Part::Candidate { asks: false } => self.stand_by(at, Standby::default(), true, now),
            Part::Leaver | Part::Bystander => self.enter(at, State::Suppressed),
        }
    }

    /// Asks for the unit; without that rule it is as if nobody had answered.
    pub(super) fn ask(&mut self, at: Place, now: BoottimeNs) {
        if self.rules.asks_first {
            self.enter(at, State::Asking { asked: 0 });
            self.arm(at, Slot::Ask, now, 0);
        } else {
            self.stand_by(at, Standby::default(), true, now);
        }
    }

    /// Waits, unless there is nothing to wait for.
    pub(super) fn stand_by(&mut self, at: Place, standby: Standby, has_asked: bool, now: BoottimeNs) {
        self.enter(at, State::Standby(standby));
        self.evaluate(at, has_asked, now);
    }

    /// A node that waits decides whether it still has to.
    pub(super) fn evaluate(&mut self, at: Place, has_asked: bool, now: BoottimeNs) {
        let hold = &self.holds[&at];
        let State::Standby(standby) = hold.state else { return };
        let standing = self.peers.standing(at.ifindex, hold, self.me, self.rules, now);
        let live_holder = self.live(at, standby.holder);
        // Whoever held it before may hold it still.
        let is_doubtful = standby.is_outdated || self.live(at, standby.before(now)).is_some();
        match (standing, live_holder) {
            (Standing::Behind | Standing::Unknown, _) => self.cancel(at, Slot::Wait),
            (Standing::First { .. }, Some(holder)) => self.claim_in_time(at, standby, holder, now),
            (Standing::First { is_sure }, None) if is_sure && !is_doubtful || has_asked => {
                let cause = match (hold.silent.last(), standby.holder) {
                    (Some(&silent), _) => Cause::Silent(silent),
                    (None, None) if !hold.wanted.asks() => Cause::Unasked,
                    (None, _) if has_asked => Cause::Unanswered,
                    (None, _) => Cause::PeersGone,
                };
                self.take(at, cause, Tenure::default(), now);
            }
            (Standing::First { .. }, None) => self.ask(at, now),
        }
        self.ensure_audit(at, now);
    }

    /// The peer, if it still holds the unit as far as is known.
    pub(super) fn live(&self, at: Place, holder: Option<NodeId>) -> Option<NodeId> {
        holder.filter(|&holder| self.peers.is_live_holder(at.ifindex, &self.holds[&at], holder))
    }

    /// A better rank than the live holder's, or a holder that is no candidate: the time for a claim comes.
    pub(super) fn claim_in_time(&mut self, at: Place, standby: Standby, holder: NodeId, now: BoottimeNs) {
        let hold = &self.holds[&at];
        let is_candidate = hold.is_candidate(holder);
        let due = match self.failback {
            _ if !is_candidate || !self.rules.waits_for_failback => 0,
            Failback::Immediate => 0,
            Failback::After(wait_ns) => hold.fit_since.saturating_add(wait_ns),
            Failback::Never => NEVER,
        };
        match due.max(standby.not_before).max(self.claims_from) {
            NEVER => self.cancel(at, Slot::Wait),
            due if due > now => self.arm(at, Slot::Wait, due, 0),
            _ => {
                let cause = if is_candidate { Cause::Failback(holder) } else { Cause::Moved(holder) };
                let is_for_good = standby.is_for_good;
                let tenure = Tenure { claimed_from: Some(holder), is_for_good, ..Tenure::default() };
                self.take(at, cause, tenure, now);
            }
        }
    }

    pub(super) fn take(&mut self, at: Place, cause: Cause, tenure: Tenure, now: BoottimeNs) {
        self.enter(at, State::Holding(Tenure { taken_at: now, ..tenure }));
        self.changes.push((at, Change::Taken(cause)));
        self.arm(at, Slot::Announce, now, announcements::FIRST_STEP);
    }

    /// No candidate any more: what is held is answered for until another claims it.
    pub(super) fn leave(&mut self, at: Place, now: BoottimeNs) {
        match self.holds[&at].state {
            // It has been claimed already.
            State::Holding(Tenure { challenge: Some(Challenge { by, heard_at, .. }), .. })
                if now <= heard_at + DEFEND_AFTER_NS && !self.is_gone(at, by) =>
            {
                self.begin(at, now);
            }
            State::Holding(Tenure { check: Some(Check { peer: Some(by), cause, .. }), .. })
                if cause.is_a_claim() && !self.is_gone(at, by) =>
            {
                self.begin(at, now);
            }
            State::Holding(_) if self.rules.leaves_softly => {
                self.enter(at, State::Leaving);
                self.arm(at, Slot::Wait, now + LEAVE_AFTER_NS, 0);
            }
            State::Leaving => {}
            _ => self.begin(at, now),
        }
    }

    /// The next in line asks now and then.
    pub(super) fn ensure_audit(&mut self, at: Place, now: BoottimeNs) {
        let is_auditor = self.is_auditor(at);
        let Some(Hold { state: State::Standby(standby), due, .. }) = self.holds.get_mut(&at) else { return };
        match (is_auditor, due[Slot::Ask as usize]) {
            (true, None) => self.arm(at, Slot::Ask, now + AUDIT_INTERVAL_NS, 0),
            (false, Some(_)) => {
                standby.unanswered = 0; // of the next audit
                self.cancel(at, Slot::Ask);
            }
            _ => {}
        }
    }

    pub(super) fn is_auditor(&self, at: Place) -> bool {
        self.asks_in_vain(at).is_some()
    }

    /// After how many asks of its audit without an answer this node takes the unit, if it is to ask.
    pub(super) fn asks_in_vain(&self, at: Place) -> Option<u8> {
        let hold = &self.holds[&at];
        let may = self.rules.audits && hold.wanted.asks();
        self.peers.asks_in_vain(at.ifindex, hold, self.me, self.rules).filter(|_| may)
    }

    /// Asks a peer, or everyone, whether they hold the unit too.
    pub(super) fn check(&mut self, at: Place, peer: Option<NodeId>, cause: CheckCause, now: BoottimeNs) {
        let Some(Hold { state: State::Holding(tenure), .. }) = self.holds.get_mut(&at) else { return };
        let new = Check::new(peer, cause);
        let merged = tenure.check.map_or(new, |check| check.merged(new));
        // Whoever has just been reached again may not have heard the asks so far.
        if new.tells || tenure.check != Some(merged) {
            tenure.check = Some(Check { asked: 0, ..merged });
            self.arm(at, Slot::Ask, now, 0);
        }
    }

    /// Replaces the state; nothing of the old one is due any more.
    pub(super) fn enter(&mut self, at: Place, state: State) {
        let hold = self.holds.get_mut(&at).expect("callers have seen it");
        self.timers.cancel_all(at, &mut hold.due);
        let before = hold.entry();
        hold.state = state;
        if hold.entry() != before {
            self.entry_changed(at);
        }
        self.need_changed(at);
    }

    pub(super) fn arm(&mut self, at: Place, slot: Slot, due: BoottimeNs, step: u8) {
        if let Some(hold) = self.holds.get_mut(&at) {
            self.timers.arm(at, &mut hold.due, slot, due, step);
        }
    }

    pub(super) fn cancel(&mut self, at: Place, slot: Slot) {
        if let Some(hold) = self.holds.get_mut(&at) {
            self.timers.cancel(at, &mut hold.due, slot);
        }
    }
}
