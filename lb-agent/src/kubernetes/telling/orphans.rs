//! ServiceL2Statuses that were left by nodes that do not delete them any more.
//!
//! Nobody watches the objects of all nodes for that: the spokesman lists them once, and later those of each node that is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    cluster::selection::Selection,
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
    }

    /// Those that are not known to be gone.
    pub fn known(&mut self, selection: &Selection) -> &BTreeMap<String, Existing> {
        self.found.retain(|_, existing| !is_living(selection, &existing.node));
        &self.found
    }

    /// This one is gone.
    pub fn forget(&mut self, object: &str) {
        self.found.remove(object);
    }
}
