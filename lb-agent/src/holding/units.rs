//! Units that come, change and go with the view.

use std::net::IpAddr;

use super::{
    Change, Holding, announcements,
    hold::{Hold, Part, Standby, State, Tenure, Wanted},
    timers::Slot,
};
use crate::model::{BoottimeNs, Place};

impl Holding {
    pub(super) fn add(&mut self, at: Place, wanted: Wanted, is_held: bool, now: BoottimeNs) {
        self.index(at, &wanted.addresses);
        let part = wanted.part;
        self.holds.insert(at, Hold::new(wanted, now));
        self.entry_changed(at);
        match part {
            Part::Candidate { .. } | Part::Leaver if is_held => {
                self.enter(at, State::Holding(Tenure::default()));
                self.arm(
                    at,
                    Slot::Announce,
                    now + announcements::REFRESH_INTERVAL_NS,
                    announcements::LAST_STEP,
                );
                if part == Part::Leaver {
                    self.leave(at, now);
                }
            }
            _ => self.begin(at, now),
        }
    }

    /// Follows a changed wish of a unit that is known.
    pub(super) fn update(&mut self, at: Place, new: Wanted, now: BoottimeNs) {
        self.entry_changed(at); // of the VIPs that it had
        let hold = self.holds.get_mut(&at).expect("the caller has seen it");
        let old = std::mem::replace(&mut hold.wanted, new.clone());
        hold.silent.clear();
        hold.answering = None;
        let is_held = hold.is_held();
        if old.addresses != new.addresses {
            self.unindex(at, &old.addresses);
            self.index(at, &new.addresses);
        }
        self.entry_changed(at); // of those that it has now
        self.need_changed(at);
        match (old.part, new.part) {
            (Part::Candidate { .. }, Part::Candidate { .. }) => self.reconsider(at, &old, now),
            (Part::Leaver, Part::Candidate { .. }) if is_held => {
                self.hold_mut(at).fit_since = now;
                self.enter(at, State::Holding(Tenure::default()));
                self.arm(at, Slot::Announce, now, announcements::LAST_STEP);
            }
            (_, Part::Leaver) => self.leave(at, now),
            (_, Part::Candidate { .. } | Part::Bystander) => self.begin(at, now),
        }
    }

    /// A candidate before and after, in another order, on another address, or with other VIPs.
    pub(super) fn reconsider(&mut self, at: Place, old: &Wanted, now: BoottimeNs) {
        let hold = self.holds.get_mut(&at).expect("the caller has seen it");
        match &mut hold.state {
            State::Holding(tenure) => {
                // A better rank's claim is explained now; any other is no newer for that.
                let predecessors = hold.wanted.predecessors(self.me);
                let challenger =
                    tenure.challenge.map(|challenge| challenge.by).filter(|by| predecessors.contains(by));
                // With another address the neighbours' caches are wrong.
                if old.mac != hold.wanted.mac || old.addresses != hold.wanted.addresses {
                    self.arm(at, Slot::Announce, now, announcements::FIRST_STEP);
                }
                if let Some(challenger) = challenger {
                    self.claimed_by_peer(at, challenger, now);
                }
            }
            State::Standby(standby) if standby.holder.is_some() => {
                let holder = standby.holder;
                *standby = Standby { holder, ..Standby::default() };
                self.evaluate(at, false, now);
            }
            State::Standby(_) | State::Suppressed => self.begin(at, now),
            State::Asking { .. } | State::Leaving | State::Contested { .. } => {}
        }
    }

    /// Where a unit's VIPs are found.
    pub(super) fn index(&mut self, at: Place, addresses: &[IpAddr]) {
        for &address in addresses.iter().filter(|&&address| address != at.address) {
            self.unit_of.insert(Place { ifindex: at.ifindex, address }, at);
        }
    }

    /// They are not found there any more, unless they belong to another unit by now.
    fn unindex(&mut self, at: Place, addresses: &[IpAddr]) {
        for &address in addresses {
            let vip = Place { ifindex: at.ifindex, address };
            if self.unit_of.get(&vip) == Some(&at) {
                self.unit_of.remove(&vip);
            }
        }
    }

    pub(super) fn forget(&mut self, at: Place) {
        self.entry_changed(at);
        let Some(mut hold) = self.holds.remove(&at) else { return };
        if hold.is_held() {
            self.changes.push((at, Change::Released));
        }
        self.timers.cancel_all(at, &mut hold.due);
        self.unindex(at, &hold.wanted.addresses);
        self.need_changed(at);
    }
}
