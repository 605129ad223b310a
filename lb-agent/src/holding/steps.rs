//! What is done when a unit's time has come.

use super::{
    ASK_INTERVAL_NS, ASKS, AUDIT_INTERVAL_NS, AUDIT_RETRY_NS, Change, Holding, Message, WATCH_INTERVAL_NS,
    hold::{Challenge, Check, CheckCause, Standby, State, Tenure},
    timers::Slot,
};
use crate::{
    announcements,
    model::{BoottimeNs, Place},
};

/// A node that hears no peer announces only at first: it may be the one that is cut off, and would lead the
/// neighbours astray.
const STEPS_IN_ISOLATION: u8 = 4;
/// Announcements are put off by this while somebody else's claim is undecided.
const PUT_OFF_NS: u64 = 1_000_000_000;

impl Holding {
    pub(super) fn step(&mut self, at: Place, slot: Slot, step: u8, now: BoottimeNs) -> Option<Message> {
        match (slot, self.holds.get(&at)?.state.clone()) {
            (Slot::Ask, State::Asking { asked }) => self.next_ask(at, asked, now),
            (Slot::Ask, State::Standby(standby)) => self.next_audit(at, standby, now),
            (Slot::Ask, State::Holding(Tenure { check: Some(check), .. })) => self.next_check(at, check, now),
            (Slot::Ask, State::Contested { stranger, unheard, silent }) => {
                if silent == ASKS {
                    self.begin(at, now);
                    return None;
                }
                let unheard = unheard.saturating_add(1);
                self.hold_mut(at).state = State::Contested { stranger, unheard, silent: silent + 1 };
                self.arm(at, Slot::Ask, now + AUDIT_RETRY_NS, 0);
                Some(Message::Ask(None))
            }
            (Slot::Wait, State::Standby(_)) => {
                self.evaluate(at, false, now);
                None
            }
            (Slot::Wait, State::Holding(tenure)) => {
                self.end_of_patience(at, tenure, now);
                None
            }
            (Slot::Wait, State::Leaving) => {
                self.begin(at, now);
                None
            }
            (Slot::Announce, State::Holding(tenure)) => self.next_announcement(at, tenure, step, now),
            _ => None, // of a state that is over
        }
    }

    fn next_ask(&mut self, at: Place, asked: u8, now: BoottimeNs) -> Option<Message> {
        if asked == ASKS {
            self.stand_by(at, Standby::default(), true, now);
            return None;
        }
        self.hold_mut(at).state = State::Asking { asked: asked + 1 };
        self.arm(at, Slot::Ask, now + ASK_INTERVAL_NS, 0);
        Some(Message::Ask(None))
    }

    /// The next in line asks the holder, and once that went without an answer, or where there is none, everyone.
    fn next_audit(&mut self, at: Place, mut standby: Standby, now: BoottimeNs) -> Option<Message> {
        let most = self.asks_in_vain(at)?;
        if standby.unanswered >= most {
            if self.holds[&at].crowd.may_have_drowned_an_answer(now) {
                self.hold_mut(at).state = State::Standby(Standby { unanswered: 0, ..standby });
                self.arm(at, Slot::Ask, now + AUDIT_INTERVAL_NS, 0);
            } else {
                self.nobody_holds(at, standby, now);
            }
            return None;
        }
        let to = self.live(at, standby.holder).filter(|_| standby.unanswered == 0);
        standby.unanswered += 1;
        self.hold_mut(at).state = State::Standby(standby);
        self.arm(at, Slot::Ask, now + AUDIT_RETRY_NS, 0);
        Some(Message::Ask(to))
    }

    /// Whoever should hold the unit has not answered: for this unit it counts as gone.
    fn nobody_holds(&mut self, at: Place, standby: Standby, now: BoottimeNs) {
        if let Some(stranger) = standby.stranger {
            self.contest(at, stranger, now);
            return;
        }
        let me = self.me;
        let Self { holds, peers, .. } = self;
        let Some(hold) = holds.get_mut(&at) else { return };
        let liveness = |node| peers.get(at.ifindex, node);
        hold.answering = None;
        let predecessors = hold.predecessors(me).to_vec();
        // Those of whom nothing is known are asked for by S-BFD first.
        for node in standby.holder.into_iter().chain(predecessors) {
            if !hold.silent.contains(&node) && liveness(node).is_some() {
                hold.silent.push(node);
            }
        }
        // The peer that the change is told of is the last one.
        if let Some(holder) = standby.holder {
            hold.silent.retain(|&node| node != holder);
            hold.silent.push(holder);
        }
        self.stand_by(at, Standby { unanswered: 0, ..standby }, true, now);
    }

    fn next_check(&mut self, at: Place, check: Check, now: BoottimeNs) -> Option<Message> {
        let Check { peer, cause, tells: _, asked } = check;
        let is_over = asked == ASKS;
        let State::Holding(tenure) = &mut self.hold_mut(at).state else { return None };
        tenure.check = (!is_over).then_some(Check { asked: asked + 1, ..check });
        if !is_over {
            self.arm(at, Slot::Ask, now + ASK_INTERVAL_NS, 0);
            return Some(Message::Ask(peer));
        }
        match cause {
            CheckCause::Returned | CheckCause::CameUp => {}
            // It claims the unit and does not answer for it.
            CheckCause::Claimed | CheckCause::NewerView | CheckCause::Defends => {
                self.defend_against_peer(at, now)
            }
        }
        None
    }

    /// The view has not followed the claim.
    fn end_of_patience(&mut self, at: Place, tenure: Tenure, now: BoottimeNs) {
        let Some(Challenge { by, heard_at, defended_at: None }) = tenure.challenge else { return };
        let State::Holding(tenure) = &mut self.hold_mut(at).state else { return };
        tenure.challenge = Some(Challenge { by, heard_at, defended_at: Some(now) });
        if self.is_view_stale() {
            self.check(at, Some(by), CheckCause::NewerView, now);
        } else if self.rules.defends {
            self.defend_against_peer(at, now);
        }
    }

    fn next_announcement(&mut self, at: Place, tenure: Tenure, step: u8, now: BoottimeNs) -> Option<Message> {
        if tenure.is_disputed() {
            self.arm(at, Slot::Announce, now + PUT_OFF_NS, step);
            return None;
        }
        let (form, wait_ns, next) = announcements::step(step);
        self.arm(at, Slot::Announce, now + wait_ns, next);
        (step < STEPS_IN_ISOLATION || !self.peers.is_isolated()).then_some(Message::Announce(form))
    }

    /// A stranger answers: the unit is neither announced nor suppressed until it falls silent.
    pub(super) fn contest(&mut self, at: Place, stranger: lb_common::wire::ethernet::Mac, now: BoottimeNs) {
        self.changes.push((at, Change::Contested(stranger)));
        self.enter(at, State::Contested { stranger, unheard: 0, silent: 0 });
        self.arm(at, Slot::Ask, now + WATCH_INTERVAL_NS, 0);
    }

    /// A stranger that was asked is there: it is asked again in a while.
    pub(super) fn watch_answered(&mut self, at: Place, now: BoottimeNs) {
        self.arm(at, Slot::Ask, now + WATCH_INTERVAL_NS, 0);
    }

    /// The audit begins anew: somebody has answered.
    pub(super) fn audit_answered(&mut self, at: Place, now: BoottimeNs) {
        if self.hold_mut(at).due[Slot::Ask as usize].is_some() {
            self.arm(at, Slot::Ask, now + AUDIT_INTERVAL_NS, 0);
        }
    }
}
