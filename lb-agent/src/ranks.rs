//! The orders of many units, computed once: a change of the view computes only what it makes new.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    election::{Contender, KeyText, NodeId, Rank},
    plan::Candidate,
};

/// The candidates of a unit with their scores, by number.
type Electorate = Arc<[(NodeId, i64)]>;

/// Orders by the unit's key.
#[derive(Debug, Default)]
pub struct Ranks {
    nodes: BTreeMap<NodeId, Contender<'static>>,
    numbers: HashMap<Box<str>, NodeId>,
    /// All nodes, with the same score.
    everyone: Electorate,
    /// Sets of candidates by their addresses in memory: units share them. As long as one is kept here, no other can be at
    /// its address.
    electorates: HashMap<usize, (Arc<[Candidate]>, Electorate)>,
    orders: HashMap<IpAddr, Ranked>,
}

#[derive(Debug)]
struct Ranked {
    electorate: Electorate,
    order: Arc<[NodeId]>,
}

impl Ranks {
    /// Follows the nodes of the plan.
    pub fn follow(&mut self, nodes: &[(NodeId, &str)]) {
        let is_same = |(node, name): &(NodeId, &str)| self.numbers.get(*name) == Some(node);
        if nodes.len() == self.nodes.len() && nodes.iter().all(is_same) {
            return;
        }
        self.numbers = nodes.iter().map(|&(node, name)| (name.into(), node)).collect();
        self.nodes = nodes.iter().map(|&(node, name)| (node, Contender::new(name.to_owned()))).collect();
        self.everyone = self.nodes.keys().map(|&node| (node, 0)).collect();
        self.electorates.clear();
    }

    /// The order of the unit with this key. Candidates that are no nodes of the plan are left out; without candidates each
    /// node is one. Only those that are new, or have another score, take an election.
    pub fn order(&mut self, key: IpAddr, candidates: Option<&Arc<[Candidate]>>) -> Arc<[NodeId]> {
        let electorate = self.electorate(candidates);
        let order = match self.orders.get(&key) {
            Some(before) if before.electorate == electorate => Arc::clone(&before.order),
            Some(before) => self.changed(key, before, &electorate),
            None => self.elected(key, &electorate),
        };
        self.orders.insert(key, Ranked { electorate, order: Arc::clone(&order) });
        order
    }

    /// Forgets units that are gone, and the sets of candidates that nobody else has any more.
    pub fn forget(&mut self, keys: impl IntoIterator<Item = IpAddr>) {
        keys.into_iter().for_each(|key| drop(self.orders.remove(&key)));
        self.electorates.retain(|_, (candidates, _)| Arc::strong_count(candidates) > 1);
    }

    fn electorate(&mut self, candidates: Option<&Arc<[Candidate]>>) -> Electorate {
        let Some(candidates) = candidates else { return Arc::clone(&self.everyone) };
        let numbers = &self.numbers;
        let numbered = || {
            let known = candidates
                .iter()
                .filter_map(|Candidate { node, score }| Some((*numbers.get(&**node)?, *score)));
            // Of one that is there twice the higher score counts.
            let mut scores: BTreeMap<NodeId, i64> = BTreeMap::new();
            known.for_each(|(node, score)| {
                scores.entry(node).and_modify(|known| *known = score.max(*known)).or_insert(score);
            });
            (Arc::clone(candidates), scores.into_iter().collect())
        };
        let (_, electorate) = self.electorates.entry(candidates.as_ptr().addr()).or_insert_with(numbered);
        Arc::clone(electorate)
    }

    fn elected(&self, key: IpAddr, electorate: &[(NodeId, i64)]) -> Arc<[NodeId]> {
        let key = KeyText::of(key);
        let ranked = |&(node, score): &(NodeId, i64)| Some((self.nodes.get(&node)?.rank(score, &key), node));
        let mut ranked: Vec<(Rank<'_>, NodeId)> = electorate.iter().filter_map(ranked).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, node)| node).collect()
    }

    /// The order of a unit whose candidates have changed. A few new ones find their places by asking for the ranks of those
    /// that lie on the way.
    fn changed(&self, key: IpAddr, before: &Ranked, electorate: &[(NodeId, i64)]) -> Arc<[NodeId]> {
        let has = |those: &[(NodeId, i64)], one: &(NodeId, i64)| those.binary_search(one).is_ok();
        let new: Vec<(NodeId, i64)> =
            electorate.iter().filter(|one| !has(&before.electorate, one)).copied().collect();
        if new.len() * (2 + electorate.len().max(1).ilog2() as usize) > electorate.len() {
            return self.elected(key, electorate);
        }
        let stays = |node: &NodeId| {
            let score = before
                .electorate
                .binary_search_by_key(node, |&(node, _)| node)
                .map(|at| before.electorate[at].1);
            score.is_ok_and(|score| has(electorate, &(*node, score)))
        };
        let mut order: Vec<NodeId> = before.order.iter().copied().filter(stays).collect();
        let key = KeyText::of(key);
        let rank = |node: NodeId| {
            let at = electorate.binary_search_by_key(&node, |&(node, _)| node).ok()?;
            Some(self.nodes.get(&node)?.rank(electorate[at].1, &key))
        };
        for (node, _) in new {
            let own = rank(node);
            let at = order.partition_point(|&other| rank(other) < own);
            order.insert(at, node);
        }
        order.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::election::Election;

    const NAMES: [&str; 24] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
        "u", "v", "w", "x",
    ];

    /// Nodes of the plan; sets of candidates; the units with their keys, and the set of each, if it has one.
    type Step = (Vec<NodeId>, Vec<Vec<(NodeId, i64)>>, Vec<(u8, Option<usize>)>);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let nodes =
            prop::collection::btree_set(0..24_u16, 0..24).prop_map(|nodes| nodes.into_iter().collect());
        let set = prop::collection::vec((0..24_u16, -1..2_i64), 0..24);
        let sets = prop::collection::vec(set, 3);
        let units = prop::collection::vec((0..8_u8, prop::option::of(0..3_usize)), 0..6);
        prop::collection::vec((nodes, sets, units), 1..6)
    }

    fn fresh(nodes: &[NodeId], candidates: Option<&Arc<[Candidate]>>, key: IpAddr) -> Arc<[NodeId]> {
        let score = |name: &str| match candidates {
            None => Some(0),
            Some(candidates) => candidates.iter().filter(|one| &*one.node == name).map(|one| one.score).max(),
        };
        let scored = nodes.iter().filter_map(|&node| {
            let name = NAMES[usize::from(node)];
            Some((node, name, score(name)?))
        });
        Election::with_scores(scored).order(key).into()
    }

    proptest! {
        #[test]
        fn cached_orders_are_those_of_a_fresh_election(steps in steps()) {
            let mut ranks = Ranks::default();
            let mut kept: Vec<Arc<[Candidate]>> = Vec::new();
            for (number, (nodes, sets, units)) in steps.into_iter().enumerate() {
                let sets = sets.into_iter().map(|set| {
                    let candidate = |(node, score)| Candidate { node: NAMES[usize::from(node)].into(), score };
                    set.into_iter().map(candidate).collect::<Arc<[Candidate]>>()
                });
                // Every other step goes on with the sets of the one before.
                if number % 2 == 0 {
                    kept = sets.collect();
                }
                let named: Vec<(NodeId, &str)> =
                    nodes.iter().map(|&node| (node, NAMES[usize::from(node)])).collect();
                ranks.follow(&named);
                for (last, set) in units {
                    let (key, set) = (IpAddr::from([10, 0, 0, last]), set.map(|set| &kept[set]));
                    prop_assert_eq!(ranks.order(key, set), fresh(&nodes, set, key));
                }
                ranks.forget([IpAddr::from([10, 0, 0, 3])]);
            }
        }
    }

    #[test]
    fn a_node_that_comes_or_goes_leaves_the_others_in_their_order() {
        let named: Vec<(NodeId, &str)> = (0..).zip(NAMES).collect();
        let mut ranks = Ranks::default();
        let key = IpAddr::from([10, 0, 0, 1]);
        ranks.follow(&named);
        let all = ranks.order(key, None);
        ranks.follow(&named[..23]);
        let without = ranks.order(key, None);
        assert_eq!(*without, *all.iter().copied().filter(|&node| node != 23).collect::<Vec<_>>());
        ranks.follow(&named);
        assert_eq!(ranks.order(key, None), all);
    }

    #[test]
    fn candidates_that_are_no_nodes_of_the_plan_are_left_out() {
        let mut ranks = Ranks::default();
        ranks.follow(&[(4, "a"), (2, "b")]);
        let candidates: Arc<[Candidate]> =
            ["b", "z"].map(|node| Candidate { node: node.into(), score: 3 }).into();
        assert_eq!(*ranks.order(IpAddr::from([10, 0, 0, 1]), Some(&candidates)), [2]);
    }
}
