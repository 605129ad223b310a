//! Who holds a VIP: what this node claims, asks for or leaves to others, as a function of what it is told and
//! the time.
//!
//! A VIP that is new here, or whose lease lapsed, is asked for on the wire before it is announced
//! ([`ASKS`] requests, [`ASK_INTERVAL_NS`] apart); meanwhile it is suppressed. If another station answers, the
//! VIP is left to it until it falls silent.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    maps::{Role, VipEntry},
    wire::ethernet::Mac,
};

use crate::{
    announcements::{self, Form},
    model::{BoottimeNs, Place},
};

/// Requests without an answer before a VIP is taken.
pub const ASKS: u8 = 3;
/// Time that each of them is given.
pub const ASK_INTERVAL_NS: u64 = 50_000_000;
/// Time between the requests that watch a stranger.
pub const WATCH_INTERVAL_NS: u64 = 2_000_000_000;
/// A claim is answered by an announcement no more often than this (RFC 5227, 2.4: DEFEND_INTERVAL).
pub const DEFEND_INTERVAL_NS: u64 = 10_000_000_000;

/// What is to happen to one VIP on one interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// To be announced, with this link-layer address.
    Announce {
        /// The interface's own link-layer address.
        mac: Mac,
        /// Whether to ask before: not where a proxy-ARP router would answer for any address.
        ask: bool,
    },
    /// Known, and not to be answered here.
    Suppress {
        /// The interface's own link-layer address.
        mac: Mac,
    },
}

impl Wish {
    const fn mac(&self) -> Mac {
        match *self {
            Self::Announce { mac, .. } | Self::Suppress { mac } => mac,
        }
    }
}

/// A frame to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// A request for the VIP from the node's own address.
    Ask,
    /// An announcement in this form.
    Announce(Form),
}

/// A change that an operator wants to hear of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The VIP is announced here from now on.
    Taken,
    /// The VIP is not announced here any more.
    Released,
    /// Another station answers for the VIP.
    Contested(Mac),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// `asked` requests are out, the last of them waits for its answer.
    Asking { asked: u8 },
    /// Announced here.
    Holding { defended_at: Option<BoottimeNs> },
    /// Strangers answer, this one among them; `unheard` requests in a row went without its answer, `silent` without
    /// any.
    Contested { stranger: Mac, unheard: u8, silent: u8 },
    /// Not to be announced.
    Suppressed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Hold {
    wish: Wish,
    state: State,
    /// This VIP's place in the queue.
    due: Option<(BoottimeNs, u8)>,
}

/// The holding state of all VIPs.
#[derive(Debug, Default)]
pub struct Holding {
    holds: BTreeMap<Place, Hold>,
    /// What to do next, by time, then by step: all first announcements go before any second one.
    queue: BTreeSet<(BoottimeNs, u8, Place)>,
    changes: Vec<(Place, Change)>,
    version: u64,
}

impl Holding {
    /// Follows a new view of what is wanted. VIPs that `is_held` names go on being held without being asked for:
    /// they stood in the map when this agent began, under a lease that has not ended.
    pub fn follow(
        &mut self,
        wishes: &BTreeMap<Place, Wish>,
        is_held: impl Fn(&Place) -> bool,
        now: BoottimeNs,
    ) {
        let gone: Vec<Place> =
            self.holds.keys().filter(|place| !wishes.contains_key(place)).copied().collect();
        for place in gone {
            self.forget(place);
        }
        for (&place, &wish) in wishes {
            match self.holds.get(&place) {
                Some(hold) if hold.wish == wish => {}
                Some(&Hold { wish: old, state, .. }) if keeps_its_state(old, wish) => {
                    // With another link-layer address the neighbours' caches are wrong: announced anew.
                    let anew = matches!(state, State::Holding { .. }) && old.mac() != wish.mac();
                    self.set(place, wish, state, anew.then_some(announcements::FIRST_STEP), now);
                }
                None if is_held(&place) && matches!(wish, Wish::Announce { .. }) => {
                    let adopted = State::Holding { defended_at: None };
                    let refresh_at = now + announcements::REFRESH_INTERVAL_NS;
                    self.set(place, wish, adopted, Some(announcements::LAST_STEP), refresh_at);
                }
                _ => self.begin(place, wish, now),
            }
        }
    }

    /// A lapsed lease: whatever was held is asked for as by a newcomer.
    pub fn start_afresh(&mut self, now: BoottimeNs) {
        let holds: Vec<(Place, Wish)> = self.holds.iter().map(|(&place, hold)| (place, hold.wish)).collect();
        for (place, wish) in holds {
            self.begin(place, wish, now);
        }
    }

    /// Another station said on the wire that it has the VIP: it answered a request, or announced.
    pub fn heard(&mut self, place: Place, station: Mac, now: BoottimeNs) {
        let Some(&Hold { wish, state, .. }) = self.holds.get(&place) else { return };
        match state {
            State::Asking { .. } => {
                self.changes.push((place, Change::Contested(station)));
                let state = State::Contested { stranger: station, unheard: 0, silent: 0 };
                self.set(place, wish, state, Some(0), now + WATCH_INTERVAL_NS);
            }
            // Of several that answer, one is named for as long as it does.
            State::Contested { stranger, unheard, .. } if stranger != station && unheard < ASKS => {
                self.set(place, wish, State::Contested { stranger, unheard, silent: 0 }, None, now);
            }
            State::Contested { stranger, .. } => {
                if stranger != station {
                    self.changes.push((place, Change::Contested(station)));
                }
                let state = State::Contested { stranger: station, unheard: 0, silent: 0 };
                self.set(place, wish, state, None, now);
            }
            State::Holding { defended_at } => {
                if defended_at.is_none_or(|at| now >= at + DEFEND_INTERVAL_NS) {
                    self.set(
                        place,
                        wish,
                        State::Holding { defended_at: Some(now) },
                        Some(announcements::LAST_STEP),
                        now,
                    );
                }
            }
            State::Suppressed => {}
        }
    }

    /// Takes what is due at `now` off the queue, at most `limit` messages, in the order in which they must go out.
    pub fn due(&mut self, now: BoottimeNs, limit: usize) -> Vec<(Place, Message)> {
        let mut messages = Vec::new();
        while messages.len() < limit {
            let Some(&(at, step, place)) = self.queue.first() else { break };
            if at > now {
                break;
            }
            messages.extend(self.step(place, step, now).map(|message| (place, message)));
        }
        messages
    }

    /// When [`Self::due`] has something next.
    #[must_use]
    pub fn next_due(&self) -> Option<BoottimeNs> {
        self.queue.first().map(|&(at, _, _)| at)
    }

    /// Whether answers from other stations matter now.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.holds.values().any(|hold| matches!(hold.state, State::Asking { .. } | State::Contested { .. }))
    }

    /// Whether some VIP is being asked for.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.holds.values().any(|hold| matches!(hold.state, State::Asking { .. }))
    }

    /// Whether some VIP is held, or was left to others on account of what was heard under the lease.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.holds.values().any(|hold| matches!(hold.state, State::Holding { .. }))
    }

    /// Counts up with every change to [`Self::desired`].
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What the kernel's map has to say.
    #[must_use]
    pub fn desired(&self) -> BTreeMap<Place, VipEntry> {
        self.holds.iter().map(|(&place, hold)| (place, hold.entry())).collect()
    }

    /// Changes since the last call, in the order in which they came about.
    pub fn take_changes(&mut self) -> Vec<(Place, Change)> {
        std::mem::take(&mut self.changes)
    }

    fn step(&mut self, place: Place, step: u8, now: BoottimeNs) -> Option<Message> {
        let &Hold { wish, state, .. } = self.holds.get(&place)?;
        match state {
            State::Asking { asked: ASKS } => {
                self.take(place, wish, now);
                None
            }
            State::Asking { asked } => {
                self.set(place, wish, State::Asking { asked: asked + 1 }, Some(0), now + ASK_INTERVAL_NS);
                Some(Message::Ask)
            }
            State::Contested { silent: ASKS, .. } => {
                self.begin(place, wish, now);
                None
            }
            State::Contested { stranger, unheard, silent } => {
                let state =
                    State::Contested { stranger, unheard: unheard.saturating_add(1), silent: silent + 1 };
                self.set(place, wish, state, Some(0), now + WATCH_INTERVAL_NS);
                Some(Message::Ask)
            }
            State::Holding { .. } => {
                let (form, wait_ns, next) = announcements::step(step);
                self.set(place, wish, state, Some(next), now + wait_ns);
                Some(Message::Announce(form))
            }
            State::Suppressed => {
                self.set(place, wish, state, None, now);
                None
            }
        }
    }

    fn begin(&mut self, place: Place, wish: Wish, now: BoottimeNs) {
        if self.is_held(place) {
            self.changes.push((place, Change::Released));
        }
        match wish {
            Wish::Suppress { .. } => self.set(place, wish, State::Suppressed, None, now),
            Wish::Announce { ask: true, .. } => {
                self.set(place, wish, State::Asking { asked: 0 }, Some(0), now)
            }
            Wish::Announce { ask: false, .. } => self.take(place, wish, now),
        }
    }

    fn take(&mut self, place: Place, wish: Wish, now: BoottimeNs) {
        self.changes.push((place, Change::Taken));
        self.set(place, wish, State::Holding { defended_at: None }, Some(announcements::FIRST_STEP), now);
    }

    fn forget(&mut self, place: Place) {
        if self.is_held(place) {
            self.changes.push((place, Change::Released));
        }
        self.version += 1;
        if let Some(Hold { due: Some((at, step)), .. }) = self.holds.remove(&place) {
            self.queue.remove(&(at, step, place));
        }
    }

    fn is_held(&self, place: Place) -> bool {
        self.holds.get(&place).is_some_and(|hold| matches!(hold.state, State::Holding { .. }))
    }

    /// Replaces wish and state; a `step` of `None` keeps the place in the queue, if the state still needs one.
    fn set(&mut self, place: Place, wish: Wish, state: State, step: Option<u8>, at: BoottimeNs) {
        let kept = self.holds.get(&place).and_then(|hold| hold.due);
        if let Some((at, step)) = kept {
            self.queue.remove(&(at, step, place));
        }
        let due = match state {
            State::Suppressed => None,
            State::Asking { .. } | State::Holding { .. } | State::Contested { .. } => {
                step.map(|step| (at, step)).or(kept)
            }
        };
        if let Some((at, step)) = due {
            self.queue.insert((at, step, place));
        }
        let hold = Hold { wish, state, due };
        let old = self.holds.insert(place, hold);
        self.version += u64::from(old.is_none_or(|old| old.entry() != hold.entry()));
    }
}

impl Hold {
    fn entry(&self) -> VipEntry {
        let mac = self.wish.mac();
        match self.state {
            State::Holding { .. } => VipEntry::new(Role::Announce, mac),
            State::Asking { .. } | State::Suppressed => VipEntry::new(Role::Suppress, mac),
            State::Contested { stranger, .. } => VipEntry::new(Role::Contested, stranger),
        }
    }
}

/// Whether a changed wish leaves the state as it is: only the interface's address, or the need to ask, is new.
fn keeps_its_state(old: Wish, new: Wish) -> bool {
    matches!(
        (old, new),
        (Wish::Announce { .. }, Wish::Announce { .. }) | (Wish::Suppress { .. }, Wish::Suppress { .. })
    )
}

#[cfg(test)]
mod tests;
