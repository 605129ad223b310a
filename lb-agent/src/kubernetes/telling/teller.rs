//! What is to be written at each look, and what becomes of it, as a value: no IO, and time is an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::{
    ledger::{Change, Ledger},
    orphans::{Orphans, Search},
};
use crate::{
    cluster::{objects::ObjectName, selection::Selection, trim},
    crds::ConfigurationState,
    kubernetes::writing::{EVENTS, Outcome, rule},
    model::BoottimeNs,
    outputs::{
        Event, Write,
        event::Reason,
        l2_status::Existing,
        machines::Machines,
        state::{self, State},
    },
    report::Report,
};

/// What was written shows in the watch by then, or something else has happened to it.
const SHOWN_WITHIN_NS: BoottimeNs = 10_000_000_000;
/// What was refused is tried again after that.
const REFUSED_FOR_NS: BoottimeNs = 60_000_000_000;
/// An agent that has only begun may not have told its addresses yet: its peers take it for a stranger until then.
const CONFLICT_STANDS_NS: BoottimeNs = 5_000_000_000;
/// For each node: every agent judges the configuration alike, writes what it makes of it, and hears what the others write. Not
/// all of them need to do so at once.
const SPREAD_NS: BoottimeNs = 50_000_000;

/// What should stand in the API, and what stands there for the agent as a whole.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// What follows from the cluster.
    pub selection: &'a Arc<Selection>,
    /// What the loop holds.
    pub report: &'a Arc<Report>,
    /// The ConfigurationState of this node.
    pub state: Option<&'a ConfigurationState>,
}

/// Finds what is to be written.
pub struct Teller {
    me: String,
    machines: Machines,
    ledger: Ledger,
    /// Events that are still to be written.
    pending: BTreeSet<Event>,
    /// Conflicts, each with when it is told if it still stands by then.
    unripe: BTreeMap<Event, BoottimeNs>,
    /// ServiceL2Statuses that were created and do not show yet, by their Service: with the events that go with them.
    created: BTreeMap<ObjectName, (Event, BoottimeNs)>,
    /// Events of ServiceL2Statuses of which it is not known whether they were created: an answer may be lost, and what was
    /// asked for be done.
    doubtful: BTreeMap<ObjectName, Event>,
    /// The version of the ConfigurationState that was written over and still shows, and for how long that may be.
    written_over: Option<(Option<String>, BoottimeNs)>,
    /// How long this agent waits with what all have to say, as a part of how long any of them does.
    share: f64,
    /// When what it makes of the configuration is to be written, if it is something new.
    state_due: Option<BoottimeNs>,
    orphans: Orphans,
    /// Kinds that no rule allows to be written.
    forbidden: BTreeMap<&'static str, BoottimeNs>,
    /// Objects that the API does not take.
    refused: BTreeMap<String, BoottimeNs>,
}

impl Teller {
    /// For the agent of a node, on a machine. Nothing has been told yet. `share` is from 0 to 1, by chance.
    pub fn new(me: &str, machine: String, share: f64) -> Self {
        Self {
            me: me.to_owned(),
            machines: Machines::new(machine),
            ledger: Ledger::new(me),
            pending: BTreeSet::new(),
            unripe: BTreeMap::new(),
            created: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            written_over: None,
            share,
            state_due: None,
            orphans: Orphans::default(),
            forbidden: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// What to list before the next look.
    pub fn search(&mut self, selection: &Selection) -> Option<Search> {
        self.orphans.search(&self.me, selection)
    }

    /// That was found.
    pub fn found(&mut self, search: Search, found: BTreeMap<String, Existing>) {
        self.orphans.found(&self.me, search, found);
    }

    /// Takes note of a ServiceL2Status of this node.
    pub fn take(&mut self, change: Change) {
        self.ledger.take(change);
    }

    /// What is to be written now, the most important first, and no more than `most`.
    pub fn writes(&mut self, sight: Sight<'_>, now: BoottimeNs, time: &Time, most: usize) -> Vec<Write> {
        self.forbidden.retain(|_, until| now < *until);
        self.refused.retain(|_, until| now < *until);
        let events = self.ledger.follow(sight.selection, sight.report);
        self.note(events, now);
        self.meet(now);
        self.orphans.sift(sight.selection);
        // Others need this node's addresses to see that it lives.
        let state = self.state(sight, now, time).map(Write::SetState).filter(|state| self.may(state));
        let room = most.saturating_sub(state.iter().len());
        // Neither waits until all of the other are written.
        let for_events = self.events().take(room / 2).count();
        let mut writes: Vec<Write> = state.into_iter().collect();
        writes.extend(self.statuses().take(room - for_events));
        let room = most.saturating_sub(writes.len());
        writes.extend(self.events().take(room).cloned().map(Write::Event));
        writes
    }

    /// What is to be written of ServiceL2Statuses, but for Services with a write under way.
    fn statuses(&self) -> impl Iterator<Item = Write> {
        let own = self.ledger.unsaid().filter(|(service, _)| !self.created.contains_key(*service));
        let own = own.filter(|(_, write)| self.may(write)).map(|(_, write)| write.clone());
        let orphans = self.orphans.known().filter(|_| self.ledger.speaks_for_all());
        let orphans = orphans.map(|object| Write::DeleteStatus { object: object.clone() });
        own.chain(orphans.filter(|write| self.may(write)))
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.pending.iter().filter(|_| !self.forbidden.contains_key(EVENTS))
    }

    /// Whether nothing is known that speaks against it.
    fn may(&self, write: &Write) -> bool {
        !self.forbidden.contains_key(rule(write).1)
            && (self.refused.is_empty() || !self.refused.contains_key(&object(write)))
    }

    /// Takes note of what became of a write, with the ConfigurationState as it was when that was found.
    pub fn wrote(
        &mut self,
        write: &Write,
        outcome: &Outcome,
        state: Option<&ConfigurationState>,
        now: BoottimeNs,
    ) {
        match (outcome, write) {
            (Outcome::Later(_) | Outcome::Unanswered(_), Write::CreateStatus(status, event)) => {
                self.doubtful.insert(status.service.clone(), event.clone());
            }
            (Outcome::Later(_) | Outcome::Unanswered(_), _) => {}
            (Outcome::Forbidden(_), _) => _ = self.forbidden.insert(rule(write).1, now + REFUSED_FOR_NS),
            // It happened, or its Service is gone, or nobody will ever take it: none of that is to be told again.
            (_, Write::Event(event)) => _ = self.pending.remove(event),
            (Outcome::Refused(_), _) => _ = self.refused.insert(object(write), now + REFUSED_FOR_NS),
            (_, Write::DeleteStatus { object }) => {
                self.orphans.forget(object);
                if *outcome == Outcome::Done {
                    self.ledger.take(Change::Gone(object.clone()));
                }
            }
            (Outcome::Done, Write::SetStatus { object, status }) => {
                self.ledger.said(object, &status.interfaces);
            }
            (Outcome::Done, Write::CreateStatus(status, event)) => {
                self.doubtful.remove(&status.service);
                self.created.insert(status.service.clone(), (event.clone(), now + SHOWN_WITHIN_NS));
            }
            (Outcome::Done, Write::SetState(_)) => {
                self.written_over =
                    Some((state.and_then(ConfigurationState::resource_version), now + SHOWN_WITHIN_NS));
            }
            (Outcome::Overtaken, _) => {}
        }
    }

    /// When to look again although nothing has changed.
    pub fn due(&self) -> Option<BoottimeNs> {
        let shown = self.created.values().map(|(_, until)| until);
        let shown = shown.chain(self.written_over.iter().map(|(_, until)| until)).chain(&self.state_due);
        let refused = self.forbidden.values().chain(self.refused.values());
        shown.chain(refused).chain(self.unripe.values()).min().copied()
    }

    /// The machines whose agents call themselves by this node's name, if there are several.
    pub fn namesakes(&self) -> Option<String> {
        self.machines.problem(&self.me)
    }

    /// Takes note of new events, and of conflicts that still stand.
    fn note(&mut self, events: Vec<Event>, now: BoottimeNs) {
        for event in events {
            match event.reason {
                Reason::AddressConflict => _ = self.unripe.insert(event, now + CONFLICT_STANDS_NS),
                Reason::NodeAssigned | Reason::AnnounceFailed | Reason::SplitSegment => {
                    self.pending.insert(event);
                }
            }
        }
        let Self { unripe, pending, ledger, .. } = self;
        unripe.retain(|event, due| {
            let stands = ledger.is_to_be_told(event);
            if stands && *due <= now {
                pending.insert(event.clone());
            }
            stands && now < *due
        });
    }

    /// What was created shows now, or does not and will not.
    fn meet(&mut self, now: BoottimeNs) {
        let Self { ledger, pending, .. } = self;
        self.created.retain(|service, (event, until)| {
            let is_whole = |existing: &Existing| existing.interfaces.is_some() || now >= *until;
            let shown = ledger.statuses_of(service).find(|(_, existing)| is_whole(existing));
            if let Some((object, _)) = shown {
                pending.insert(event.clone().on(object));
            }
            shown.is_none() && now < *until
        });
        // Told twice is told once: the event has its name from the object's.
        self.doubtful.retain(|service, event| match ledger.statuses_of(service).next() {
            Some((object, _)) => {
                pending.insert(event.clone().on(object));
                false
            }
            None => ledger.is_unsaid(service),
        });
    }

    fn state(&mut self, sight: Sight<'_>, now: BoottimeNs, time: &Time) -> Option<State> {
        if let Some((before, until)) = &self.written_over {
            if sight.state.and_then(ConfigurationState::resource_version) == *before && now < *until {
                return None;
            }
            self.written_over = None;
            self.machines.establish();
        }
        self.machines.look(sight.state);
        let mut addresses: Vec<IpAddr> = sight.report.addresses.iter().copied().collect();
        if self.machines.are_several() {
            // Each of them has its own, and none may take away what the other one says.
            let told = sight.state.and_then(|state| trim::agent_addresses(&state.metadata));
            addresses.extend(told.into_iter().flat_map(|told| told.addresses));
        }
        let problems: Vec<String> =
            sight.report.config_problem.iter().cloned().chain(self.namesakes()).collect();
        let own = state::Own { problems: &problems, addresses: &addresses, machines: self.machines.names() };
        let state = state::write(&self.me, sight.selection, own, sight.state, time);
        let is_judgement = |state: &State| sight.state.is_some_and(|there| state::is_known_by(there, state));
        self.state_due = state.as_ref().filter(|state| is_judgement(state)).map(|_| {
            let nodes = u32::try_from(sight.selection.nodes.len()).unwrap_or(u32::MAX);
            let spread = Duration::from_nanos(SPREAD_NS).saturating_mul(nodes).mul_f64(self.share);
            self.state_due.unwrap_or(now + u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX))
        });
        state.filter(|_| self.state_due.is_none_or(|due| due <= now))
    }
}

/// What a write is about, whatever it says.
fn object(write: &Write) -> String {
    match write {
        Write::CreateStatus(status, _) => format!("a ServiceL2Status for {}", status.service),
        Write::SetStatus { object, .. } | Write::DeleteStatus { object } => object.clone(),
        Write::Event(event) => event.object_name(),
        Write::SetState(state) => state.object.clone(),
    }
}

#[cfg(test)]
mod tests;
