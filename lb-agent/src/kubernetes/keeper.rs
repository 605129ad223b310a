//! What the watches tell, kept, and what follows from it, as a value: no IO, and time is an argument.

use std::{collections::BTreeSet, sync::Arc};

use super::watching::Change;
use crate::{
    cluster::{
        Cluster,
        index::Index,
        selection::{Options, Selection, Selector},
    },
    model::BoottimeNs,
};

/// A selection, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What the agent is to do, and why.
    pub selection: Arc<Selection>,
    /// It follows from what an earlier agent has left on disk: the API has not told everything yet.
    pub is_from_disk: bool,
    /// When the first of the changes that led to it was heard of.
    pub seen: BoottimeNs,
}

/// The cluster, and the selection that follows.
pub struct Keeper {
    index: Index,
    selector: Selector,
    options: Options,
    /// The kinds of which no list has come yet.
    unlisted: BTreeSet<&'static str>,
    /// There was something on disk.
    is_known: bool,
    /// Something may follow from what has come since the last selection.
    is_changed: bool,
    /// Another agent has come, or gone, or told something.
    is_unsettled: bool,
    /// When the first of that was heard of.
    seen: Option<BoottimeNs>,
    is_unsaved: bool,
    published: Option<Published>,
}

impl Keeper {
    /// Begins with what is known from disk, and waits for a list of each of these kinds.
    #[must_use]
    pub fn new(
        known: Option<Cluster>,
        options: Options,
        kinds: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        Self {
            is_known: known.is_some(),
            is_changed: known.is_some(),
            is_unsettled: false,
            index: known.map_or_else(Index::default, Index::new),
            selector: Selector::default(),
            options,
            unlisted: kinds.into_iter().collect(),
            seen: None,
            is_unsaved: false,
            published: None,
        }
    }

    /// Takes a change.
    pub fn take(&mut self, change: Change) {
        let Change { plural, is_list, is_of_agents, seen, make } = change;
        self.is_changed |= make(&mut self.index);
        self.is_unsettled |= is_of_agents;
        if is_list && self.unlisted.remove(plural) && self.unlisted.is_empty() {
            self.is_changed = true;
        }
        self.seen.get_or_insert(seen);
    }

    /// Takes new options.
    pub fn set_options(&mut self, options: Options) {
        if self.options != options {
            self.options = options;
            self.is_changed = true;
        }
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        self.index.cluster()
    }

    /// Whether the API has told everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// When to call [`Self::publish`] although nothing came.
    #[must_use]
    pub fn due(&self) -> Option<BoottimeNs> {
        self.index.due().filter(|_| self.is_complete())
    }

    /// Whether the cluster differs from what was last saved.
    #[must_use]
    pub const fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// The cluster, to be saved.
    pub fn save(&mut self) -> Cluster {
        self.is_unsaved = false;
        self.cluster().clone()
    }

    /// What is new since the last call. `has_word`: the API is heard, so that whoever is missing in it is gone.
    pub fn publish(&mut self, has_word: bool, now: BoottimeNs) -> Option<Published> {
        // Half of the new state, half of the old one: neither has ever been.
        let is_first = self.is_known && self.published.is_none();
        if !self.is_complete() && !is_first {
            return None;
        }
        let is_unsettled = self.is_changed || std::mem::take(&mut self.is_unsettled);
        let is_due = self.due().is_some_and(|due| due <= now);
        if self.is_complete() && has_word && (is_unsettled || is_due) {
            self.is_changed |= self.index.settle(now);
        }
        let seen = self.seen.take().unwrap_or(now);
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        self.is_unsaved |= self.is_complete();
        let changes = self.index.take_changes();
        let selection = self.selector.select_changes(self.index.cluster(), &changes, &self.options);
        let published = Published { selection, is_from_disk: !self.is_complete(), seen };
        let is_same = self.published.as_ref().is_some_and(|known| {
            Arc::ptr_eq(&known.selection, &published.selection)
                && known.is_from_disk == published.is_from_disk
        });
        if is_same {
            return None;
        }
        self.published = Some(published.clone());
        Some(published)
    }
}

#[cfg(test)]
mod tests;
