//! What of a cluster may be other than it was.

use std::collections::BTreeSet;

use super::objects::ObjectName;

/// So many names are worth keeping.
const MOST: usize = 4_096;

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

    /// A Service may have changed.
    pub fn note_service(&mut self, name: &ObjectName) {
        if !self.is_all {
            self.services.insert(name.clone());
            self.limit();
        }
    }

    /// A slice may have changed.
    pub fn note_slice(&mut self, name: &ObjectName) {
        if !self.is_all {
            self.slices.insert(name.clone());
            self.limit();
        }
    }

    /// Slices of which nothing follows come and go for as long as nobody looks.
    fn limit(&mut self) {
        if self.services.len() + self.slices.len() > MOST {
            *self = Self::all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_names_none_is_kept() {
        let mut changes = Changes::default();
        let name = |number: usize| ObjectName::new("default", format!("s{number}"));
        for number in 0..MOST {
            changes.note_slice(&name(number));
            changes.note_slice(&name(number));
        }
        assert_eq!((changes.slices.len(), changes.is_all), (MOST, false));
        changes.note_service(&name(0));
        assert_eq!(changes, Changes::all());
        changes.note_slice(&name(0));
        assert_eq!(changes, Changes::all());
    }
}
