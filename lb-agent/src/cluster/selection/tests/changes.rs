//! What an earlier run found, used again.

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;
use crate::cluster::events::event;

#[test]
fn what_has_not_changed_stays_the_same_object() {
    let mut index = three_nodes();
    index.serve("default/a", service(&["10.0.0.1"]), &["n1"]);
    index.serve("default/b", service(&["10.0.0.2"]).local(), &["n1", "n2"]);
    index.serve("default/c", service(&["10.0.0.3"]).local(), &["n1", "n2"]);
    let mut selector = Selector::default();
    let before = selector.select(index.cluster(), &options());
    let again = selector.select(&relisted(index.cluster()), &options());
    assert!(Arc::ptr_eq(&before, &again), "a list that brings nothing new");
    index.serve("default/a", service(&["10.0.0.1", "10.0.0.9"]), &["n1"]);
    let after = selector.select(index.cluster(), &options());
    assert_eq!(*after, *select(&index));
    let [b, c] = ["default/b", "default/c"].map(named);
    for name in [&b, &c] {
        assert!(Arc::ptr_eq(&before.services[name], &after.services[name]));
    }
    assert!(Arc::ptr_eq(&before.plan.units[1], &after.plan.units[1]));
    assert!(!Arc::ptr_eq(&before.services[&named("default/a")], &after.services[&named("default/a")]));
    let candidates = |at: usize| after.plan.units[at].candidates.as_ref().unwrap();
    assert!(Arc::ptr_eq(candidates(1), candidates(2)), "equal candidates are one object");
}

#[test]
fn a_node_that_changes_without_consequence_leaves_units_and_verdicts_as_they_are() {
    let mut index = three_nodes();
    index.serve("default/a", service(&["10.0.0.1"]), &["n1"]);
    let mut selector = Selector::default();
    let before = selector.select(index.cluster(), &options());
    index.put("n2", node("192.168.0.22"));
    let after = selector.select(index.cluster(), &options());
    assert!(Arc::ptr_eq(&before.plan.units[0], &after.plan.units[0]));
    let a = named("default/a");
    assert!(Arc::ptr_eq(&before.services[&a], &after.services[&a]));
    assert_eq!(after.plan.nodes.as_ref().unwrap()[1], member("n2", &["192.168.0.22"]));
}

#[test]
fn a_label_that_nothing_asks_for_is_no_change() {
    let mut index = three_nodes();
    index.serve("default/a", service(&["10.0.0.1"]), &["n1"]);
    let mut selector = Selector::default();
    let before = selector.select(index.cluster(), &options());
    index.serve("default/a", service(&["10.0.0.1"]).labelled("app=web"), &["n1"]);
    assert!(Arc::ptr_eq(&before, &selector.select(index.cluster(), &options())));
}

proptest! {
    #[test]
    fn a_selection_that_follows_changes_is_that_of_a_fresh_look(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut index = three_nodes();
        let mut selector = Selector::default();
        let mut before = Arc::default();
        for event in events {
            event.clone().apply(&mut index);
            index.settle(0);
            let changes = index.take_changes();
            let followed = selector.select_changes(index.cluster(), &changes, &options());
            let fresh = select(&index);
            prop_assert_eq!(&*followed, &*fresh, "after {:?}", event);
            prop_assert_eq!(Arc::ptr_eq(&followed, &before), followed == before, "published only when it changed");
            before = followed;
        }
    }
}

/// What the generator makes has to get as far as this, or the property above says little.
#[test]
fn random_events_announce_suppress_and_share() {
    let mut runner = TestRunner::deterministic();
    let (mut announced, mut suppressed, mut shared) = (0, 0, 0);
    for _ in 0..100 {
        let mut index = three_nodes();
        let tree = prop::collection::vec(event(), 20).new_tree(&mut runner).unwrap();
        for event in tree.current() {
            event.apply(&mut index);
            index.settle(0);
            let selection = select(&index);
            announced += usize::from(!selection.plan.units.is_empty());
            suppressed += usize::from(!selection.plan.suppress.is_empty());
            let is_shared = |verdict: &Arc<ServiceVerdict>| matches!(&verdict.outcome, Outcome::Announced { services, .. } if services.len() > 1);
            shared += usize::from(selection.services.values().any(is_shared));
        }
    }
    assert!(announced > 200 && suppressed > 200 && shared > 20, "{announced} {suppressed} {shared}");
}
