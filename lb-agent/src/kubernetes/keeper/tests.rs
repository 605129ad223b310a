use super::*;
use crate::cluster::objects::{AgentSlice, Node, ObjectName};

const S: BoottimeNs = 1_000_000_000;

fn list(
    plural: &'static str,
    seen: BoottimeNs,
    make: impl FnOnce(&mut Index) -> bool + Send + 'static,
) -> Change {
    Change { plural, is_list: true, is_of_agents: plural == "slices", seen, make: Box::new(make) }
}

fn change(seen: BoottimeNs, make: impl FnOnce(&mut Index) -> bool + Send + 'static) -> Change {
    Change { plural: "nodes", is_list: false, is_of_agents: false, seen, make: Box::new(make) }
}

fn node(is_ready: bool) -> Node {
    Node { is_ready, addresses: vec!["10.0.0.1".parse().unwrap()], ..Node::default() }
}

fn nodes(seen: BoottimeNs) -> Change {
    list("nodes", seen, |index| index.reset([("n1".to_owned(), node(true))]))
}

fn slices(seen: BoottimeNs) -> Change {
    let slice = AgentSlice { nodes: [("n1".to_owned(), true)].into() };
    list("slices", seen, |index| index.reset([(ObjectName::new("lb", "agents"), slice)]))
}

fn keeper(known: Option<Cluster>) -> Keeper {
    Keeper::new(known, Options { me: "n1".to_owned(), ..Options::default() }, ["nodes", "slices"])
}

/// The agents of a published selection, where it is from, and when it was first heard of.
fn told(published: Option<Published>) -> Option<(Vec<String>, bool, BoottimeNs)> {
    let Published { selection, is_from_disk, seen } = published?;
    let nodes = selection.plan.nodes.iter().flatten().map(|node| node.name.to_string()).collect();
    Some((nodes, is_from_disk, seen))
}

#[test]
fn nothing_is_published_before_every_kind_has_been_listed() {
    let mut keeper = keeper(None);
    assert_eq!(keeper.publish(true, S), None);
    keeper.take(nodes(2 * S));
    assert_eq!(keeper.publish(true, 2 * S), None);
    keeper.take(slices(3 * S));
    assert_eq!(told(keeper.publish(true, 3 * S)), Some((vec!["n1".to_owned()], false, 2 * S)));
    assert_eq!(keeper.publish(true, 4 * S), None);
}

#[test]
fn an_empty_cluster_is_published_too() {
    let mut keeper = keeper(None);
    keeper.take(list("nodes", S, |_| false));
    keeper.take(list("slices", S, |_| false));
    assert_eq!(told(keeper.publish(true, S)), Some((vec![], false, S)));
}

/// What an agent that knew n1 has left.
fn known() -> Cluster {
    let mut before = keeper(None);
    before.take(nodes(S));
    before.take(slices(S));
    before.publish(true, S);
    before.save()
}

#[test]
fn what_is_known_from_disk_is_published_at_once_and_holds_until_everything_is_listed() {
    let mut keeper = keeper(Some(known()));
    let n1 = vec!["n1".to_owned()];
    assert_eq!(told(keeper.publish(false, 5 * S)), Some((n1.clone(), true, 5 * S)));
    keeper.take(list("nodes", 6 * S, |index| index.reset::<Node>([])));
    assert_eq!(keeper.publish(true, 6 * S), None);
    keeper.take(slices(7 * S));
    assert_eq!(told(keeper.publish(true, 7 * S)), Some((vec![], false, 6 * S)));
}

#[test]
fn that_the_state_is_the_apis_now_is_told_though_it_is_the_same() {
    let mut keeper = keeper(Some(known()));
    let from_disk = keeper.publish(false, 5 * S).expect("published");
    keeper.take(nodes(6 * S));
    keeper.take(slices(6 * S));
    let from_api = keeper.publish(true, 6 * S).expect("published");
    assert_eq!((from_disk.is_from_disk, from_api.is_from_disk), (true, false));
    assert!(Arc::ptr_eq(&from_disk.selection, &from_api.selection));
}

#[test]
fn what_changes_nothing_is_neither_published_nor_saved() {
    let mut keeper = keeper(None);
    keeper.take(nodes(S));
    keeper.take(slices(S));
    keeper.publish(true, S);
    assert!(keeper.is_unsaved());
    keeper.save();
    keeper.take(change(2 * S, |index| index.apply("n1".to_owned(), node(true))));
    assert_eq!((keeper.publish(true, 2 * S), keeper.is_unsaved()), (None, false));
    keeper.take(change(3 * S, |index| index.apply("n1".to_owned(), node(false))));
    assert_eq!(told(keeper.publish(true, 3 * S)), Some((vec!["n1".to_owned()], false, 3 * S)));
    assert!(keeper.is_unsaved());
}

#[test]
fn agents_are_not_given_up_while_no_word_comes() {
    let mut keeper = keeper(None);
    keeper.take(nodes(S));
    keeper.take(slices(S));
    keeper.publish(true, S);
    keeper.take(list("slices", 2 * S, |index| index.reset::<AgentSlice>([])));
    assert_eq!(keeper.publish(true, 2 * S), None);
    let due = keeper.due().expect("the absence ends some time");
    assert_eq!(keeper.publish(true, due - 1), None);
    assert_eq!(keeper.publish(false, due), None);
    assert_eq!(told(keeper.publish(true, due)), Some((vec![], false, due)));
}

#[test]
fn options_change_the_selection() {
    let mut keeper = keeper(None);
    keeper.take(nodes(S));
    keeper.take(slices(S));
    keeper.publish(true, S);
    let interfaces = crate::plan::Interfaces::Named(vec!["eth1".to_owned()]);
    keeper.set_options(Options { me: "n1".to_owned(), interfaces: interfaces.clone(), ..Options::default() });
    let published = keeper.publish(true, 2 * S).expect("published");
    assert_eq!(published.selection.plan.interfaces, interfaces);
}
