//! What is found by looking at what has changed is what is found by looking at everything.

use proptest::prelude::*;

use super::*;
use crate::{
    cluster::objects::{Service, Slice},
    report::Told,
};

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A Service has these of the VIPs, is restricted to interfaces or not, and can be read as a whole or not; or it is gone.
    Serve(u8, Option<(u8, bool, bool)>),
    /// A Node is Ready, or not.
    Ready(u8, bool),
    /// How this node stands to a unit of these of the VIPs, and whether a stranger was heard; or the unit is gone.
    Unit(u32, u8, Option<(u8, Option<u64>)>),
    Lease(bool),
    Interface(u32, bool),
    /// A status of a Service says so, or it is gone.
    Status(u8, Option<(u8, Option<bool>)>),
    /// The API takes what is to be written, or not, and it shows or not.
    Answers(Vec<(u8, bool)>),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_u8, prop::option::of((0..16_u8, any::<bool>(), any::<bool>())))
            .prop_map(|(at, it)| Step::Serve(at, it)),
        1 => (1..3_u8, any::<bool>()).prop_map(|(at, it)| Step::Ready(at, it)),
        4 => (2..4_u32, 1..16_u8, prop::option::of((0..4_u8, prop::option::of(0..3_u64))))
            .prop_map(|(ifindex, vips, it)| Step::Unit(ifindex, vips, it)),
        1 => any::<bool>().prop_map(Step::Lease),
        1 => (2..4_u32, any::<bool>()).prop_map(|(at, it)| Step::Interface(at, it)),
        2 => (0..4_u8, prop::option::of((0..5_u8, prop::option::of(any::<bool>()))))
            .prop_map(|(at, it)| Step::Status(at, it)),
        3 => prop::collection::vec((0..6_u8, any::<bool>()), 1..6).prop_map(Step::Answers),
        1 => (1..40_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..30)
}

fn vips(mask: u8) -> impl Iterator<Item = IpAddr> {
    (0..4_u8).filter(move |bit| mask >> bit & 1 == 1).map(|last| [10, 0, 0, last].into())
}

impl Play {
    fn step(&mut self, step: Step) {
        let report = Arc::make_mut(&mut self.report);
        match step {
            Step::Serve(number, Some((mask, is_restricted, is_readable))) => {
                let problems = Vec::from_iter((!is_readable).then(|| "garbage".to_owned()));
                let service = Service { addresses: vips(mask).collect(), problems, ..Service::default() };
                let service = service.labelled(if is_restricted { "app=dns" } else { "app=web" });
                self.index.serve(&format!("default/s{number}"), service, &["n2"]);
            }
            Step::Serve(number, None) => {
                self.index.delete::<Service>(&named(&format!("default/s{number}")));
                self.index.delete::<Slice>(&named(&format!("default/s{number}-1")));
                self.index.settle(0);
            }
            Step::Ready(number, is_ready) => {
                let node = node(&format!("192.168.0.{number}"));
                self.index.put(&format!("n{number}"), if is_ready { node } else { node.not_ready() });
            }
            Step::Unit(ifindex, mask, unit) => {
                let vips: Arc<[IpAddr]> = vips(mask).collect();
                let at = Place { ifindex, address: vips[0] };
                let units = Arc::make_mut(&mut report.units);
                match unit.map(|unit| Arc::new(unit_report(vips, unit))) {
                    Some(unit) => _ = units.insert(at, unit),
                    None => _ = units.remove(&at),
                }
            }
            Step::Lease(has_lease) => report.has_lease = has_lease,
            Step::Interface(ifindex, true) => {
                report.interfaces.insert(ifindex, format!("eth{}", ifindex - 2).into());
            }
            Step::Interface(ifindex, false) => _ = report.interfaces.remove(&ifindex),
            Step::Status(number, Some((service, says))) => {
                let existing = Existing {
                    node: "n1".into(),
                    service: named(&format!("default/s{service}")),
                    interfaces: says.map(|names_one| Vec::from_iter(names_one.then(|| "eth0".to_owned()))),
                };
                self.statuses.insert(format!("l2-x{number}"), existing.clone());
                self.teller.take(Change::Put(format!("l2-x{number}"), existing));
            }
            Step::Status(number, None) => {
                self.statuses.remove(&format!("l2-x{number}"));
                self.teller.take(Change::Gone(format!("l2-x{number}")));
            }
            Step::Answers(answers) => self.answer(&answers),
            Step::Wait(seconds) => self.now += seconds * S,
        }
    }

    fn answer(&mut self, answers: &[(u8, bool)]) {
        let writes = self.look(answers.len());
        for (write, (outcome, shows)) in writes.iter().zip(answers) {
            let outcome = match outcome {
                0 => Outcome::Overtaken,
                1 => Outcome::Unanswered("no answer".to_owned()),
                2 => Outcome::Refused("invalid".to_owned()),
                _ => Outcome::Done,
            };
            self.wrote(write, &outcome);
            let is_there = match write {
                Write::SetStatus { object, .. } => self.statuses.contains_key(object),
                _ => true,
            };
            if *shows && is_there && matches!(outcome, Outcome::Done | Outcome::Unanswered(_)) {
                self.take(write);
            }
        }
        if answers.iter().any(|(_, shows)| *shows) {
            self.teller.take(Change::Listed(self.statuses.clone()));
        }
    }
}

fn unit_report(vips: Arc<[IpAddr]>, (stance, conflict): (u8, Option<u64>)) -> UnitReport {
    const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
    let stance = match stance {
        0 => Stance::StandingBy { holder: None },
        1 => Stance::Contested(STRANGER),
        2 => Stance::Leaving,
        _ => Stance::Held,
    };
    let conflict = conflict.map(|number| Told { what: STRANGER, number });
    UnitReport { vips, stance, history: History { conflict, ..History::default() } }
}

proptest! {
    #[test]
    fn what_follows_from_changes_is_what_follows_from_the_whole(steps in steps()) {
        let mut play = Play::new(true);
        play.index.put("all", advertisement().services("app=web"));
        play.index.put("b", advertisement().services("app=dns").on(&["eth0", "eth1"]));
        for step in steps {
            play.step(step);
            let writes = play.look(usize::MAX);
            let kept = play.teller.ledger.afresh();
            let kept = std::mem::replace(&mut play.teller.ledger, kept);
            let afresh = play.look(usize::MAX);
            prop_assert_eq!(kept.events(), play.teller.ledger.events());
            prop_assert_eq!(writes, afresh);
            play.teller.ledger = kept;
        }
    }
}
