//! Which peers to probe, so that few sessions tell a node all that it has to know.
//!
//! A node that waits has to know of one live candidate before it, for each unit; of several that would do, the one is
//! taken that does for most units. Only where none is known to live have all of them to be asked.

use std::collections::{BTreeSet, BinaryHeap};

use crate::{election::NodeId, sbfd::Liveness};

/// Peers of which nothing is known that are asked at a time, for each unit.
const UNKNOWN_AT_A_TIME: usize = 32;

/// What a node has to know about one unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Need<'a> {
    /// The candidates before it, best first.
    pub predecessors: &'a [NodeId],
    /// Whether it has to know about each of them.
    pub watch_all: bool,
    /// Of them those that are up and not to be relied on: they did not answer for the unit.
    pub silent: &'a [NodeId],
    /// A peer that it has to know about whatever its rank: the one that was heard to hold the unit.
    pub also: Option<NodeId>,
}

/// Whether the peers that are probed tell a node all that it has to know about a unit, so that [`choose`] would add none for it.
pub fn is_served(
    need: &Need<'_>,
    liveness: impl Fn(NodeId) -> Option<Liveness>,
    probed: &BTreeSet<NodeId>,
) -> bool {
    let is_probed = |node: &NodeId| probed.contains(node);
    need.also.iter().all(is_probed)
        && if need.watch_all {
            need.predecessors.iter().all(is_probed)
        } else if must_search(need, &liveness) {
            let unknown = need.predecessors.iter().filter(|&&node| liveness(node).is_none());
            unknown.take(UNKNOWN_AT_A_TIME).all(is_probed)
        } else {
            let serves = |node: &NodeId| serves(liveness(*node)) && !need.silent.contains(node);
            let mut serving = need.predecessors.iter().filter(|node| serves(node)).peekable();
            serving.peek().is_none() || serving.any(is_probed)
        }
}

/// Whether a peer may stand for the others before a node, by what is known of it.
fn serves(liveness: Option<Liveness>) -> bool {
    !matches!(liveness, Some(Liveness::Down | Liveness::AdminDown | STALE))
}

/// The peers to probe. Those of `before` stay where they still serve.
pub fn choose(
    needs: &[Need<'_>],
    liveness: impl Fn(NodeId) -> Option<Liveness>,
    before: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    // Looked up once for each node: there are many needs.
    let nodes =
        needs.iter().flat_map(|need| need.predecessors).max().map_or(0, |&last| last.saturating_add(1));
    let known: Vec<Option<Liveness>> = (0..nodes).map(&liveness).collect();
    let liveness = |node: NodeId| known.get(usize::from(node)).copied().unwrap_or_else(|| liveness(node));
    let mut chosen = BTreeSet::new();
    // Many needs name the same nodes: marked first, each comes into the set once.
    let mut marked = vec![false; usize::from(nodes)];
    let mut open: Vec<&Need<'_>> = Vec::new();
    for need in needs {
        chosen.extend(need.also);
        if need.watch_all {
            mark(&mut marked, need.predecessors.iter());
        } else if must_search(need, &liveness) {
            // Nobody is known to live: what is known of the others must stay known.
            let (known, unknown): (Vec<NodeId>, Vec<NodeId>) =
                need.predecessors.iter().partition(|&&node| liveness(node).is_some());
            mark(&mut marked, known.iter().chain(unknown.iter().take(UNKNOWN_AT_A_TIME)));
        } else if !need.predecessors.is_empty() {
            open.push(need);
        }
    }
    chosen.extend((0..nodes).filter(|&node| marked[usize::from(node)]));
    let serves = |node: NodeId| serves(liveness(node));
    let mut cover =
        Cover::new(&open, |node| serves(node) && (before.contains(&node) || chosen.contains(&node)));
    cover.count_in(&chosen);
    cover.add(&mut chosen, |node| before.contains(&node));
    let mut cover = Cover::new(&cover.unserved(&open), serves);
    cover.add(&mut chosen, |_| true);
    chosen
}

fn mark<'a>(marked: &mut [bool], nodes: impl Iterator<Item = &'a NodeId>) {
    nodes.for_each(|&node| marked[usize::from(node)] = true);
}

/// Up without an agent: it does not take over, so that it cannot stand for those before it.
const STALE: Liveness = Liveness::Up { is_agent_seen: false };

/// Whether something is known of the predecessors, and that none of them can be relied on.
fn must_search(need: &Need<'_>, liveness: &impl Fn(NodeId) -> Option<Liveness>) -> bool {
    let mut known = need.predecessors.iter().filter(|&&node| liveness(node).is_some()).peekable();
    let serves = |&node: &NodeId| liveness(node) == Some(Liveness::Up { is_agent_seen: true });
    known.peek().is_some() && !known.any(|node| serves(node) && !need.silent.contains(node))
}

/// A greedy cover of needs by nodes.
struct Cover {
    /// Needs that a node would serve, by number; by node.
    served_by: Vec<Vec<u32>>,
    is_served: Vec<bool>,
}

impl Cover {
    fn new(needs: &[&Need<'_>], serves: impl Fn(NodeId) -> bool) -> Self {
        let nodes =
            needs.iter().flat_map(|need| need.predecessors).max().map_or(0, |&last| usize::from(last) + 1);
        let serves: Vec<bool> = (0..).take(nodes).map(serves).collect();
        let mut served_by: Vec<Vec<u32>> = vec![Vec::new(); nodes];
        for (number, need) in (0..).zip(needs) {
            let serves = |node: &NodeId| serves[usize::from(*node)] && !need.silent.contains(node);
            for &node in need.predecessors.iter().filter(|&node| serves(node)) {
                served_by[usize::from(node)].push(number);
            }
        }
        Self { served_by, is_served: vec![false; needs.len()] }
    }

    /// The needs that are left.
    fn unserved<'a>(&self, needs: &[&'a Need<'a>]) -> Vec<&'a Need<'a>> {
        needs
            .iter()
            .zip(&self.is_served)
            .filter(|&(_, is_served)| !is_served)
            .map(|(&need, _)| need)
            .collect()
    }

    /// Takes account of nodes that are chosen already.
    fn count_in(&mut self, chosen: &BTreeSet<NodeId>) {
        for node in chosen {
            self.serve(*node);
        }
    }

    /// Adds nodes, always the one that serves most, until no need is left that one of them would serve.
    fn add(&mut self, chosen: &mut BTreeSet<NodeId>, may: impl Fn(NodeId) -> bool) {
        // What a node serves only becomes less: a count that is too high is put right when it comes up.
        let by_node = (0..).zip(&self.served_by).filter(|&(node, needs)| !needs.is_empty() && may(node));
        let mut heap: BinaryHeap<(usize, std::cmp::Reverse<NodeId>)> =
            by_node.map(|(node, needs)| (needs.len(), std::cmp::Reverse(node))).collect();
        while let Some((count, std::cmp::Reverse(node))) = heap.pop() {
            let left = self.served_by[usize::from(node)]
                .iter()
                .filter(|&&need| !self.is_served[need as usize])
                .count();
            if left == 0 {
                continue;
            }
            if left < count && heap.peek().is_some_and(|&(next, _)| next > left) {
                heap.push((left, std::cmp::Reverse(node)));
                continue;
            }
            chosen.insert(node);
            self.serve(node);
        }
    }

    fn serve(&mut self, node: NodeId) {
        for &need in self.served_by.get(usize::from(node)).into_iter().flatten() {
            self.is_served[need as usize] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        net::{IpAddr, Ipv4Addr},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::election::Election;

    const UP: Liveness = Liveness::Up { is_agent_seen: true };

    fn need(predecessors: &[NodeId]) -> Need<'_> {
        Need { predecessors, watch_all: false, silent: &[], also: None }
    }

    fn chosen(needs: &[Need<'_>], known: &[(NodeId, Liveness)], before: &[NodeId]) -> Vec<NodeId> {
        let known: HashMap<NodeId, Liveness> = known.iter().copied().collect();
        choose(needs, |node| known.get(&node).copied(), &before.iter().copied().collect())
            .into_iter()
            .collect()
    }

    #[test]
    fn one_peer_that_does_for_all_is_enough() {
        assert_eq!(chosen(&[need(&[1, 2]), need(&[2, 3]), need(&[3, 2, 1])], &[], &[]), [2]);
    }

    #[test]
    fn the_only_predecessor_is_always_probed() {
        assert_eq!(chosen(&[need(&[1]), need(&[2])], &[], &[]), [1, 2]);
    }

    #[test]
    fn what_is_probed_already_stays_where_it_serves() {
        assert_eq!(chosen(&[need(&[1, 2]), need(&[2, 3])], &[(1, UP), (3, UP)], &[1, 3]), [1, 3]);
        assert_eq!(chosen(&[need(&[1, 2])], &[(1, UP), (3, UP)], &[1, 3]), [1]);
    }

    #[test]
    fn when_the_one_that_was_relied_on_is_down_the_others_are_asked_and_what_is_known_is_kept() {
        assert_eq!(chosen(&[need(&[1, 2, 3])], &[(2, Liveness::Down)], &[2]), [1, 2, 3]);
        assert_eq!(chosen(&[need(&[1, 2, 3])], &[(2, Liveness::Down), (1, UP)], &[1, 2, 3]), [1]);
        let many: Vec<NodeId> = (0..100).collect();
        assert_eq!(chosen(&[need(&many)], &[(99, Liveness::AdminDown)], &[99]).len(), 1 + 32);
    }

    #[test]
    fn a_peer_without_an_agent_does_not_stand_for_those_before_it() {
        assert_eq!(chosen(&[need(&[1, 2])], &[(2, STALE)], &[2]), [1, 2]);
    }

    #[test]
    fn a_holder_watches_all_and_a_waiting_node_the_holder_too() {
        let all = Need { watch_all: true, ..need(&[1, 2, 3]) };
        assert_eq!(chosen(&[all], &[], &[]), [1, 2, 3]);
        assert_eq!(chosen(&[Need { also: Some(9), ..need(&[1]) }], &[], &[]), [1, 9]);
    }

    #[test]
    fn of_many_nodes_few_are_probed_for_many_units() {
        let names: Vec<String> = (0..200).map(|number| format!("node-{number}")).collect();
        let election = Election::new((0..).zip(names.iter().map(String::as_str)));
        let me: NodeId = 100;
        let orders: Vec<Box<[NodeId]>> = (0..2_000_u32)
            .map(|number| election.order(IpAddr::V4(Ipv4Addr::from(0x0a40_0000 + number))))
            .collect();
        let needs: Vec<Need<'_>> = orders
            .iter()
            .map(|order| need(&order[..order.iter().position(|&node| node == me).expect("a candidate")]))
            .collect();
        let first_ranks: BTreeSet<NodeId> =
            needs.iter().filter_map(|need| need.predecessors.first()).copied().collect();
        let chosen = choose(&needs, |_| None, &BTreeSet::new());
        assert_eq!(first_ranks.len(), 199, "sessions if each watched the first in rank");
        assert!(chosen.len() < 60, "{} sessions", chosen.len());
        let serves = |need: &Need<'_>| {
            need.predecessors.is_empty() || need.predecessors.iter().any(|node| chosen.contains(node))
        };
        assert!(needs.iter().all(serves));
    }

    #[derive(Clone, Debug)]
    struct OwnedNeed {
        predecessors: Vec<NodeId>,
        watch_all: bool,
        silent: Vec<NodeId>,
        also: Option<NodeId>,
    }

    impl OwnedNeed {
        fn borrowed(&self) -> Need<'_> {
            let Self { predecessors, watch_all, silent, also } = self;
            Need { predecessors, watch_all: *watch_all, silent, also: *also }
        }
    }

    fn needs() -> impl Strategy<Value = Vec<OwnedNeed>> {
        let nodes: Vec<NodeId> = (0..8).collect();
        let order = prop::sample::subsequence(nodes, 0..6).prop_shuffle();
        let need = (order, any::<bool>(), 0..3_usize, prop::option::weighted(0.2, 0..8_u16)).prop_map(
            |(predecessors, watch_all, silent, also)| {
                let silent = predecessors.iter().rev().take(silent).copied().collect();
                OwnedNeed { predecessors, watch_all, silent, also }
            },
        );
        prop::collection::vec(need, 0..6)
    }

    fn verdicts() -> impl Strategy<Value = HashMap<NodeId, Liveness>> {
        let liveness = prop::sample::select(vec![UP, STALE, Liveness::Down, Liveness::AdminDown]);
        prop::collection::hash_map(0..8_u16, liveness, 0..8)
    }

    fn borrowed(needs: &[OwnedNeed]) -> Vec<Need<'_>> {
        needs.iter().map(OwnedNeed::borrowed).collect()
    }

    proptest! {
        #[test]
        fn those_that_are_chosen_serve_every_need(needs in needs(), known in verdicts()) {
            let needs = borrowed(&needs);
            let liveness = |node: NodeId| known.get(&node).copied();
            let chosen = choose(&needs, liveness, &known.keys().copied().collect());
            for need in &needs {
                prop_assert!(is_served(need, liveness, &chosen), "{need:?} of {chosen:?}");
            }
        }

        #[test]
        fn where_those_that_are_probed_serve_every_need_no_other_is_chosen(
            needs in needs(),
            known in verdicts(),
            unknown in prop::collection::btree_set(0..8_u16, 0..8),
        ) {
            let liveness = |node: NodeId| known.get(&node).copied();
            let probed = known.keys().copied().chain(unknown).collect();
            let mut needs = borrowed(&needs);
            needs.retain(|need| is_served(need, liveness, &probed));
            let chosen = choose(&needs, liveness, &probed);
            prop_assert!(chosen.is_subset(&probed), "{chosen:?} of {probed:?}");
        }
    }
}
