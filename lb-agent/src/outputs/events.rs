//! Events about what goes wrong with a Service.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{Conflict, Event, Failure, Observed, Split, event::Reason as About, is_spokesman};
use crate::cluster::{
    objects::ObjectName,
    selection::{Outcome, Reason, Selection, ServiceVerdict},
};

/// All that there is to tell, in order. An event is told once: by whoever remembers what was told, and by its name.
#[must_use]
pub fn events(me: &str, selection: &Selection, observed: &Observed) -> Vec<Event> {
    let mut events = heard(selection, observed);
    if is_spokesman(selection, me) {
        events.extend(selection.services.iter().flat_map(|(name, verdict)| of_service(name, verdict)));
    }
    events.sort_unstable();
    events
}

/// Those of `now` that have not been told, given what was told `before`. What is over is forgotten: it may come again.
pub fn news(before: &mut BTreeSet<Event>, now: Vec<Event>) -> Vec<Event> {
    let now: BTreeSet<Event> = now.into_iter().collect();
    let news = now.difference(before).cloned().collect();
    *before = now;
    news
}

type Subject<'a> = (&'a ObjectName, &'a Arc<ServiceVerdict>);

fn event((name, verdict): Subject<'_>, reason: About, note: String, number: u64) -> Event {
    Event { service: name.clone(), uid: verdict.uid.to_string(), reason, note, number, ..Event::default() }
}

/// What this node has found out by itself.
fn heard(selection: &Selection, observed: &Observed) -> Vec<Event> {
    let Observed { held: _, conflicts, splits, failures } = observed;
    if conflicts.is_empty() && splits.is_empty() && failures.is_empty() {
        return Vec::new();
    }
    let mut services: BTreeMap<IpAddr, Vec<Subject<'_>>> = BTreeMap::new();
    for subject in &selection.services {
        for address in subject.1.addresses.iter().filter(|_| is_ours(subject.1)) {
            services.entry(address.address).or_default().push(subject);
        }
    }
    let with = |vip: &IpAddr| services.get(vip).into_iter().flatten().copied();
    let mut events = Vec::new();
    for Conflict { vip, interface, mac, is_left, number } in conflicts {
        let what = match is_left {
            true => "the address is left to it",
            false => "the address is announced here all the same",
        };
        let note = format!(
            "{mac} claims {vip} on {interface}, and is none of the nodes; {what}. Find that host, or stop the other announcer"
        );
        events.extend(with(vip).map(|service| event(service, About::AddressConflict, note.clone(), *number)));
    }
    for Split { vip, interface, nodes, number } in splits {
        let nodes: Vec<&str> = nodes.iter().map(|node| &**node).collect();
        let note = format!(
            "{} hold {vip} on {interface} and do not hear each other; look at the switches and cables between them",
            nodes.join(" and ")
        );
        events.extend(with(vip).map(|service| event(service, About::SplitSegment, note.clone(), *number)));
    }
    for Failure { vip, why } in failures {
        events.extend(with(vip).map(|service| event(service, About::AnnounceFailed, why.clone(), 0)));
    }
    events
}

fn is_ours(verdict: &ServiceVerdict) -> bool {
    !matches!(verdict.outcome, Outcome::NotAnnounced(Reason::OtherClass { .. }))
}

/// What every node sees alike.
fn of_service(name: &ObjectName, verdict: &Arc<ServiceVerdict>) -> Vec<Event> {
    if !is_ours(verdict) {
        return Vec::new();
    }
    let failed = |note| event((name, verdict), About::AnnounceFailed, note, 0);
    let problems = verdict.problems.iter().cloned();
    problems.chain(trouble(&verdict.outcome)).map(failed).collect()
}

/// Why a Service is not announced, where that calls for somebody to do something. No endpoint is a state that passes, and
/// another's pools, or pools that nobody advertises here, may well be meant.
fn trouble(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Announced { .. } => None,
        Outcome::NotAnnounced(reason) => match reason {
            Reason::OtherClass { .. }
            | Reason::NoAddress
            | Reason::OutsideOfPools { .. }
            | Reason::NoAdvertisement { .. }
            | Reason::NoEndpoint => None,
            Reason::SeveralPools { .. }
            | Reason::AddressOfNode { .. }
            | Reason::NoCandidate
            | Reason::NoCommonCandidate { .. } => Some(reason.to_string()),
        },
    }
}
