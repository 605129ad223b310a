//! ServiceL2Statuses that were left by nodes that do not delete them any more.
//!
//! Nobody watches the objects of all nodes for that: the spokesman lists them once, and later those of each node that is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    cluster::selection::{NodeVerdict, Selection},
    outputs::{
        is_spokesman,
        l2_status::{Existing, NODE, is_living},
    },
};

/// More names than this are no selector any more: all objects are listed.
const MAX_NAMES: usize = 50;

/// Those that were found.
#[derive(Debug, Default)]
pub struct Orphans {
    /// The nodes that were there when it was last looked for them; `None`: this node has not, or need not.
    living: Option<BTreeSet<Arc<str>>>,
    found: BTreeMap<String, Existing>,
    /// The nodes for which there is nothing to list.
    searched: Option<Nodes>,
    /// The nodes that what was found is left of.
    sifted: Option<Nodes>,
}

/// The same object as long as no node has changed.
type Nodes = Arc<BTreeMap<Arc<str>, NodeVerdict>>;

fn is_same(known: Option<&Nodes>, selection: &Selection) -> bool {
    known.is_some_and(|known| Arc::ptr_eq(known, &selection.nodes))
}

/// What to list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    /// The label selector; `None`: all.
    pub labels: Option<String>,
    living: BTreeSet<Arc<str>>,
}

impl Orphans {
    /// What to list, if there may be any that are not known.
    pub fn search(&mut self, me: &str, selection: &Selection) -> Option<Search> {
        if is_same(self.searched.as_ref(), selection) {
            return None;
        }
        let search = self.search_anew(me, selection);
        self.searched = search.is_none().then(|| Arc::clone(&selection.nodes));
        search
    }

    fn search_anew(&mut self, me: &str, selection: &Selection) -> Option<Search> {
        if !is_spokesman(selection, me) {
            *self = Self::default();
            return None;
        }
        let living: BTreeSet<Arc<str>> =
            selection.nodes.keys().filter(|node| is_living(selection, node)).cloned().collect();
        let labels = match &self.living {
            None => None,
            Some(before) => {
                let lost: Vec<&str> = before.difference(&living).map(|node| &**node).collect();
                if lost.is_empty() {
                    self.living = Some(living);
                    return None;
                }
                (lost.len() <= MAX_NAMES).then(|| format!("{NODE} in ({})", lost.join(",")))
            }
        };
        Some(Search { labels, living })
    }

    /// Takes note of what was listed.
    pub fn found(&mut self, me: &str, search: Search, found: BTreeMap<String, Existing>) {
        self.living = Some(search.living);
        self.found.extend(found.into_iter().filter(|(_, existing)| *existing.node != *me));
        self.sifted = None;
    }

    /// Forgets those whose node can delete them itself.
    pub fn sift(&mut self, selection: &Selection) {
        if !is_same(self.sifted.as_ref(), selection) {
            self.found.retain(|_, existing| !is_living(selection, &existing.node));
            self.sifted = Some(Arc::clone(&selection.nodes));
        }
    }

    /// The names of those that are not known to be gone.
    pub fn known(&self) -> impl Iterator<Item = &String> {
        self.found.keys()
    }

    /// This one is gone.
    pub fn forget(&mut self, object: &str) {
        self.found.remove(object);
    }
}
