//! Events about what goes wrong with a Service.

use std::{net::IpAddr, sync::Arc};

use super::{Event, event::Reason as About, observed::View};
use crate::{
    cluster::{
        objects::ObjectName,
        selection::{Outcome, Reason, ServiceVerdict},
    },
    holding::Stance,
    model::MacText,
    report::{History, Told, UnitReport},
};

/// All that there is to tell of a Service, in order. An event is told once: by whoever remembers what was told, and by its name.
#[must_use]
pub fn of_service(view: &View<'_>, name: &ObjectName, verdict: &ServiceVerdict) -> Vec<Event> {
    if !is_ours(verdict) {
        return Vec::new();
    }
    let event = |(reason, note, number)| Event {
        service: name.clone(),
        uid: verdict.uid.to_string(),
        reason,
        note,
        number,
        ..Event::default()
    };
    let mut events: Vec<Event> = heard(view, verdict).chain(seen_by_all(view, verdict)).map(event).collect();
    events.sort_unstable();
    events.dedup();
    events
}

/// Those of `now` that were not told `before`. What is over is forgotten: it may come again.
pub fn news<'a>(before: &'a [Event], now: &'a [Event]) -> impl Iterator<Item = &'a Event> {
    now.iter().filter(|event| !before.contains(event))
}

type Said = (About, String, u64);

/// What this node has found out by itself.
fn heard(view: &View<'_>, verdict: &ServiceVerdict) -> impl Iterator<Item = Said> {
    let of_vip = |vip: IpAddr| {
        let said = move |(interface, unit): (&Arc<str>, &UnitReport)| {
            [conflict(vip, interface, unit), split(vip, interface, unit)].into_iter().flatten()
        };
        view.led_by(vip).flat_map(said)
    };
    let failure = match &verdict.outcome {
        Outcome::Announced { unit, .. } => view.failure(unit),
        Outcome::NotAnnounced(_) => None,
    };
    let failure = failure.map(|why| (About::AnnounceFailed, why, 0));
    verdict.addresses.iter().flat_map(move |address| of_vip(address.address)).chain(failure)
}

/// A stranger that has a VIP.
fn conflict(vip: IpAddr, interface: &str, unit: &UnitReport) -> Option<Said> {
    let (mac, what, number) = match (&unit.stance, &unit.history.conflict) {
        (Stance::Contested(mac), _) => (*mac, "the address is left to it", 0),
        (_, Some(Told { what: mac, number })) => {
            (*mac, "the address is announced here all the same", *number)
        }
        (_, None) => return None,
    };
    let note = format!(
        "{} claims {vip} on {interface}, and is none of the nodes; {what}. Find that host, or stop the other announcer",
        MacText(mac)
    );
    Some((About::AddressConflict, note, number))
}

/// Two peers that hold the same VIP.
fn split(vip: IpAddr, interface: &str, unit: &UnitReport) -> Option<Said> {
    let UnitReport { history: History { split: Some(Told { what: (one, other), number }), .. }, .. } = unit
    else {
        return None;
    };
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let note = format!(
        "{first} and {second} hold {vip} on {interface} and do not hear each other; look at the switches and cables between \
         them"
    );
    Some((About::SplitSegment, note, *number))
}

fn is_ours(verdict: &ServiceVerdict) -> bool {
    !matches!(verdict.outcome, Outcome::NotAnnounced(Reason::OtherClass { .. }))
}

/// What every node sees alike, if this one is to tell it.
fn seen_by_all(view: &View<'_>, verdict: &ServiceVerdict) -> impl Iterator<Item = Said> {
    let speaks = view.speaks_for_all;
    let problems = verdict.problems.iter().cloned().chain(trouble(&verdict.outcome));
    problems.filter(move |_| speaks).map(|note| (About::AnnounceFailed, note, 0))
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
