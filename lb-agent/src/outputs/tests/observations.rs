//! From the loop's report.

use super::*;

/// The interfaces where a node says that it holds VIPs.
fn held(report: &Report, vips: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut units = Units::default();
    units.follow(&Report::default(), report);
    let me = Arc::from(ME);
    let view = View::new(&me, false, report, &units);
    let on = |vip: &&str| {
        (vip.to_string(), view.held_on(ip(vip)).map(ToString::to_string).collect::<Vec<String>>())
    };
    vips.iter().map(on).filter(|(_, interfaces)| !interfaces.is_empty()).collect()
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
    let vips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];
    let both = || vec!["eth0".to_owned(), "eth1".to_owned()];
    let expected = [("10.0.0.1".to_owned(), both()), ("fd00::1".to_owned(), both())];
    assert_eq!(held(&report(&units), &vips), expected);
    assert_eq!(held(&Report { has_lease: false, ..report(&units) }, &vips), []);
}

#[test]
fn what_has_changed_is_the_vips_of_units_that_are_told_of() {
    let none = History::default;
    let waits = || Stance::StandingBy { holder: None };
    let before = report(&[
        (2, &["10.0.0.1", "fd00::1"], Stance::Held, none()),
        (2, &["10.0.0.2"], waits(), none()),
        (2, &["10.0.0.3"], Stance::Held, none()),
    ]);
    let mut units = Units::default();
    units.follow(&Report::default(), &before);
    let mut now = before.clone();
    let all = Arc::make_mut(&mut now.units);
    let at = |address| Place { ifindex: 2, address: ip(address) };
    all.insert(at("10.0.0.1"), unit(&["10.0.0.1", "10.0.0.4"], Stance::Held));
    all.insert(at("10.0.0.2"), unit(&["10.0.0.2"], Stance::Suppressed));
    let vips = ["10.0.0.1", "10.0.0.4", "fd00::1"].map(ip).into();
    assert_eq!(units.follow(&before, &now), vips);
    let mut afresh = Units::default();
    afresh.follow(&Report::default(), &now);
    assert_eq!(units, afresh);
}
