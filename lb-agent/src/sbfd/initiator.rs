//! The initiator's sessions (RFC 7880, 7.3), as a function of what comes in and the time.
//!
//! A peer is down when `detect_mult` probes have gone out since its last answer, and the last of them has had its full
//! interval. That is judged only once everything has been read that had come in by then, and probes that are late are
//! never made up for: however starved or frozen the observer was, a peer that answers is not taken for dead.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::wire::bfd::{Control, Diag, Malformed, ON_LINK_TTL, State};

use super::{Liveness, SessionKey, Target, Timing};
use crate::model::BoottimeNs;

/// A probe to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// The session.
    pub key: SessionKey,
    /// The packet.
    pub packet: Control,
}

/// Packets that were no answers, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refusals {
    /// For no session, or one that is over.
    pub no_session: u64,
    /// TTL or Hop Limit other than 255: it may come from another link (RFC 5881, 5).
    pub off_link: u64,
    /// No Control packet that can be used (RFC 5880, 6.8.6).
    pub malformed: u64,
    /// With Demand set: another initiator's probe (RFC 7880, 7.3.1).
    pub not_reflected: u64,
    /// Discriminators other than those of the session's probes (RFC 7880, 7.3.2).
    pub discriminator: u64,
    /// In a state that reflectors are never in (RFC 7880, 7.2.2).
    pub state: u64,
}

#[derive(Clone, Debug)]
struct Session {
    target: Target,
    /// Random, so that nobody off the path can answer for the peer.
    my_discriminator: u32,
    liveness: Option<Liveness>,
    /// Probes since the last answer.
    unanswered: u8,
    /// When the next probe goes out, and what came before it is judged.
    due: BoottimeNs,
}

/// The sessions of one node.
#[derive(Debug)]
pub struct Initiator {
    timing: Timing,
    random: fastrand::Rng,
    sessions: BTreeMap<SessionKey, Session>,
    queue: BTreeSet<(BoottimeNs, SessionKey)>,
    changes: Vec<(SessionKey, Liveness)>,
    refusals: Refusals,
}

impl Initiator {
    /// No sessions yet. All random choices follow from `seed`.
    #[must_use]
    pub fn new(timing: Timing, seed: u64) -> Self {
        Self {
            timing,
            random: fastrand::Rng::with_seed(seed),
            sessions: BTreeMap::new(),
            queue: BTreeSet::new(),
            changes: Vec::new(),
            refusals: Refusals::default(),
        }
    }

    /// Begins and ends sessions; those that are wanted as before are not touched.
    pub fn set_sessions(&mut self, wanted: &BTreeMap<SessionKey, Target>, now: BoottimeNs) {
        let is_over = |key: &SessionKey, session: &Session| wanted.get(key) != Some(&session.target);
        let over: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(key, session)| is_over(key, session))
            .map(|(&key, _)| key)
            .collect();
        for key in over {
            if let Some(session) = self.sessions.remove(&key) {
                self.queue.remove(&(session.due, key));
            }
        }
        self.changes.retain(|(key, _)| wanted.contains_key(key));
        for (&key, &target) in wanted {
            if !self.sessions.contains_key(&key) {
                let my_discriminator = self.random.u32(1..);
                let session = Session { target, my_discriminator, liveness: None, unanswered: 0, due: now };
                self.sessions.insert(key, session);
                self.queue.insert((now, key));
            }
        }
    }

    /// When [`Self::due`] has something next.
    #[must_use]
    pub fn next_due(&self) -> Option<BoottimeNs> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Judges the peers whose time is over, and says what to send. Only to be called once everything has been handed to
    /// [`Self::received`] that had come in by `now`.
    pub fn due(&mut self, now: BoottimeNs) -> Vec<Probe> {
        let mut probes = Vec::new();
        while let Some(&(at, key)) = self.queue.first() {
            if at > now {
                break;
            }
            self.queue.pop_first();
            probes.extend(self.probe(key, now));
        }
        probes
    }

    fn probe(&mut self, key: SessionKey, now: BoottimeNs) -> Option<Probe> {
        let Timing { interval_ns, detect_mult } = self.timing;
        let session = self.sessions.get_mut(&key)?;
        if session.unanswered >= detect_mult && session.liveness != Some(Liveness::Down) {
            session.liveness = Some(Liveness::Down);
            self.changes.push((key, Liveness::Down));
        }
        session.unanswered = session.unanswered.saturating_add(1);
        // RFC 5880, 6.8.7: shortened at random, so that sessions do not run in step; but not the one that decides.
        let is_last = session.unanswered == detect_mult;
        let shortened_by = if is_last { 0 } else { self.random.u64(0..=interval_ns / 4) };
        session.due = now + interval_ns - shortened_by;
        self.queue.insert((session.due, key));
        let state = match session.liveness {
            Some(Liveness::Up { .. }) => State::Up,
            Some(Liveness::Down | Liveness::AdminDown) | None => State::Down,
        };
        let interval_us = u32::try_from(interval_ns / 1_000).unwrap_or(u32::MAX);
        let packet = Control::probe(
            state,
            session.my_discriminator,
            session.target.your_discriminator,
            interval_us,
            detect_mult,
        );
        Some(Probe { key, packet })
    }

    /// Takes a packet that came in for a session from its peer's port 7784 (RFC 7881, 3), with its TTL. What is no
    /// answer is counted and changes nothing.
    pub fn received(&mut self, key: SessionKey, ttl: u8, bytes: &[u8]) {
        match self.liveness_by(key, ttl, bytes) {
            Ok(liveness) => self.answered(key, liveness),
            Err(reason) => *reason(&mut self.refusals) += 1,
        }
    }

    /// What a packet says about the peer, or the counter of what is wrong with it.
    fn liveness_by(
        &self,
        key: SessionKey,
        ttl: u8,
        bytes: &[u8],
    ) -> Result<Liveness, fn(&mut Refusals) -> &mut u64> {
        let session = self.sessions.get(&key).ok_or(no_session as fn(&mut Refusals) -> &mut u64)?;
        if ttl != ON_LINK_TTL {
            return Err(|refusals| &mut refusals.off_link);
        }
        let control =
            Control::parse(bytes).map_err(|_: Malformed| malformed as fn(&mut Refusals) -> &mut u64)?;
        if control.is_demand() {
            return Err(|refusals| &mut refusals.not_reflected);
        }
        if control.your_discriminator() != session.my_discriminator
            || control.my_discriminator() != session.target.your_discriminator
        {
            return Err(|refusals| &mut refusals.discriminator);
        }
        match control.state() {
            State::Up => Ok(Liveness::Up { is_agent_seen: control.diag() == Diag::None as u8 }),
            State::AdminDown => Ok(Liveness::AdminDown),
            State::Down | State::Init => Err(|refusals| &mut refusals.state),
        }
    }

    fn answered(&mut self, key: SessionKey, liveness: Liveness) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.unanswered = 0;
        if session.liveness != Some(liveness) {
            session.liveness = Some(liveness);
            self.changes.push((key, liveness));
        }
    }

    /// Verdicts since the last call, in the order in which they came about.
    pub fn take_changes(&mut self) -> Vec<(SessionKey, Liveness)> {
        std::mem::take(&mut self.changes)
    }

    /// How a peer is; `None` before the first verdict.
    #[must_use]
    pub fn liveness(&self, key: SessionKey) -> Option<Liveness> {
        self.sessions.get(&key)?.liveness
    }

    /// Packets that were no answers.
    #[must_use]
    pub const fn refusals(&self) -> Refusals {
        self.refusals
    }
}

fn no_session(refusals: &mut Refusals) -> &mut u64 {
    &mut refusals.no_session
}

fn malformed(refusals: &mut Refusals) -> &mut u64 {
    &mut refusals.malformed
}

#[cfg(test)]
mod tests;
