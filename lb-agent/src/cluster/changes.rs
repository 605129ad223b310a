//! What of a cluster may be other than it was.

use std::collections::BTreeSet;

use super::objects::ObjectName;

/// The objects that may have changed since somebody last looked: to compare all of very many takes longer than what follows
/// from one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Services.
    pub services: BTreeSet<ObjectName>,
    /// Slices, by their own names.
    pub slices: BTreeSet<ObjectName>,
    /// Objects of other kinds.
    pub is_rest: bool,
    /// Any object at all.
    pub is_all: bool,
}

impl Changes {
    /// Nothing is known.
    #[must_use]
    pub fn all() -> Self {
        Self { is_all: true, is_rest: true, ..Self::default() }
    }
}
