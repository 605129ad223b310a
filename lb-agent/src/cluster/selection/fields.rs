//! Sets of nodes with scores, each computed once: most Services have one of a few.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::verdict::{NodeVerdict, Serving};
use crate::plan::Candidate;

/// A node by its place in [`Fields`], with its score.
pub(super) type Entry = (usize, i64);

/// Nodes that may be candidates.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Field {
    /// All that are eligible, in ascending order.
    entries: Box<[Entry]>,
    /// Those of them that are fit; all, where none is.
    pub(super) candidates: Arc<[Candidate]>,
}

/// Every set in use, and the nodes that they are of.
#[derive(Debug, Default)]
pub(super) struct Fields {
    nodes: Vec<(Arc<str>, bool)>,
    numbers: HashMap<Arc<str>, usize>,
    fields: HashMap<Box<[Entry]>, Arc<Field>>,
    /// Also those of earlier nodes: what is equal stays the same object.
    candidates: BTreeSet<Arc<[Candidate]>>,
}

/// Sets that nobody uses are dropped when there are so many.
const PRUNE_FROM: usize = 1024;

impl Fields {
    /// Of the eligible ones of these nodes; what equals one of `before` is shared with it.
    pub(super) fn new<'a>(
        nodes: impl Iterator<Item = (&'a Arc<str>, &'a NodeVerdict)>,
        before: Self,
    ) -> Self {
        let eligible = nodes.filter(|(_, node)| node.is_eligible());
        let nodes: Vec<(Arc<str>, bool)> =
            eligible.map(|(name, node)| (Arc::clone(name), node.is_fit())).collect();
        let numbers =
            nodes.iter().enumerate().map(|(number, (name, _))| (Arc::clone(name), number)).collect();
        let mut candidates = before.candidates;
        drop(before.fields);
        candidates.retain(|set| Arc::strong_count(set) > 1);
        Self { nodes, numbers, fields: HashMap::new(), candidates }
    }

    /// The names of the nodes; an entry's number is the place in this list.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.iter().map(|(name, _)| name)
    }

    /// These nodes, in ascending order.
    pub(super) fn of(&mut self, entries: Vec<Entry>) -> Arc<Field> {
        if let Some(field) = self.fields.get(entries.as_slice()) {
            return Arc::clone(field);
        }
        if self.fields.len() >= PRUNE_FROM && self.fields.len().is_power_of_two() {
            self.fields.retain(|_, field| Arc::strong_count(field) > 1);
            self.candidates.retain(|set| Arc::strong_count(set) > 1);
        }
        let entries: Box<[Entry]> = entries.into();
        let field = Arc::new(Field { candidates: self.candidates(&entries), entries: entries.clone() });
        self.fields.insert(entries, Arc::clone(&field));
        field
    }

    /// Those of a set where a Service has an endpoint.
    pub(super) fn serving(&mut self, field: &Field, serving: &Serving) -> Arc<Field> {
        let numbers = serving.nodes.iter().filter_map(|name| self.numbers.get(name).copied());
        let entries = numbers.filter_map(|node| Some((node, field.score(node)?))).collect();
        self.of(entries) // names and numbers have the same order
    }

    /// Those that are in all sets, with the sum of their scores.
    pub(super) fn common(&mut self, fields: &[&Field]) -> Arc<Field> {
        let Some((first, others)) = fields.split_first() else { return self.of(Vec::new()) };
        let in_all = |&(node, score): &Entry| {
            let score = others.iter().try_fold(score, |sum, other| Some(sum + other.score(node)?))?;
            Some((node, score))
        };
        let entries = first.entries.iter().filter_map(in_all).collect();
        self.of(entries)
    }

    fn candidates(&mut self, entries: &[Entry]) -> Arc<[Candidate]> {
        let is_any_fit = entries.iter().any(|&(node, _)| self.nodes[node].1);
        let counts = entries.iter().filter(|&&(node, _)| self.nodes[node].1 || !is_any_fit);
        let candidate = |&(node, score): &Entry| Candidate { node: Arc::clone(&self.nodes[node].0), score };
        let candidates: Vec<Candidate> = counts.map(candidate).collect();
        if let Some(known) = self.candidates.get(candidates.as_slice()) {
            return Arc::clone(known);
        }
        let candidates: Arc<[Candidate]> = candidates.into();
        self.candidates.insert(Arc::clone(&candidates));
        candidates
    }
}

impl Field {
    /// The score of a node that is in it.
    fn score(&self, node: usize) -> Option<i64> {
        let found = self.entries.binary_search_by_key(&node, |&(node, _)| node).ok()?;
        Some(self.entries[found].1)
    }

    /// Whether no node is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
