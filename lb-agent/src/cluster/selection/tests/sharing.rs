//! Services that share a VIP.

use super::*;

#[test]
fn services_that_share_a_vip_have_one_announcer() {
    let mut index = three_nodes();
    index.put("n2", node("192.168.0.2").labelled("rack=a"));
    index.put("n3", node("192.168.0.3").labelled("rack=a"));
    index.put("all", advertisement().services("app=web").prefers(10, "rack=a"));
    index.put("b", advertisement().services("app=dns").nodes("rack=a").prefers(5, "rack=a"));
    index.serve("default/web", service(&["10.0.0.9", "10.0.0.10"]).labelled("app=web"), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.9", "fd00::1"]).labelled("app=dns"), &["n1"]);
    let expected = PlannedUnit {
        key: ip("10.0.0.9"),
        ..unit(&["10.0.0.9", "10.0.0.10", "fd00::1"], &[("n2", 15), ("n3", 15)])
    };
    assert_eq!(units(&index), std::slice::from_ref(&expected), "candidates of both, with the scores of both");
    let services: Arc<[ObjectName]> = ["default/dns", "default/web"].map(named).into();
    let outcome_of = |service| outcome(&select(&index), service);
    let announced = Outcome::Announced { unit: Arc::new(expected), services };
    assert_eq!([outcome_of("default/dns"), outcome_of("default/web")], [announced.clone(), announced]);
    let standings = select(&index).standings(&named("default/web")).unwrap();
    assert_eq!(standings["n1"], Standing::NotForAll);
}

#[test]
fn the_key_is_the_smallest_first_address_as_text() {
    let mut index = three_nodes();
    index.serve("default/a", service(&["10.0.0.9", "10.0.0.1"]), &["n1"]);
    index.serve("default/b", service(&["10.0.0.10", "10.0.0.9"]), &["n1"]);
    let expected = PlannedUnit { key: ip("10.0.0.10"), ..unit(&["10.0.0.1", "10.0.0.9", "10.0.0.10"], ALL) };
    assert_eq!(units(&index), [expected], "10.0.0.1 is nobody's first, and 10.0.0.10 < 10.0.0.9 as text");
}

#[test]
fn dual_stack_addresses_go_together() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["fd00::1", "10.0.0.1"]), &["n1"]);
    let expected = PlannedUnit { key: ip("fd00::1"), ..unit(&["10.0.0.1", "fd00::1"], ALL) };
    assert_eq!(units(&index), [expected]);
}

#[test]
fn services_without_a_common_candidate_are_announced_by_nobody() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.1", "10.0.0.2"]).local(), &["n2"]);
    let services: Arc<[ObjectName]> = ["default/dns", "default/web"].map(named).into();
    let expected = Reason::NoCommonCandidate { services };
    assert_eq!([reason(&index, "default/web"), reason(&index, "default/dns")], [expected.clone(), expected]);
    let selection = select(&index);
    assert_eq!(selection.plan.units, []);
    assert_eq!(selection.plan.suppress, ["10.0.0.1", "10.0.0.2"].map(ip));
    let standings = selection.standings(&named("default/web")).unwrap();
    let expected = [
        ("n1".into(), Standing::NotForAll),
        ("n2".into(), Standing::NoLocalEndpoint),
        ("n3".into(), Standing::NoLocalEndpoint),
    ];
    assert_eq!(standings, expected.into());
}

#[test]
fn a_service_that_nobody_may_announce_binds_nobody() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    index.serve("default/gone", service(&["10.0.0.1", "10.0.0.2"]).local(), &[]);
    index.serve("default/far", service(&["10.0.0.1", "10.0.0.3"]).local(), &["n9"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
    assert_eq!(reason(&index, "default/gone"), Reason::NoEndpoint);
    assert_eq!(reason(&index, "default/far"), Reason::NoCandidate);
    assert_eq!(select(&index).plan.suppress, ["10.0.0.2", "10.0.0.3"].map(ip), "but not what is announced");
}

#[test]
fn the_interfaces_of_services_that_share_a_vip_are_those_of_all() {
    let mut index = three_nodes();
    index.put("all", advertisement().services("app=web").on(&["eth0"]));
    index.put("b", advertisement().services("app=dns").on(&["eth1"]));
    index.put("c", advertisement().services("app=any"));
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=web"), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.1"]).labelled("app=dns"), &["n1"]);
    let names = ["eth0", "eth1"].map(str::to_owned);
    let both = PlannedUnit { interfaces: Some(Arc::new(names.into())), ..unit(&["10.0.0.1"], ALL) };
    assert_eq!(units(&index), [both]);
    index.serve("default/any", service(&["10.0.0.1"]).labelled("app=any"), &["n1"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
}
