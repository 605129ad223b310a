use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    l2_status::{Existing, Status},
    observed::{Units, View},
    state::State,
    *,
};
use crate::{
    cluster::{
        fixtures::*,
        index::Index,
        objects::{ObjectName, Pool, Service},
        selection::{Options, Selection, Selector, ServiceVerdict},
    },
    holding::Stance,
    model::Place,
    report::{History, Report, UnitReport},
};

mod about_services;
mod observations;
mod states;
mod statuses;

const ME: &str = "n1";

fn select(index: &Index) -> Arc<Selection> {
    Selector::default().select(index.cluster(), &Options { me: ME.to_owned(), ..Options::default() })
}

/// Two Services that all nodes may announce, of which the second is restricted to `eth1`.
fn two_services() -> Index {
    let mut index = three_nodes();
    index.put("all", advertisement().services("app=web"));
    index.put("b", advertisement().services("app=dns").on(&["eth1", "eth2"]));
    let with_uid = |uid: &str, service: Service| Service { uid: uid.to_owned(), ..service };
    let web = service(&["10.0.0.1", "fd00::1"]).labelled("app=web");
    index.serve("default/web", with_uid("u-web", web), &["n2"]);
    let dns = service(&["10.0.0.2"]).labelled("app=dns");
    index.serve("default/dns", with_uid("u-dns", dns), &["n2"]);
    index
}

/// Interface, VIPs, and how the node stands to them.
type Unit<'a> = (u32, &'a [&'a str], Stance<Arc<str>>, History);

/// Of a node with `eth0`, `eth1` and `eth2`.
fn report(units: &[Unit<'_>]) -> Report {
    let unit = |(ifindex, vips, stance, history): &Unit<'_>| {
        let vips: Arc<[IpAddr]> = vips.iter().map(|vip| ip(vip)).collect();
        let at = Place { ifindex: *ifindex, address: vips[0] };
        (at, Arc::new(UnitReport { vips, stance: stance.clone(), history: history.clone() }))
    };
    Report {
        node: ME.into(),
        has_lease: true,
        interfaces: [(2, "eth0"), (3, "eth1"), (4, "eth2")].map(|(index, name)| (index, name.into())).into(),
        units: Arc::new(units.iter().map(unit).collect()),
        ..Report::default()
    }
}

/// Of a node that holds these VIPs on these interfaces.
fn holding(held: &[(&str, &[u32])]) -> Report {
    let on = |(vip, interfaces): &(&str, &[u32])| {
        let unit = |&ifindex| (Place { ifindex, address: ip(vip) }, unit(&[vip], Stance::Held));
        interfaces.iter().map(unit).collect::<Vec<_>>()
    };
    Report { units: Arc::new(held.iter().flat_map(on).collect()), ..report(&[]) }
}

fn unit(vips: &[&str], stance: Stance<Arc<str>>) -> Arc<UnitReport> {
    Arc::new(UnitReport {
        vips: vips.iter().map(|vip| ip(vip)).collect(),
        stance,
        history: History::default(),
    })
}

/// What comes of each Service as a node sees it, and of each that has a status.
fn of_each<T>(
    me: &str,
    (selection, report): (&Selection, &Report),
    with_status: impl IntoIterator<Item = ObjectName>,
    of_service: impl Fn(&View<'_>, &ObjectName, Option<&ServiceVerdict>) -> Vec<T>,
) -> Vec<T> {
    let mut units = Units::default();
    units.follow(&Report::default(), report);
    let me = Arc::from(me);
    let view = View::new(&me, is_spokesman(selection, &me), report, &units);
    let services: BTreeSet<ObjectName> = selection.services.keys().cloned().chain(with_status).collect();
    let verdict = |service| selection.services.get(service).map(|verdict| &**verdict);
    services.iter().flat_map(|service| of_service(&view, service, verdict(service))).collect()
}

/// The events that there are to tell.
fn events(me: &str, index: &Index, report: &Report) -> Vec<Event> {
    of_each(me, (&select(index), report), [], |view, service, verdict| {
        verdict.map(|verdict| events::of_service(view, service, verdict)).unwrap_or_default()
    })
}

#[test]
fn the_first_node_that_is_fit_speaks_for_all() {
    let mut index = three_nodes();
    let spokesmen = |index: &Index| ["n1", "n2", "n3"].map(|me| is_spokesman(&select(index), me));
    assert_eq!(spokesmen(&index), [true, false, false]);
    index.put("n1", node("192.168.0.1").not_ready());
    assert_eq!(spokesmen(&index), [false, true, false]);
    index.put("n0", node("192.168.0.9"));
    assert_eq!(spokesmen(&index), [false, true, false], "n0 has no agent");
}
