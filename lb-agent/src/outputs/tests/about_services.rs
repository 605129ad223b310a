//! Events about what goes wrong.

use lb_common::wire::ethernet::Mac;

use super::*;
use crate::{
    outputs::{event::Reason, events::news},
    report::Told,
};

const STRANGER: Mac = [2, 0, 0, 0, 0, 9];

fn event(service: &str, uid: &str, reason: Reason, note: &str, number: u64) -> Event {
    let [note, uid] = [note, uid].map(str::to_owned);
    Event { service: named(service), uid, reason, note, number, ..Event::default() }
}

fn conflict(number: u64) -> History {
    History { conflict: Some(Told { what: STRANGER, number }), ..History::default() }
}

#[test]
fn what_this_node_finds_out_is_told_on_the_services_of_the_vip() {
    let split = Some(Told { what: ("n3".into(), "n2".into()), number: 6 });
    let told = report(&[
        (2, &["10.0.0.1", "fd00::1"], Stance::Held, conflict(4)),
        (3, &["10.0.0.1", "fd00::1"], Stance::Contested(STRANGER), conflict(5)),
        (3, &["10.0.0.2"], Stance::StandingBy { holder: None }, History { split, ..History::default() }),
        (2, &["10.0.0.3"], Stance::Held, conflict(7)),
        (9, &["10.0.0.2"], Stance::Held, conflict(8)),
    ]);
    let here = "02:00:00:00:00:09 claims 10.0.0.1 on eth0, and is none of the nodes; the address is announced here all the same. \
                Find that host, or stop the other announcer";
    let left = "02:00:00:00:00:09 claims 10.0.0.1 on eth1, and is none of the nodes; the address is left to it. Find that host, \
                or stop the other announcer";
    let split = "n2 and n3 hold 10.0.0.2 on eth1 and do not hear each other; look at the switches and cables between them";
    let expected = [
        event("default/dns", "u-dns", Reason::SplitSegment, split, 6),
        event("default/web", "u-web", Reason::AddressConflict, here, 4),
        event("default/web", "u-web", Reason::AddressConflict, left, 0),
    ];
    assert_eq!(events(ME, &two_services(), &told), expected);
    assert_eq!(events("n2", &two_services(), &told), expected, "whoever found it");
}

#[test]
fn a_candidate_without_any_of_the_interfaces_fails() {
    let only_eth0 = Report { interfaces: [(2, "eth0".into())].into(), ..report(&[]) };
    let why = "node n1 has none of the interfaces that the L2Advertisements name (eth1, eth2); name one of its own, or keep it \
               out by nodeSelectors";
    let mut index = two_services();
    let expected = [event("default/dns", "u-dns", Reason::AnnounceFailed, why, 0)];
    assert_eq!(events(ME, &index, &only_eth0), expected);
    let none = Report { interfaces: BTreeMap::new(), ..report(&[]) };
    assert_eq!(events(ME, &index, &none), [], "it may only have begun");
    index.put("n1", node("192.168.0.1").labelled("node.kubernetes.io/exclude-from-external-load-balancers="));
    assert_eq!(events(ME, &index, &only_eth0), [], "it is no candidate");
}

#[test]
fn what_all_see_alike_is_told_by_one() {
    let mut index = three_nodes();
    index.put("second", pool(&[("10.1.0.0", "10.1.0.255")]));
    index.serve("default/a", service(&["10.0.0.1", "10.1.0.1"]), &["n1"]);
    index.serve("default/b", service(&["10.0.0.2"]).local(), &["n1"]);
    index.serve("default/c", service(&["10.0.0.2"]).local(), &["n2"]);
    index.serve("default/d", service(&["192.168.0.2"]), &["n2"]);
    let garbage = "status.loadBalancer.ingress: \"x\" is no IP address".to_owned();
    index.serve("default/e", Service { problems: vec![garbage.clone()], ..service(&["10.0.0.3"]) }, &["n2"]);
    index.serve("default/f", service(&["10.0.0.4"]).local(), &["n9"]);
    let common = "no Node may announce all Services that share an address: default/b, default/c";
    let nobody = "none of the Nodes that its L2Advertisements select may announce it: each is excluded, or has no agent, or, under \
                  externalTrafficPolicy Local, no endpoint";
    let several =
        "its addresses lie in several IPAddressPools (pool, second), and only one may speak for all of them";
    let failed = |service, note| event(service, "", Reason::AnnounceFailed, note, 0);
    let expected = [
        failed("default/a", several),
        failed("default/b", common),
        failed("default/c", common),
        failed("default/d", "192.168.0.2 is Node n2's own address"),
        failed("default/e", &garbage),
        failed("default/f", nobody),
    ];
    assert_eq!(events(ME, &index, &report(&[])), expected);
    assert_eq!(events("n2", &index, &report(&[])), []);
}

#[test]
fn what_passes_or_may_be_meant_is_no_event() {
    let mut index = three_nodes();
    index.put("all", advertisement().pools(&["pool"]));
    index.put("second", pool(&[("10.1.0.0", "10.1.0.255")]));
    index.serve("default/waiting", service(&[]), &["n1"]);
    index.serve("default/idle", service(&["10.0.0.1"]), &[]);
    index.serve("default/unadvertised", service(&["10.1.0.1"]), &["n1"]);
    index.serve("default/elsewhere", service(&["172.16.0.1"]), &["n1"]);
    let others =
        Service { problems: vec!["garbage".to_owned()], ..service(&["10.0.0.2"]).class("example.com/lb") };
    index.serve("default/others", others, &["n1"]);
    assert_eq!(events(ME, &index, &report(&[])), []);
}

#[test]
fn an_event_is_told_once_and_again_when_it_comes_again() {
    let all =
        |history: History| events(ME, &two_services(), &report(&[(2, &["10.0.0.1"], Stance::Held, history)]));
    let of = |before: Vec<Event>, now: Vec<Event>| news(&before, &now).cloned().collect::<Vec<_>>();
    assert_eq!(of(vec![], all(conflict(1))), all(conflict(1)));
    assert_eq!(of(all(conflict(1)), all(conflict(1))), []);
    assert_eq!(of(all(conflict(1)), all(conflict(2))), all(conflict(2)), "another one");
    assert_eq!(of(all(conflict(2)), vec![]), []);
}

#[test]
fn the_name_of_an_event_follows_from_what_it_tells() {
    let name = |event: &Event| event.object_name();
    let event = event("default/web", "u-web", Reason::AddressConflict, "note", 1);
    assert_eq!(name(&event).len(), "web.0123456789abcdef".len());
    assert_eq!(name(&event), name(&Event { number: 2, ..event.clone() }), "told again, it is counted up");
    let others = [
        event.clone().on("2"),
        Event { uid: "u-2".to_owned(), ..event.clone() },
        Event { reason: Reason::AnnounceFailed, ..event.clone() },
        Event { note: "notes".to_owned(), ..event.clone() },
        Event { service: ObjectName::new("other", "web"), ..event.clone() },
    ];
    let names: BTreeSet<String> = others.iter().chain([&event]).map(name).collect();
    assert_eq!(names.len(), 6, "each is its own: {names:?}");
    let long = Event { service: ObjectName::new("default", "w".repeat(253)), ..event };
    assert_eq!(name(&long).len(), 247);
}
