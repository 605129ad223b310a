use k8s_openapi::api::core::v1::Node as Resource;
use tokio::time::timeout;

use super::*;
use crate::{
    cluster::{Cluster, objects::Node},
    kubernetes::word::{Vouched, Word},
};

struct Nodes;

impl Kind for Nodes {
    type Resource = Resource;
    type Object = Node;

    const PLURAL: &'static str = "nodes";

    /// Those that are labelled `hidden` are of no interest.
    fn trim(&self, node: Resource) -> Option<Node> {
        let labels = node.metadata.labels.unwrap_or_default();
        (!labels.contains_key("hidden")).then(|| Node { labels, ..Node::default() })
    }

    fn name(&self, meta: &ObjectMeta) -> Option<String> {
        meta.name.clone()
    }
}

fn node(name: &str, label: &str) -> Resource {
    let labels = Some([(label.to_owned(), String::new())].into());
    Resource {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() },
        ..Resource::default()
    }
}

/// The nodes with their only label.
fn known(cluster: &Cluster) -> Vec<(&str, &str)> {
    let labels =
        cluster.nodes.iter().flat_map(|(name, node)| node.labels.keys().map(move |label| (name, label)));
    labels.map(|(name, label)| (name.as_str(), label.as_str())).collect()
}

/// Takes events one by one; says of each change whether it is a list, and whether anything may follow from it.
#[derive(Default)]
struct Run {
    index: Index,
    list: Vec<(String, Node)>,
}

impl Run {
    fn take(&mut self, event: Event<Resource>) -> Option<(bool, bool)> {
        let change = change(&Nodes, event, &mut self.list, 7)?;
        assert_eq!((change.plural, change.seen), ("nodes", 7));
        Some((change.is_list, (change.make)(&mut self.index)))
    }
}

#[test]
fn a_list_counts_when_it_is_complete() {
    let mut run = Run::default();
    run.take(Event::Apply(node("n0", "old")));
    assert_eq!(run.take(Event::Init), None);
    assert_eq!(run.take(Event::InitApply(node("n1", "a"))), None);
    assert_eq!(run.take(Event::InitApply(node("n2", "hidden"))), None);
    assert_eq!(known(run.index.cluster()), [("n0", "old")]);
    assert_eq!(run.take(Event::InitDone), Some((true, true)));
    assert_eq!(known(run.index.cluster()), [("n1", "a")]);
}

#[test]
fn a_list_that_broke_off_leaves_nothing_behind() {
    let mut run = Run::default();
    run.take(Event::Init);
    run.take(Event::InitApply(node("n1", "a")));
    run.take(Event::Init);
    run.take(Event::InitApply(node("n2", "b")));
    assert_eq!(run.take(Event::InitDone), Some((true, true)));
    assert_eq!(known(run.index.cluster()), [("n2", "b")]);
}

#[test]
fn the_same_list_again_is_no_change() {
    let mut run = Run::default();
    let mut list = || {
        run.take(Event::Init);
        run.take(Event::InitApply(node("n1", "a")));
        run.take(Event::InitDone)
    };
    assert_eq!([list(), list()], [Some((true, true)), Some((true, false))]);
}

#[test]
fn changes_count_one_by_one_and_duplicates_do_not() {
    let mut run = Run::default();
    assert_eq!(run.take(Event::Apply(node("n1", "a"))), Some((false, true)));
    assert_eq!(run.take(Event::Apply(node("n1", "a"))), Some((false, false)));
    assert_eq!(run.take(Event::Apply(node("n1", "b"))), Some((false, true)));
    assert_eq!(known(run.index.cluster()), [("n1", "b")]);
    assert_eq!(run.take(Event::Delete(node("n1", "b"))), Some((false, true)));
    assert_eq!(run.take(Event::Delete(node("n1", "b"))), Some((false, false)));
    assert_eq!(known(run.index.cluster()), []);
}

#[test]
fn what_is_of_no_more_interest_is_gone() {
    let mut run = Run::default();
    run.take(Event::Apply(node("n1", "a")));
    assert_eq!(run.take(Event::Apply(node("n1", "hidden"))), Some((false, true)));
    assert_eq!(known(run.index.cluster()), []);
}

/// A backoff whose next wait is of 15 s at least.
fn grown() -> Backoff {
    let mut backoff = Backoff::default();
    (0..10).for_each(|_| _ = backoff.failed(Duration::ZERO, 0.0));
    backoff
}

#[tokio::test]
async fn a_wait_that_has_grown_ends_when_the_api_answers_again() {
    let word = Word::default();
    let (mut backoff, mut returns) = (grown(), word.returns());
    let answer = async {
        tokio::task::yield_now().await;
        word.opened(Vouched::Yes, 1);
    };
    let both = async { tokio::join!(pause(&mut backoff, &mut returns, 0), answer) };
    timeout(Duration::from_secs(5), both).await.expect("woken");
    assert!(backoff.failed(Duration::ZERO, 0.0) < Duration::from_secs(1), "the next wait is a first one");
}

#[tokio::test]
async fn a_failure_after_the_api_has_answered_again_is_a_first_one() {
    let word = Word::default();
    let (mut backoff, mut returns) = (grown(), word.returns());
    word.opened(Vouched::Yes, 1);
    timeout(Duration::from_secs(5), pause(&mut backoff, &mut returns, 0)).await.expect("a short wait");
    // What lasts although others are answered is waited for as ever.
    let mut backoff = grown();
    let waited = timeout(Duration::from_millis(50), pause(&mut backoff, &mut returns, 0)).await;
    assert!(waited.is_err());
}
