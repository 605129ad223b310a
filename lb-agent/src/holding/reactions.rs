//! What is done about what other stations say.

use lb_common::wire::ethernet::Mac;

use super::{
    ASKS, BEFORE_COUNTS_NS, CLAIM_AGAIN_AFTER_NS, Cause, Change, DEFENCE_NOT_BEFORE_NS, DEFENCE_WITHIN_NS,
    DEFEND_INTERVAL_NS, FAILBACK_AGAIN_AFTER_NS, Holding, INSISTING_AFTER_NS, Message, NEVER,
    PEER_DEFEND_INTERVAL_NS, Rules, Saying, Station,
    hold::{Challenge, Check, CheckCause, Hold, Standby, State, Tenure},
    timers::Slot,
};
use crate::{
    announcements,
    election::NodeId,
    model::{BoottimeNs, Place},
    sbfd::Liveness,
};

/// Two answers no further apart than this belong to one ask.
const SAME_ASK_NS: u64 = 1_000_000_000;

impl Holding {
    /// Another station said on the wire that it has a VIP. Says what is to be sent to it at once.
    pub fn heard(
        &mut self,
        at: Place,
        from: Station,
        saying: Saying,
        now: BoottimeNs,
    ) -> Option<(Place, Message)> {
        let unit = self.unit(at);
        self.holds.get_mut(&unit)?.crowd.heard(now);
        match from {
            Station::Peer(peer) => self.heard_peer(unit, peer, saying, now).map(|message| (at, message)),
            Station::Stranger(mac) => {
                self.heard_stranger(unit, mac, saying, now);
                None
            }
        }
    }

    fn heard_peer(&mut self, at: Place, peer: NodeId, saying: Saying, now: BoottimeNs) -> Option<Message> {
        match self.holds[&at].state.clone() {
            State::Suppressed => {}
            // It believes so itself, but nobody hears it.
            State::Asking { .. } if saying != Saying::Answer && self.is_gone(at, peer) => {}
            // It answers until it is followed: by this node, perhaps.
            State::Asking { .. } if self.is_leaving(at, peer) => {}
            State::Asking { .. } | State::Contested { .. } => {
                let standby = Standby { holder: Some(peer), ..Standby::default() };
                self.note_answer(at, peer, saying);
                self.stand_by(at, standby, false, now);
            }
            State::Standby(standby) => self.heard_while_waiting(at, standby, peer, saying, now),
            // The one that gives way takes this node for a holder that stays.
            State::Leaving if saying == Saying::ClaimToUs => {}
            State::Leaving => self.begin(at, now),
            State::Holding(tenure) => return self.heard_while_holding(at, tenure, peer, saying, now),
        }
        None
    }

    pub(super) fn is_gone(&self, at: Place, peer: NodeId) -> bool {
        matches!(self.peers.get(at.ifindex, peer), Some(Liveness::Down | Liveness::AdminDown))
    }

    fn is_leaving(&self, at: Place, peer: NodeId) -> bool {
        self.peers.get(at.ifindex, peer) == Some(Liveness::AdminDown)
    }

    /// An answer proves more than S-BFD: a firewall in its way does not make a peer dead.
    fn note_answer(&mut self, at: Place, peer: NodeId, saying: Saying) {
        let liveness = self.peers.get(at.ifindex, peer);
        let hold = self.hold_mut(at);
        let silent_before = hold.silent.len();
        hold.silent.retain(|&silent| silent != peer);
        let has_spoken = hold.silent.len() < silent_before;
        if saying == Saying::Answer && liveness == Some(Liveness::Down) {
            hold.answering = Some(peer);
        }
        if has_spoken {
            self.need_changed(at);
        }
    }

    fn heard_while_waiting(
        &mut self,
        at: Place,
        mut standby: Standby,
        peer: NodeId,
        saying: Saying,
        now: BoottimeNs,
    ) {
        self.note_answer(at, peer, saying);
        if saying == Saying::ClaimToUs && standby.holder == Some(peer) {
            // Each of the two has given way to the other.
            self.take(at, Cause::GivenBack(peer), Tenure::default(), now);
            return;
        }
        if saying == Saying::Answer {
            self.tell_split(at, &mut standby, peer, now);
        }
        let holder_before = standby.holder;
        let is_news = holder_before != Some(peer);
        let live_before = self.live(at, holder_before);
        if is_news && saying == Saying::Announcement && self.is_gone(at, peer) && live_before.is_some() {
            return; // it believes so itself, but nobody hears it
        }
        standby = Standby { holder: Some(peer), is_outdated: false, ..standby };
        if is_news {
            standby.unanswered = 0; // this one has not been asked yet
            standby.before = live_before.map(|before| (before, now + BEFORE_COUNTS_NS)).or(standby.before);
        }
        // An announcement shows what an agent believes, an answer what its kernel does: only that passes the audit.
        if saying == Saying::Answer {
            standby = Standby { unanswered: 0, stranger: None, before: None, ..standby };
        }
        self.hold_mut(at).state = State::Standby(standby);
        if saying == Saying::Answer {
            self.audit_answered(at, now);
        }
        if is_news {
            self.follow_holder(at, holder_before, peer, now);
        }
    }

    /// Two peers that answer the same ask are told, once.
    fn tell_split(&mut self, at: Place, standby: &mut Standby, peer: NodeId, now: BoottimeNs) {
        let answered = standby.answered.replace((peer, now));
        let other = answered.filter(|&(other, when)| other != peer && now < when + SAME_ASK_NS);
        if let Some((other, _)) = other.filter(|_| !standby.is_split_told) {
            standby.is_split_told = true;
            self.changes.push((at, Change::SplitSegment(other.min(peer), other.max(peer))));
        }
    }

    /// Another one holds the unit than before.
    fn follow_holder(&mut self, at: Place, before: Option<NodeId>, holder: NodeId, now: BoottimeNs) {
        // A holder that ranks better is not probed for its own sake.
        let better = self.holds[&at].predecessors(self.me);
        let is_probed = |holder: NodeId| !better.contains(&holder);
        if is_probed(holder) || before.is_some_and(is_probed) {
            self.need_changed(at);
        }
        self.evaluate(at, false, now);
        self.verify(at, now);
    }

    /// The next in line asks a new holder at once whether it answers, where another may still hold the unit.
    fn verify(&mut self, at: Place, now: BoottimeNs) {
        let is_doubtful = matches!(self.hold_mut(at).state, State::Standby(Standby { before: Some(_), .. }));
        if is_doubtful && self.is_auditor(at) {
            self.arm(at, Slot::Ask, now, 0);
        }
    }

    fn heard_while_holding(
        &mut self,
        at: Place,
        tenure: Tenure,
        peer: NodeId,
        saying: Saying,
        now: BoottimeNs,
    ) -> Option<Message> {
        let hold = &self.holds[&at];
        let is_better = hold.predecessors(self.me).contains(&peer);
        let is_leaving = self.is_leaving(at, peer);
        match saying {
            Saying::Answer => match tenure.check {
                Some(check) if check.is_for(peer) && (is_better || !check.cause.is_for_better()) => {
                    if is_leaving || !self.rules.yields {
                        return None;
                    }
                    return self.yield_after(at, peer, check, now);
                }
                _ if is_better => {} // it was not asked now, or is on its way out
                // It may hold the unit by a newer view.
                _ if self.is_view_stale() => self.challenged(at, peer, now),
                _ => self.defend_at_once(at, peer, now),
            },
            // Its sender has found two holders, and gives way.
            Saying::ClaimToUs => {
                self.withdrawn(at, peer);
                self.defend_at_once(at, peer, now);
            }
            Saying::Announcement if is_leaving => {}
            Saying::Announcement => self.claimed_by_peer(at, peer, now),
        }
        None
    }

    /// A peer announces what is held here.
    pub(super) fn claimed_by_peer(&mut self, at: Place, peer: NodeId, now: BoottimeNs) {
        let hold = &self.holds[&at];
        if !hold.predecessors(self.me).contains(&peer) {
            self.challenged(at, peer, now);
        } else if !self.rules.yields {
            // Without that rule a claim is no matter.
        } else if self.rules.verifies_before_yielding {
            self.check(at, Some(peer), CheckCause::Claimed, now);
        } else {
            self.yield_to(at, Standby { holder: Some(peer), ..Standby::default() }, now);
        }
    }

    /// A peer that does not rank better by this view claims the unit.
    fn challenged(&mut self, at: Place, by: NodeId, now: BoottimeNs) {
        let (patience_ns, is_view_stale) = (self.patience_ns(), self.is_view_stale());
        let State::Holding(tenure) = &mut self.hold_mut(at).state else { return };
        if let Some(challenge) = tenure.challenge.as_mut().filter(|challenge| challenge.by == by) {
            challenge.heard_at = now;
        }
        match tenure.challenge {
            // Said before anybody can have heard that the unit was taken.
            _ if tenure.taken_at == now => {}
            // The holder defends the unit against this node's claim.
            _ if tenure.claimed_from == Some(by)
                && !tenure.is_for_good
                && now < tenure.taken_at + DEFENCE_WITHIN_NS =>
            {
                if now < tenure.taken_at + DEFENCE_NOT_BEFORE_NS {
                    return; // said before it had heard the claim, or asked
                }
                match self.rules {
                    Rules { gives_way: false, .. } => {}
                    Rules { verifies_before_yielding: true, .. } => {
                        self.check(at, Some(by), CheckCause::Defends, now);
                    }
                    _ => self.give_way(at, by, now),
                }
            }
            Some(challenge) if challenge.by == by => match challenge.defended_at {
                // One of the same view has given way to the defence.
                Some(defended_at) if is_view_stale || now >= defended_at + INSISTING_AFTER_NS => {
                    self.check(at, Some(by), CheckCause::NewerView, now);
                }
                _ => {}
            },
            _ => {
                tenure.challenge = Some(Challenge { by, heard_at: now, defended_at: None });
                self.arm(at, Slot::Wait, now + patience_ns, 0);
            }
        }
    }

    /// A peer that claimed the unit has given way: the claim is none any more, whatever this node's view becomes.
    fn withdrawn(&mut self, at: Place, by: NodeId) {
        if let State::Holding(tenure) = &mut self.hold_mut(at).state {
            tenure.challenge.take_if(|challenge| challenge.by == by);
        }
    }

    /// The peer that was asked answers: it holds the unit too, and goes on.
    fn yield_after(&mut self, at: Place, peer: NodeId, check: Check, now: BoottimeNs) -> Option<Message> {
        self.note_answer(at, peer, Saying::Answer);
        let standby = Standby { holder: Some(peer), ..Standby::default() };
        match check.cause {
            CheckCause::Defends => self.give_way(at, peer, now),
            // Having yielded to another view, this node does not come back before its own has changed.
            CheckCause::NewerView => self.yield_to(at, Standby { not_before: NEVER, ..standby }, now),
            CheckCause::Returned | CheckCause::CameUp | CheckCause::Claimed => {
                self.yield_to(at, standby, now);
            }
        }
        check.tells.then_some(Message::Claim(peer))
    }

    /// The holder that the unit was claimed from defends it.
    fn give_way(&mut self, at: Place, to: NodeId, now: BoottimeNs) {
        let holder = Some(to);
        let standby = match self.hold_mut(at).is_candidate(to) {
            true => Standby { holder, not_before: now + FAILBACK_AGAIN_AFTER_NS, ..Standby::default() },
            false => Standby {
                holder,
                not_before: now + CLAIM_AGAIN_AFTER_NS,
                is_for_good: true,
                ..Standby::default()
            },
        };
        self.yield_to(at, standby, now);
    }

    fn yield_to(&mut self, at: Place, standby: Standby, now: BoottimeNs) {
        if let Some(holder) = standby.holder {
            self.changes.push((at, Change::Yielded(holder)));
        }
        self.stand_by(at, standby, false, now);
    }

    pub(super) fn defend_against_peer(&mut self, at: Place, now: BoottimeNs) {
        self.defend(at, PEER_DEFEND_INTERVAL_NS, announcements::FIRST_STEP, now);
    }

    /// A peer gives way, or is found to hold the unit too: it is told who does, whether it claims the unit or not.
    fn defend_at_once(&mut self, at: Place, peer: NodeId, now: BoottimeNs) {
        let State::Holding(tenure) = &mut self.hold_mut(at).state else { return };
        if let Some(challenge) = tenure.challenge.as_mut().filter(|challenge| challenge.by == peer) {
            challenge.defended_at = Some(now);
        }
        self.defend_against_peer(at, now);
    }

    fn defend(&mut self, at: Place, interval_ns: u64, step: u8, now: BoottimeNs) {
        let hold = self.hold_mut(at);
        // Just after the gain more is to be announced than a defence: a claim brings that forward, and cuts none of it.
        let pending = hold.due[Slot::Announce as usize].map_or(step, |(_, pending)| pending.min(step));
        let State::Holding(tenure) = &mut hold.state else { return };
        if tenure.defended_at.is_none_or(|defended_at| now >= defended_at + interval_ns) {
            tenure.defended_at = Some(now);
            self.arm(at, Slot::Announce, now, pending);
        }
    }

    fn heard_stranger(&mut self, at: Place, mac: Mac, saying: Saying, now: BoottimeNs) {
        if !self.rules.respects_strangers {
            return;
        }
        match self.holds[&at].state.clone() {
            State::Asking { .. } => self.contest(at, mac, now),
            State::Standby(standby) if saying == Saying::Answer => {
                self.hold_mut(at).state = State::Standby(Standby { stranger: Some(mac), ..standby });
            }
            State::Standby(_) | State::Suppressed | State::Leaving => {}
            State::Contested { stranger, unheard, silent } => {
                self.heard_again(at, stranger, unheard, mac);
                if silent > 0 {
                    self.watch_answered(at, now);
                }
            }
            State::Holding(_) => {
                self.tell_conflict(at, mac, now);
                self.defend(at, DEFEND_INTERVAL_NS, announcements::LAST_STEP, now);
            }
        }
    }

    /// Told as often as it is answered, whoever claims the unit: strangers can be made up faster than read about.
    fn tell_conflict(&mut self, at: Place, mac: Mac, now: BoottimeNs) {
        let State::Holding(tenure) = &mut self.hold_mut(at).state else { return };
        if tenure.conflict_told_at.is_none_or(|told_at| now >= told_at + DEFEND_INTERVAL_NS) {
            tenure.conflict_told_at = Some(now);
            self.changes.push((at, Change::Conflict(mac)));
        }
    }

    /// Of several strangers that answer, one is named for as long as it does.
    fn heard_again(&mut self, at: Place, stranger: Mac, unheard: u8, mac: Mac) {
        let is_other = stranger != mac;
        let (stranger, unheard) = match is_other {
            true if unheard < ASKS => (stranger, unheard),
            _ => (mac, 0),
        };
        let hold = self.hold_mut(at);
        let before = hold.entry();
        hold.state = State::Contested { stranger, unheard, silent: 0 };
        if hold.entry() != before {
            self.entry_changed(at);
            self.changes.push((at, Change::Contested(stranger)));
        }
    }

    pub(super) fn hold_mut(&mut self, at: Place) -> &mut Hold {
        self.holds.get_mut(&at).expect("a unit that is known")
    }
}
