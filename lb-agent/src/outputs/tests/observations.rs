//! From the loop's report.

use lb_common::wire::ethernet::Mac;

use super::*;
use crate::{
    holding::Stance,
    model::Place,
    outputs::observed::observed,
    report::{History, Report, Told, UnitReport},
};

const STRANGER: Mac = [2, 0, 0, 0, 0, 9];

/// Interface, VIPs, and how the node stands to them.
type Unit<'a> = (u32, &'a [&'a str], Stance<Arc<str>>, History);

fn report(units: &[Unit<'_>]) -> Report {
    let unit = |(ifindex, vips, stance, history): &Unit<'_>| {
        let vips: Arc<[IpAddr]> = vips.iter().map(|vip| ip(vip)).collect();
        let at = Place { ifindex: *ifindex, address: vips[0] };
        (at, Arc::new(UnitReport { vips, stance: stance.clone(), history: history.clone() }))
    };
    Report {
        node: ME.into(),
        has_lease: true,
        interfaces: [(2, "eth0".into()), (3, "eth1".into())].into(),
        units: Arc::new(units.iter().map(unit).collect()),
        ..Report::default()
    }
}

#[test]
fn vips_are_held_where_the_kernel_answers_for_them() {
    let none = History::default;
    let units: [Unit<'_>; 4] = [
        (2, &["10.0.0.1", "fd00::1"], Stance::Held, none()),
        (3, &["10.0.0.1", "fd00::1"], Stance::Leaving, none()),
        (2, &["10.0.0.2"], Stance::StandingBy { holder: Some("n2".into()) }, none()),
        (9, &["10.0.0.3"], Stance::Held, none()),
    ];
    let selection = select(&two_services());
    let expected = holding(&[("10.0.0.1", &["eth0", "eth1"]), ("fd00::1", &["eth0", "eth1"])]);
    assert_eq!(observed(&report(&units), &selection), expected);
    let lapsed = Report { has_lease: false, ..report(&units) };
    assert_eq!(observed(&lapsed, &selection), Observed::default());
}

#[test]
fn conflicts_and_splits_are_told_with_their_numbers() {
    let history = |conflict: Option<u64>, split: Option<u64>| History {
        taken: None,
        conflict: conflict.map(|number| Told { what: STRANGER, number }),
        split: split.map(|number| Told { what: ("n3".into(), "n2".into()), number }),
    };
    let units: [Unit<'_>; 3] = [
        (2, &["10.0.0.1"], Stance::Held, history(Some(4), None)),
        (2, &["10.0.0.2"], Stance::Contested(STRANGER), history(Some(5), None)),
        (3, &["10.0.0.3"], Stance::StandingBy { holder: None }, history(None, Some(6))),
    ];
    let conflict = |vip, is_left, number| Conflict {
        vip: ip(vip),
        interface: "eth0".to_owned(),
        mac: "02:00:00:00:00:09".to_owned(),
        is_left,
        number,
    };
    let nodes = ["n2".into(), "n3".into()].into();
    let expected = Observed {
        conflicts: vec![conflict("10.0.0.1", false, 4), conflict("10.0.0.2", true, 0)],
        splits: vec![Split { vip: ip("10.0.0.3"), interface: "eth1".to_owned(), nodes, number: 6 }],
        ..holding(&[("10.0.0.1", &["eth0"])])
    };
    assert_eq!(observed(&report(&units), &select(&two_services())), expected);
}

#[test]
fn a_candidate_without_any_of_the_interfaces_fails() {
    let only_eth0 = Report { interfaces: [(2, "eth0".into())].into(), ..report(&[]) };
    let why = "node n1 has none of the interfaces that the L2Advertisements name (eth1, eth2); name one of its own, or keep it \
               out by nodeSelectors";
    let failures = vec![Failure { vip: ip("10.0.0.2"), why: why.to_owned() }];
    let mut index = two_services();
    let expected = Observed { failures, ..Observed::default() };
    assert_eq!(observed(&only_eth0, &select(&index)), expected);
    index.put("n1", node("192.168.0.1").labelled("node.kubernetes.io/exclude-from-external-load-balancers="));
    assert_eq!(observed(&only_eth0, &select(&index)), Observed::default(), "it is no candidate");
}
