//! The orders of many units, computed once: a change of the view computes only what it makes new.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::election::{Election, NodeId};

/// Orders by the unit's key, for one set of nodes that are candidates for every unit.
#[derive(Debug, Default)]
pub struct Ranks {
    nodes: Vec<NodeId>,
    orders: HashMap<IpAddr, Arc<[NodeId]>>,
}

impl Ranks {
    /// The order of each key's unit, in the order of `keys`. Nodes that have left are taken out of the orders; only
    /// nodes that are new, and new keys, take an election.
    pub fn orders(&mut self, nodes: &[(NodeId, &str)], keys: &[IpAddr]) -> Vec<Arc<[NodeId]>> {
        self.follow(nodes);
        let election = Election::new(nodes.iter().copied());
        let old = std::mem::take(&mut self.orders);
        let order = |key: &IpAddr| old.get(key).cloned().unwrap_or_else(|| election.order(*key).into());
        let orders: Vec<Arc<[NodeId]>> = keys.iter().map(order).collect();
        self.orders = keys.iter().copied().zip(orders.iter().cloned()).collect();
        orders
    }

    fn follow(&mut self, nodes: &[(NodeId, &str)]) {
        let mut now: Vec<NodeId> = nodes.iter().map(|&(node, _)| node).collect();
        now.sort_unstable();
        if now == self.nodes {
            return;
        }
        let is_there = |node: &NodeId| now.binary_search(node).is_ok();
        if now.iter().all(|node| self.nodes.binary_search(node).is_ok()) {
            for order in self.orders.values_mut() {
                *order = order.iter().copied().filter(is_there).collect();
            }
        } else {
            self.orders.clear();
        }
        self.nodes = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    proptest! {
        #[test]
        fn cached_orders_are_those_of_a_fresh_election(
            steps in prop::collection::vec((prop::collection::btree_set(0_u16..6, 0..6), prop::collection::vec(0_u8..8, 0..6)), 1..6),
        ) {
            let mut ranks = Ranks::default();
            for (nodes, keys) in steps {
                let nodes: Vec<(NodeId, &str)> = nodes.into_iter().map(|node| (node, NAMES[usize::from(node)])).collect();
                let keys: Vec<IpAddr> = keys.into_iter().map(|last| [10, 0, 0, last].into()).collect();
                let fresh: Vec<Arc<[NodeId]>> =
                    keys.iter().map(|&key| Election::new(nodes.iter().copied()).order(key).into()).collect();
                prop_assert_eq!(ranks.orders(&nodes, &keys), fresh);
            }
        }
    }
}
