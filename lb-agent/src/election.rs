//! Who should announce a unit: the candidates in order, the first being the one to announce.
//!
//! Ascending sha256(node name + "#" + key), where the key is the text of an address: MetalLB's rule, so that a cluster
//! which moves over keeps its announcers. A candidate with a higher score (`preferredNodeSelectors`) goes before. Every node
//! computes the same order from the same view.

use std::{borrow::Cow, cmp::Reverse, net::IpAddr};

use sha2::{Digest as _, Sha256};

/// A node by its number in this agent's [`Roster`](crate::roster::Roster). Numbers mean nothing to other agents.
pub type NodeId = u16;

/// The address whose text is the key of a unit: the one with the smallest text, whatever the order in which they are named.
/// `None` for a unit without addresses.
#[must_use]
pub fn key(addresses: &[IpAddr]) -> Option<IpAddr> {
    match *addresses {
        [only] => Some(only),
        ref several => several.iter().min_by_key(|address| address.to_string()).copied(),
    }
}

/// A node that may be elected. Of its hash, what depends on its name alone is computed once.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    name: Cow<'a, str>,
    prefix: Sha256,
}

/// Where a contender stands in an election: the one with the smallest is the first.
pub type Rank<'a> = (Reverse<i64>, [u8; 32], &'a str);

impl<'a> Contender<'a> {
    /// The node with this name.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Self {
        let name = name.into();
        Self { prefix: Sha256::new().chain_update(&*name), name }
    }

    /// Where it stands with this score for the unit with this key.
    #[must_use]
    pub fn rank(&self, score: i64, key: &KeyText) -> Rank<'_> {
        (Reverse(score), self.prefix.clone().chain_update(&key.0).finalize().into(), &self.name)
    }
}

/// What is hashed of a unit's key.
pub struct KeyText(String);

impl KeyText {
    /// Of this key.
    #[must_use]
    pub fn of(key: IpAddr) -> Self {
        Self(format!("#{key}"))
    }
}

/// Puts candidates in order for many keys.
pub struct Election<'a> {
    candidates: Vec<(NodeId, i64, Contender<'a>)>,
}

impl<'a> Election<'a> {
    /// An election among these nodes, all of them with the same score.
    pub fn new(candidates: impl IntoIterator<Item = (NodeId, &'a str)>) -> Self {
        Self::with_scores(candidates.into_iter().map(|(id, name)| (id, name, 0)))
    }

    /// An election among these nodes: a higher score goes before all else.
    pub fn with_scores(candidates: impl IntoIterator<Item = (NodeId, &'a str, i64)>) -> Self {
        let prepare = |(id, name, score): (NodeId, &'a str, i64)| (id, score, Contender::new(name));
        Self { candidates: candidates.into_iter().map(prepare).collect() }
    }

    /// The candidates for the unit with this key, best first.
    #[must_use]
    pub fn order(&self, key: IpAddr) -> Box<[NodeId]> {
        let key = KeyText::of(key);
        let mut ranked: Vec<(Rank<'_>, NodeId)> = self
            .candidates
            .iter()
            .map(|(id, score, contender)| (contender.rank(*score, &key), *id))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order<'a>(names: &[&'a str], key: &str) -> Vec<&'a str> {
        let numbered = (0..).zip(names.iter().copied());
        let order = Election::new(numbered).order(key.parse().unwrap());
        order.iter().map(|&id| names[usize::from(id)]).collect()
    }

    /// Orders that MetalLB's own rule gives.
    #[test]
    fn the_order_is_that_of_metallb() {
        let three: &[&str] = &["node-a", "node-b", "node-c"];
        let kind: &[&str] = &["kind-control-plane", "kind-worker", "kind-worker2"];
        let five: &[&str] = &["n1", "n2", "n3", "n4", "n5"];
        let edge: &[&str] = &["edge-a", "edge-b", "worker-a", "worker-b"];
        let vectors: [(&[&str], &str, &[&str]); 11] = [
            (three, "10.0.0.1", &["node-b", "node-a", "node-c"]),
            (three, "10.0.0.2", &["node-b", "node-c", "node-a"]),
            (edge, "10.20.30.1", &["edge-b", "worker-a", "edge-a", "worker-b"]),
            (&["node-a", "node-b"], "10.20.30.1", &["node-b", "node-a"]),
            (&["iris1", "iris2"], "10.20.30.1", &["iris2", "iris1"]),
            (&["iris1", "iris2"], "10.20.30.2", &["iris1", "iris2"]),
            (kind, "192.168.1.240", &["kind-control-plane", "kind-worker2", "kind-worker"]),
            (kind, "192.168.1.241", &["kind-worker2", "kind-worker", "kind-control-plane"]),
            (kind, "fc00:f853:ccd:e799::1", &["kind-worker2", "kind-control-plane", "kind-worker"]),
            (five, "172.18.255.200", &["n4", "n5", "n1", "n2", "n3"]),
            (five, "2001:db8::1", &["n4", "n2", "n3", "n1", "n5"]),
        ];
        for (names, key, expected) in vectors {
            assert_eq!(order(names, key), expected, "{key}");
        }
    }

    #[test]
    fn a_higher_score_goes_before_the_hash() {
        let scored = [(0, "n1", -1), (1, "n2", 7), (2, "n3", 0), (3, "n4", 0), (4, "n5", 7)];
        let order = Election::with_scores(scored).order("172.18.255.200".parse().unwrap());
        assert_eq!(*order, [4, 1, 3, 2, 0], "n5 n2, n4 n3, n1; without scores n4 n5 n1 n2 n3");
    }

    #[test]
    fn the_key_of_a_unit_is_its_smallest_address_as_text() {
        let key_of = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            key(&addresses).map(|key| key.to_string())
        };
        assert_eq!(key_of(&["fd00::11", "10.0.0.9", "10.0.0.10"]).as_deref(), Some("10.0.0.10"));
        assert_eq!(key_of(&["2001:db8::1", "203.0.113.1"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(key_of(&["fd00::1"]).as_deref(), Some("fd00::1"));
        assert_eq!(key_of(&[]), None);
    }

    proptest! {
        #[test]
        fn a_node_that_leaves_moves_only_what_it_had(last in 0_u8.., gone in 0_usize..6) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let key = format!("10.0.0.{last}");
            let mut expected = order(&names, &key);
            expected.retain(|name| *name != names[gone]);
            let rest: Vec<&str> = names.iter().copied().filter(|name| *name != names[gone]).collect();
            prop_assert_eq!(order(&rest, &key), expected);
        }

        #[test]
        fn the_order_does_not_depend_on_that_of_the_view(last in 0_u8.., names in Just(vec!["a", "b", "c", "d"]).prop_shuffle()) {
            let key = format!("10.0.0.{last}");
            prop_assert_eq!(order(&names, &key), order(&["a", "b", "c", "d"], &key));
        }
    }
}
