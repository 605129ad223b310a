use super::*;
use crate::explain::Explanation;

const MAC: Mac = [2, 0, 0, 0, 0, 1];
const STRANGER: Mac = [2, 0, 0, 0, 0, 9];

fn candidate(name: &str, liveness: Option<Liveness>) -> CandidateFacts {
    CandidateFacts { name: name.into(), is_me: name == "n1", liveness, is_silent: false }
}

/// Held by this node, n1, since n2 has gone.
fn held() -> Facts {
    let taken = Takeover { cause: "peers_gone", peer: None };
    Facts {
        interface: "eth0".to_owned(),
        is_running: true,
        hook: Some("tcx-ingress (program 42)".to_owned()),
        together: vec!["10.77.1.10".parse().unwrap()],
        candidates: vec![candidate("n2", Some(Liveness::Down)), candidate("n1", None)],
        part: Some(Part::Candidate { asks: true }),
        is_elsewhere: false,
        stance: Some(Stance::Held),
        history: History { taken: Some(Told { what: taken, number: 1 }), ..History::default() },
        entry: Some(entry(Role::Announce, MAC)),
        lease: LeaseFacts::Valid(28_500),
        is_drained: false,
        nobody: None,
        not_here: None,
    }
}

fn entry(role: Role, mac: Mac) -> EntryFacts {
    EntryFacts { role: Some(role), mac, requests: 12, answers: 10, last_answer_ago_ms: Some(250) }
}

fn verdict(facts: &Facts) -> String {
    facts.verdict().to_string()
}

#[test]
fn a_vip_that_is_held_is_explained_from_its_source_to_its_last_answer() {
    let explanation = Explanation {
        about: "10.77.1.10".to_owned(),
        vip: Some("10.77.1.10".parse().unwrap()),
        node: "n1".to_owned(),
        nobody: None,
        source: vec![Step::new("source", true, "lb.yaml:3 names it in `vips`")],
        interfaces: vec![held().explain()],
    };
    let expected = "\
10.77.1.10, as node n1 sees it
  + source          lb.yaml:3 names it in `vips`

on eth0
    candidate 1     n2: down: it does not answer S-BFD
  + candidate 2     n1: this node
  + interface       it is up, with carrier
  + hook            tcx-ingress (program 42)
  + state           this node holds it
    last taken      the nodes before this one were gone
  + lease           it ends in 28500 ms unless it is renewed
  + map             announce: requests are answered with 02:00:00:00:00:01
    last answer     250 ms ago (12 requests, 10 answers)
answers: yes, because this node holds it
";
    assert_eq!(explanation.to_string(), expected);
}

#[test]
fn a_vip_that_another_node_holds_is_explained_by_that_node() {
    let facts = Facts {
        candidates: vec![candidate("n2", Some(Liveness::Up { is_agent_seen: true })), candidate("n1", None)],
        stance: Some(Stance::StandingBy { holder: Some("n2".into()) }),
        history: History::default(),
        entry: Some(EntryFacts { last_answer_ago_ms: None, ..entry(Role::Suppress, MAC) }),
        together: vec!["10.77.1.10".parse().unwrap(), "fd77::10".parse().unwrap()],
        ..held()
    };
    let steps: String = facts.explain().steps.iter().map(ToString::to_string).collect();
    let expected = "    candidate 1     n2: up
  + candidate 2     n1: this node
    goes with       10.77.1.10, fd77::10
  + interface       it is up, with carrier
  + hook            tcx-ingress (program 42)
  - state           n2 was last heard to hold it
  + lease           it ends in 28500 ms unless it is renewed
  - map             suppress: requests are dropped, so that the host does not answer
    last answer     none yet (12 requests, 10 answers)
";
    assert_eq!(steps, expected);
    assert_eq!(verdict(&facts), "no, because n2 was last heard to hold it");
}

#[test]
fn the_verdict_names_what_keeps_the_node_from_answering() {
    let suppressed = || Facts {
        stance: Some(Stance::Suppressed),
        part: Some(Part::Bystander),
        entry: Some(entry(Role::Suppress, MAC)),
        ..held()
    };
    let cases = [
        (Facts { is_drained: true, ..suppressed() }, "no, because the node is drained"),
        (Facts { is_running: false, ..suppressed() }, "no, because the interface is down"),
        (Facts { is_running: false, ..held() }, "no, because the interface is down"),
        (Facts { lease: LeaseFacts::Lapsed(70), ..held() }, "no, because the lease lapsed 70 ms ago"),
        (Facts { lease: LeaseFacts::None, ..held() }, "no, because the agent has no lease yet"),
        (Facts { hook: None, ..held() }, "no, because no program of the agent runs there"),
        (
            Facts { is_elsewhere: true, ..suppressed() },
            "no, because it is not to be announced on this interface",
        ),
        (Facts { candidates: Vec::new(), ..suppressed() }, "no, because it is a VIP of others"),
        (
            Facts { candidates: vec![candidate("n2", None)], ..suppressed() },
            "no, because this node is no candidate for it",
        ),
        (
            Facts {
                candidates: vec![candidate("n2", None)],
                not_here: Some("no endpoint there".to_owned()),
                ..suppressed()
            },
            "no, because this node is no candidate for it: no endpoint there",
        ),
        (
            Facts { candidates: Vec::new(), nobody: Some("no pool".to_owned()), ..suppressed() },
            "no, because no pool",
        ),
        (Facts { entry: None, nobody: Some("no pool".to_owned()), ..suppressed() }, "no, because no pool"),
        (
            Facts {
                stance: Some(Stance::Contested(STRANGER)),
                entry: Some(entry(Role::Contested, STRANGER)),
                ..held()
            },
            "no, because 02:00:00:00:00:09 answers for it, which is no node of the group",
        ),
        (
            Facts { stance: Some(Stance::Asking), ..suppressed() },
            "no, because this node asks on the wire whether anybody has it",
        ),
        (
            Facts {
                stance: Some(Stance::StandingBy { holder: None }),
                candidates: vec![
                    candidate("n2", Some(Liveness::Up { is_agent_seen: true })),
                    candidate("n1", None),
                ],
                ..suppressed()
            },
            "no, because n2 goes before this node, and is up",
        ),
        (Facts { stance: None, entry: None, ..held() }, "no, because the kernel's map does not have it"),
    ];
    for (facts, expected) in cases {
        assert_eq!(verdict(&facts), expected, "{facts:?}");
    }
}

#[test]
fn a_conflict_and_a_split_are_part_of_the_chain() {
    let history = History {
        taken: None,
        conflict: Some(Told { what: STRANGER, number: 1 }),
        split: Some(Told { what: ("n2".into(), "n3".into()), number: 2 }),
    };
    let steps = Facts { history, ..held() }.history_steps();
    let because: Vec<&str> = steps.iter().map(|step| step.because.as_str()).collect();
    let expected = [
        "02:00:00:00:00:09 has claimed it too, which is no node of the group",
        "n2 and n3 have both answered: do they hear each other?",
    ];
    assert_eq!(because, expected);
}
