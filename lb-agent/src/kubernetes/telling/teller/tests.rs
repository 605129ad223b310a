use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;

use super::*;
use crate::{
    cluster::{
        fixtures::*,
        index::Index,
        selection::{Options, Selector},
    },
    crds::ConfigurationStateSpec,
    holding::Stance,
    model::Place,
    outputs::{event::Reason, l2_status::Status},
    report::{self, History, UnitReport},
};

mod afresh;
mod at_size;

const S: BoottimeNs = 1_000_000_000;

/// An agent on `n1`, and an API that does what it is told.
struct Play {
    teller: Teller,
    index: Index,
    selector: Selector,
    report: Arc<Report>,
    statuses: BTreeMap<String, Existing>,
    state: Option<ConfigurationState>,
    version: u64,
    now: BoottimeNs,
}

impl Play {
    /// With one Service, which this node holds or not.
    fn new(is_held: bool) -> Self {
        let mut index = three_nodes();
        index.serve("default/web", service(&["10.0.0.1"]), &["n2"]);
        let at = Place { ifindex: 2, address: ip("10.0.0.1") };
        let stance = if is_held { Stance::Held } else { Stance::Suppressed };
        let unit = Arc::new(UnitReport { vips: [at.address].into(), stance, history: History::default() });
        let report = Report {
            node: "n1".into(),
            has_lease: true,
            interfaces: [(2, "eth0".into())].into(),
            addresses: [ip("192.168.0.1"), ip("fe80::1")].into(),
            units: Arc::new([(at, unit)].into()),
            ..Report::default()
        };
        Self {
            teller: Teller::new("n1", "a".to_owned(), 0.0),
            index,
            selector: Selector::default(),
            report: Arc::new(report),
            statuses: BTreeMap::new(),
            state: None,
            version: 0,
            now: S,
        }
    }

    fn selection(&mut self) -> Arc<Selection> {
        let options = Options { me: "n1".to_owned(), ..Options::default() };
        self.selector.select(self.index.cluster(), &options)
    }

    fn writes(&mut self) -> Vec<Write> {
        self.portion(usize::MAX)
    }

    fn portion(&mut self, most: usize) -> Vec<Write> {
        self.teller.take(Change::Listed(self.statuses.clone()));
        self.look(most)
    }

    /// Looks without word from the watch.
    fn look(&mut self, most: usize) -> Vec<Write> {
        let selection = self.selection();
        let sight = Sight { selection: &selection, report: &self.report, state: self.state.as_ref() };
        self.teller.writes(sight, self.now, &Time(Timestamp::UNIX_EPOCH), most)
    }

    fn wrote(&mut self, write: &Write, outcome: &Outcome) {
        self.teller.wrote(write, outcome, self.state.as_ref(), self.now);
    }

    /// Looks, and has the API take everything; says what that was.
    fn round(&mut self) -> Vec<Write> {
        let writes = self.writes();
        for write in &writes {
            self.wrote(write, &Outcome::Done);
            self.take(write);
        }
        writes
    }

    /// What the API makes of a write.
    fn take(&mut self, write: &Write) {
        self.version += 1;
        match write {
            Write::CreateStatus(Status { node, service, interfaces }, _) => {
                let existing = Existing {
                    node: Arc::clone(node),
                    service: service.clone(),
                    interfaces: Some(interfaces.clone()),
                };
                self.statuses.insert(format!("l2-{}", self.version), existing);
            }
            Write::SetStatus { object, status } => {
                let interfaces = Some(status.interfaces.clone());
                self.statuses.get_mut(object).expect("it is there").interfaces = interfaces;
            }
            Write::DeleteStatus { object } => _ = self.statuses.remove(object),
            Write::Event(_) => {}
            Write::SetState(State { object, labels, annotations, status }) => {
                let metadata = ObjectMeta {
                    name: Some(object.clone()),
                    labels: Some(labels.clone()),
                    annotations: Some(annotations.clone()),
                    resource_version: Some(self.version.to_string()),
                    ..ObjectMeta::default()
                };
                let (spec, status) = (ConfigurationStateSpec {}, Some(status.clone()));
                self.state = Some(ConfigurationState { metadata, spec, status });
            }
        }
    }

    /// An annotation of the state.
    fn annotation(&self, key: &str) -> &str {
        self.state.as_ref().map_or("", |state| state.annotations()[key].as_str())
    }
}

fn kinds(writes: &[Write]) -> Vec<&'static str> {
    let kind = |write: &Write| match write {
        Write::CreateStatus(..) => "create status",
        Write::SetStatus { .. } => "set status",
        Write::DeleteStatus { .. } => "delete status",
        Write::Event(event) => event.reason.as_str(),
        Write::SetState(_) => "set state",
    };
    writes.iter().map(kind).collect()
}

#[test]
fn what_is_held_is_told_and_the_event_follows_when_the_status_shows() {
    let mut play = Play::new(true);
    assert_eq!(kinds(&play.round()), ["set state", "create status"]);
    let object = play.statuses.keys().next().expect("a status").clone();
    let event = Event {
        service: named("default/web"),
        reason: Reason::NodeAssigned,
        note: "node n1 announces 10.0.0.1".to_owned(),
        occasion: object,
        ..Event::default()
    };
    assert_eq!(play.round(), [Write::Event(event)]);
    assert_eq!(play.round(), []);
    assert_eq!(play.annotation(trim::ADDRESSES), "192.168.0.1,fe80::1");
}

#[test]
fn a_restart_finds_everything_as_it_should_be_and_writes_nothing() {
    let mut play = Play::new(true);
    play.round();
    play.round();
    play.teller = Teller::new("n1", "a".to_owned(), 0.0);
    assert_eq!(play.round(), []);
}

#[test]
fn what_was_created_and_does_not_show_yet_is_not_created_again() {
    let mut play = Play::new(true);
    let create = play.writes().pop().expect("a status to create");
    play.wrote(&create, &Outcome::Done);
    assert_eq!(kinds(&play.writes()), ["set state"]);
    assert_eq!(play.teller.due(), Some(11 * S));
    play.now = 11 * S;
    assert_eq!(kinds(&play.writes()), ["set state", "create status"], "somebody has deleted it");
}

#[test]
fn a_status_that_was_created_and_says_nothing_is_put_right() {
    let mut play = Play::new(true);
    play.round();
    play.statuses.values_mut().for_each(|existing| existing.interfaces = None);
    assert_eq!(play.round(), [], "it may be under way");
    play.now = 11 * S;
    assert_eq!(kinds(&play.round()), ["set status", "nodeAssigned"]);
    assert_eq!(play.round(), []);
}

#[test]
fn a_status_whose_creation_was_not_answered_is_told_of_when_it_shows() {
    let why = || "no answer".to_owned();
    for outcome in [Outcome::Unanswered(why()), Outcome::Later(why())] {
        let mut play = Play::new(true);
        let create = play.writes().pop().expect("a status to create");
        play.wrote(&create, &outcome);
        assert_eq!(kinds(&play.writes()), ["set state", "create status"], "it may not have been done");
        play.take(&create);
        assert_eq!(kinds(&play.round()), ["set state", "nodeAssigned"], "it was");
        assert_eq!(play.round(), [], "once");
    }
}

#[test]
fn an_event_is_told_once_although_a_creation_took_two_attempts() {
    let mut play = Play::new(true);
    let create = play.writes().pop().expect("a status to create");
    play.wrote(&create, &Outcome::Later("busy".to_owned()));
    assert_eq!(kinds(&play.round()), ["set state", "create status"]);
    assert_eq!(kinds(&play.round()), ["nodeAssigned"]);
    assert_eq!(play.round(), []);
}

#[test]
fn what_was_not_answered_and_is_wanted_no_more_is_forgotten() {
    let mut play = Play::new(true);
    let create = play.writes().pop().expect("a status to create");
    play.wrote(&create, &Outcome::Unanswered("no answer".to_owned()));
    Arc::make_mut(&mut play.report).has_lease = false;
    assert_eq!(kinds(&play.writes()), ["set state"]);
    Arc::make_mut(&mut play.report).has_lease = true;
    play.statuses.insert(
        "l2-a".to_owned(),
        Existing { node: "n1".into(), service: named("default/web"), interfaces: Some(vec![]) },
    );
    assert_eq!(kinds(&play.writes()), ["set state"], "another one has created that");
}

#[test]
fn what_was_written_is_not_written_again_before_it_shows() {
    let mut play = Play::new(true);
    play.round();
    play.round();
    let object = play.statuses.keys().next().expect("a status").clone();
    let wrong = Existing { interfaces: None, ..play.statuses[&object].clone() };
    play.teller.take(Change::Put(object.clone(), wrong.clone()));
    let writes = play.look(9);
    assert_eq!(kinds(&writes), ["set status"]);
    play.wrote(&writes[0], &Outcome::Done);
    assert_eq!(play.look(9), []);
    play.teller.take(Change::Put(object.clone(), wrong));
    assert_eq!(kinds(&play.look(9)), ["set status"], "somebody has undone it");
    Arc::make_mut(&mut play.report).has_lease = false;
    let writes = play.look(9);
    assert_eq!(writes, [Write::DeleteStatus { object }]);
    play.wrote(&writes[0], &Outcome::Done);
    assert_eq!(play.look(9), []);
}

#[test]
fn of_many_a_portion_is_written_at_a_time_and_what_is_overtaken_is_not() {
    let mut play = Play::new(true);
    let vips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ip);
    let unit =
        |vip: IpAddr| UnitReport { vips: [vip].into(), stance: Stance::Held, history: History::default() };
    let units = vips.map(|address| (Place { ifindex: 2, address }, Arc::new(unit(address))));
    Arc::make_mut(&mut play.report).units = Arc::new(units.into());
    for (name, vip) in [("default/a", "10.0.0.2"), ("default/b", "10.0.0.3"), ("default/c", "10.0.0.4")] {
        play.index.serve(name, service(&[vip]), &["n2"]);
    }
    let services = |writes: &[Write]| {
        let service = |write: &Write| match write {
            Write::CreateStatus(status, _) => status.service.to_string(),
            Write::Event(event) => format!("event of {}", event.service),
            other => kinds(std::slice::from_ref(other)).concat(),
        };
        writes.iter().map(service).collect::<Vec<_>>()
    };
    let portion = |play: &mut Play| {
        let writes = play.portion(2);
        for write in &writes {
            play.wrote(write, &Outcome::Done);
            play.take(write);
        }
        services(&writes)
    };
    assert_eq!(portion(&mut play), ["set state", "default/a"]);
    play.index.put("default/b", service(&["10.0.0.9"]));
    assert_eq!(portion(&mut play), ["default/c", "event of default/a"], "neither waits for all of the other");
    assert_eq!(portion(&mut play), ["default/web", "event of default/c"]);
    assert_eq!(portion(&mut play), ["event of default/web"]);
    assert_eq!(portion(&mut play), Vec::<String>::new());
}

#[test]
fn what_is_to_wait_is_found_again_and_what_is_forbidden_only_after_a_while() {
    let mut play = Play::new(true);
    let writes = play.writes();
    play.wrote(&writes[0], &Outcome::Later("busy".to_owned()));
    play.wrote(&writes[1], &Outcome::Forbidden("no rule".to_owned()));
    assert_eq!(play.writes(), writes[..1]);
    play.wrote(&writes[0], &Outcome::Refused("invalid".to_owned()));
    assert_eq!(play.writes(), []);
    assert_eq!(play.teller.due(), Some(61 * S));
    play.now = 61 * S;
    assert_eq!(play.writes(), writes);
}

#[test]
fn an_event_that_is_not_taken_now_is_told_later_and_one_that_never_will_be_is_dropped() {
    let problem = "status.loadBalancer.ingress: \"x\" is no IP address".to_owned();
    for (outcome, is_kept) in [
        (Outcome::Later("busy".to_owned()), true),
        (Outcome::Overtaken, false),
        (Outcome::Refused("invalid".to_owned()), false),
    ] {
        let mut play = Play::new(false);
        play.round();
        let broken = objects_service(&problem);
        play.index.put("default/broken", broken);
        let writes = play.writes();
        assert_eq!(kinds(&writes), ["announceFailed"]);
        play.wrote(&writes[0], &outcome);
        assert_eq!(!play.writes().is_empty(), is_kept, "{outcome:?}");
    }
}

fn objects_service(problem: &str) -> crate::cluster::objects::Service {
    crate::cluster::objects::Service { problems: vec![problem.to_owned()], ..service(&["10.0.0.9"]) }
}

#[test]
fn the_spokesman_looks_for_what_lost_nodes_have_left_once_and_then_for_each_that_is_lost() {
    let mut play = Play::new(false);
    play.round();
    let left = |node: &str| Existing { node: node.into(), service: named("default/web"), interfaces: None };
    let search = |play: &mut Play| {
        let selection = play.selection();
        play.teller.search(&selection)
    };
    let first = search(&mut play).expect("a search");
    assert_eq!(first.labels, None, "everything");
    let found = [("l2-a", "gone"), ("l2-b", "n2"), ("l2-c", "n1")];
    let found = found.map(|(object, node)| (object.to_owned(), left(node))).into();
    play.teller.found(first, found);
    assert_eq!(play.round(), [Write::DeleteStatus { object: "l2-a".to_owned() }]);
    assert_eq!((search(&mut play), play.round()), (None, vec![]));
    play.index.put("n3", node("192.168.0.3").not_ready());
    let second = search(&mut play).expect("a search");
    assert_eq!(second.labels.as_deref(), Some("metallb.io/node in (n3)"));
    play.teller.found(second, [("l2-d".to_owned(), left("n3"))].into());
    play.index.put("n3", node("192.168.0.3"));
    assert_eq!((search(&mut play), play.round()), (None, vec![]), "it is back");
}

#[test]
fn who_does_not_speak_for_all_any_more_deletes_nothing_of_others() {
    let mut play = Play::new(false);
    play.round();
    let selection = play.selection();
    let first = play.teller.search(&selection).expect("a search");
    let left = Existing { node: "gone".into(), service: named("default/web"), interfaces: None };
    play.teller.found(first, [("l2-a".to_owned(), left)].into());
    play.index.put("n1", node("192.168.0.1").not_ready());
    assert_eq!(play.round(), []);
}

#[test]
fn who_does_not_speak_for_all_looks_for_nothing() {
    let mut play = Play::new(false);
    play.index.put("n0", node("192.168.0.9"));
    let agents = agents(&[("n0", true), ("n1", true)]);
    play.index.put("metallb-system/lb-agent", agents);
    let selection = play.selection();
    assert_eq!(play.teller.search(&selection), None);
}

#[test]
fn what_all_agents_have_to_say_is_spread_and_what_only_this_one_knows_is_not() {
    let mut play = Play::new(false);
    play.teller = Teller::new("n1", "a".to_owned(), 1.0);
    assert_eq!(kinds(&play.round()), ["set state"], "the first is its own matter");
    play.round();
    play.index.put("all", advertisement().pools(&["another"]));
    assert_eq!(play.round(), []);
    let due = S + 3 * SPREAD_NS;
    assert_eq!(play.teller.due(), Some(due));
    play.now = due - 1;
    assert_eq!(play.round(), []);
    play.now = due;
    assert_eq!(kinds(&play.round()), ["set state"]);
    assert_eq!((play.round(), play.teller.due()), (vec![], None));
    Arc::make_mut(&mut play.report).addresses.insert(ip("192.168.0.8"));
    assert_eq!(kinds(&play.round()), ["set state"]);
}

#[test]
fn two_agents_of_one_name_say_so_keep_each_others_addresses_and_then_rest() {
    let mut one = Play::new(false);
    one.round();
    let mut other = Play::new(false);
    other.teller = Teller::new("n1", "b".to_owned(), 0.0);
    Arc::make_mut(&mut other.report).addresses = [ip("192.168.0.7")].into();
    (other.state, other.version) = (one.state.clone(), one.version);
    let mut writes = 0;
    for _ in 0..6 {
        for at in [0, 1] {
            let (writer, reader) = if at == 0 { (&mut other, &mut one) } else { (&mut one, &mut other) };
            writes += writer.round().len();
            (reader.state, reader.version) = (writer.state.clone(), writer.version);
        }
    }
    assert_eq!(one.annotation("lb.metallb.io/machines"), "a,b");
    assert_eq!(one.annotation(trim::ADDRESSES), "192.168.0.1,192.168.0.7,fe80::1");
    let problem = "agents on several machines call themselves node n1 (a and b): give each its own name by LB_NODE or --node, or stop \
                   one and restart the other";
    assert_eq!(one.state.expect("a state").status.expect("a status").error_summary, problem);
    assert_eq!(
        [one.teller.namesakes(), other.teller.namesakes()],
        [Some(problem.to_owned()), Some(problem.to_owned())]
    );
    assert!(writes <= 3, "{writes} writes until they agree");
}

/// The VIP of the Service, with what has happened to it.
fn stands(stance: Stance<Arc<str>>) -> report::Units {
    let at = Place { ifindex: 2, address: ip("10.0.0.1") };
    Arc::new(
        [(at, Arc::new(UnitReport { vips: [at.address].into(), stance, history: History::default() }))]
            .into(),
    )
}

#[test]
fn a_conflict_is_told_once_it_has_stood_for_five_seconds() {
    let mut play = Play::new(false);
    play.round();
    let mut at = |second: BoottimeNs, stance| {
        let report = Report { units: stands(stance), ..(*play.report).clone() };
        play.report = Arc::new(report);
        play.now = second * S;
        kinds(&play.round())
    };
    let contested = || Stance::Contested([2, 0, 0, 0, 0, 9]);
    assert_eq!(at(10, contested()), [""; 0]);
    assert_eq!(at(14, Stance::StandingBy { holder: None }), [""; 0], "it was a peer after all");
    assert_eq!(at(20, contested()), [""; 0]);
    assert_eq!(at(24, contested()), [""; 0]);
    assert_eq!(at(25, contested()), ["AddressConflict"]);
    assert_eq!(at(90, contested()), [""; 0]);
}
