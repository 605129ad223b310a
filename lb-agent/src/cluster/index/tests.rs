use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::cluster::{
    events::{Event, event},
    fixtures::*,
};

const SECOND: BoottimeNs = 1_000_000_000;

fn admitted(index: &Index) -> Vec<(&str, bool)> {
    index.cluster().agents.iter().map(|(node, agent)| (node.as_str(), agent.is_admitted)).collect()
}

#[test]
fn what_changes_nothing_is_no_change() {
    let mut index = three_nodes();
    assert!(index.apply(named("default/web"), service(&["10.0.0.1"])));
    assert!(!index.apply(named("default/web"), service(&["10.0.0.1"])));
    let before = Arc::clone(&index.cluster().services[&named("default/web")]);
    assert!(!index.reset([(named("default/web"), service(&["10.0.0.1"]))]));
    assert!(Arc::ptr_eq(&before, &index.cluster().services[&named("default/web")]));
    assert!(index.delete::<Service>(&named("default/web")));
    assert!(!index.delete::<Service>(&named("default/web")));
}

#[test]
fn a_new_list_takes_the_place_of_all_that_was() {
    let mut index = Index::default();
    index.apply("n1".to_owned(), node("192.168.0.1"));
    index.apply("n2".to_owned(), node("192.168.0.2"));
    assert!(index.reset([("n2".to_owned(), node("192.168.0.2")), ("n3".to_owned(), node("192.168.0.3"))]));
    let expected = [("n2", "192.168.0.2"), ("n3", "192.168.0.3")];
    let expected = expected.map(|(name, address)| (name.to_owned(), Arc::new(node(address))));
    assert_eq!(*index.cluster(), Cluster { nodes: expected.into(), ..Cluster::default() });
}

#[test]
fn a_slice_that_comes_before_its_service_is_kept() {
    let mut index = Index::default();
    assert!(!index.apply(named("default/web-1"), endpoints("default/web", &["n1"])), "of no Service yet");
    assert!(index.apply(named("default/web"), service(&["10.0.0.1"])));
    assert!(index.apply(named("default/web-1"), endpoints("default/web", &["n2"])));
    assert!(index.apply(named("default/web-1"), endpoints("default/dns", &["n2"])), "taken from web");
    assert!(!index.delete::<Slice>(&named("default/web-1")), "nothing of web's any more");
}

#[test]
fn the_last_valid_version_of_a_pool_stays() {
    let valid = pool(&[("10.0.0.0", "10.0.0.255")]);
    let invalid = |what: &str| Pool { problems: vec![what.to_owned()], ..pool(&[]) };
    let mut index = Index::default();
    let name = || "pool".to_owned();
    let cluster = |pool: Option<&Pool>, problem: Option<&str>| Cluster {
        pools: pool.map(|pool| (name(), Arc::new(pool.clone()))).into_iter().collect(),
        rejected_pools: problem.map(|what| (name(), [what.to_owned()].into())).into_iter().collect(),
        ..Cluster::default()
    };
    assert!(index.apply(name(), invalid("a")));
    assert_eq!(*index.cluster(), cluster(None, Some("a")), "there has been no valid one");
    assert!(index.apply(name(), valid.clone()));
    assert_eq!(*index.cluster(), cluster(Some(&valid), None));
    assert!(index.apply(name(), invalid("b")));
    assert!(!index.apply(name(), invalid("b")));
    assert_eq!(*index.cluster(), cluster(Some(&valid), Some("b")));
    assert!(index.reset([(name(), invalid("c"))]));
    assert_eq!(*index.cluster(), cluster(Some(&valid), Some("c")), "a list brings the same version again");
    assert!(index.apply(name(), valid.clone()));
    assert_eq!(*index.cluster(), cluster(Some(&valid), None), "back as it was");
    index.apply(name(), invalid("d"));
    assert!(index.reset::<Pool>([]));
    assert_eq!(*index.cluster(), Cluster::default());
}

#[test]
fn a_ready_endpoint_admits_an_agent() {
    let mut index = three_nodes();
    index.put("metallb-system/lb-agent", agents(&[("n1", true), ("n2", false), ("n9", true)]));
    let mut fresh = Index::new(Cluster { agents: BTreeMap::new(), ..index.cluster().clone() });
    assert!(fresh.settle(0));
    assert_eq!(admitted(&fresh), [("n1", true), ("n2", false)], "n9 has no Node");
    assert!(!fresh.settle(0));
}

#[test]
fn an_agent_that_is_admitted_stays_so_while_it_has_an_endpoint() {
    let mut index = three_nodes();
    index.put("metallb-system/lb-agent", agents(&[("n1", false)]));
    index.put("metallb-system/lb-agent-2", agents(&[("n2", false), ("n3", true)]));
    index.settle(10_000 * SECOND);
    assert_eq!(admitted(&index), [("n1", true), ("n2", true), ("n3", true)]);
    assert_eq!(index.due(), None);
}

#[test]
fn an_agent_whose_endpoint_is_away_for_a_moment_stays_admitted() {
    let mut index = three_nodes();
    index.apply(named("metallb-system/lb-agent"), agents(&[("n1", true), ("n2", true)]));
    assert!(!index.settle(100 * SECOND));
    assert_eq!(index.due(), Some(400 * SECOND));
    index.apply(named("metallb-system/lb-agent"), agents(&[("n1", true), ("n2", true), ("n3", false)]));
    assert!(!index.settle(399 * SECOND), "back in time, though not ready yet");
    assert_eq!((admitted(&index)[2], index.due()), (("n3", true), None));
}

#[test]
fn an_agent_without_an_endpoint_for_five_minutes_is_gone() {
    let mut index = three_nodes();
    index.apply(named("metallb-system/lb-agent"), agents(&[("n1", true), ("n2", true)]));
    index.settle(100 * SECOND);
    assert!(!index.settle(400 * SECOND - 1));
    assert!(index.settle(400 * SECOND));
    assert_eq!(admitted(&index), [("n1", true), ("n2", true)]);
    assert_eq!(index.due(), None);
}

#[test]
fn an_agent_goes_with_its_node() {
    let mut index = three_nodes();
    index.delete::<Node>(&"n3".to_owned());
    assert!(index.settle(SECOND));
    assert_eq!(admitted(&index), [("n1", true), ("n2", true)]);
    index.put("n3", node("192.168.0.3"));
    assert_eq!(admitted(&index)[2], ("n3", true), "its endpoint is still there");
}

#[test]
fn what_agents_tell_of_themselves_is_theirs() {
    let mut index = three_nodes();
    assert!(index.put("n2", own(&["172.16.0.2"])));
    assert!(!index.put("n9", own(&["172.16.0.9"])), "of a node without an agent");
    assert_eq!(index.cluster().agents["n2"].addresses, [ip("172.16.0.2")]);
}

#[test]
fn a_cluster_outlives_being_written_down() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=web"), &["n1", "?"]);
    index.put("more", advertisement().nodes("rack=a").prefers(5, "rack=a").on(&["eth1"]));
    index.put("second", Pool { problems: vec!["broken".to_owned()], ..pool(&[]) });
    assert_eq!(relisted(index.cluster()), *index.cluster());
}

proptest! {
    /// Of each object the last event counts. The rest may come in any order, twice, or as a list.
    #[test]
    fn any_interleaving_of_events_ends_as_a_fresh_list_does(
        events in prop::collection::vec(event(), 0..30),
        seed in any::<u64>(),
    ) {
        let mut last = HashMap::new();
        for event in &events {
            last.insert(event.about(), event.clone());
        }
        let mut followed = three_nodes();
        for event in &events {
            event.clone().apply(&mut followed);
            followed.settle(0);
        }
        // The same in another order: those of one object keep theirs, and some come twice.
        let mut random = fastrand::Rng::with_seed(seed);
        let mut queues: HashMap<_, Vec<Event>> = HashMap::new();
        for event in events.into_iter().rev() {
            queues.entry(event.about()).or_default().push(event);
        }
        let mut shuffled = three_nodes();
        while let Some(about) = random.choice(queues.keys().copied()) {
            let queue = queues.get_mut(&about).expect("chosen");
            match queue.pop() {
                Some(event) if random.bool() => {
                    event.clone().apply(&mut shuffled);
                    event.apply(&mut shuffled);
                }
                Some(event) => _ = event.apply(&mut shuffled),
                None => _ = queues.remove(&about),
            }
        }
        shuffled.settle(0);
        let mut fresh = three_nodes();
        last.into_values().for_each(|event| _ = event.apply(&mut fresh));
        fresh.settle(0);
        prop_assert_eq!(followed.cluster(), fresh.cluster());
        prop_assert_eq!(shuffled.cluster(), fresh.cluster());
    }

    #[test]
    fn what_the_index_calls_no_change_changes_nothing_of_the_selection(
        events in prop::collection::vec(event(), 1..30),
    ) {
        use crate::cluster::selection::{Options, Selector};
        let options = Options { me: "n1".to_owned(), ..Options::default() };
        let select = |index: &Index| Selector::default().select(index.cluster(), &options);
        let mut index = three_nodes();
        for event in events {
            let before = select(&index);
            let has_changed = event.clone().apply(&mut index) | index.settle(0);
            prop_assert!(has_changed || before == select(&index), "{:?}", event);
        }
    }
}
