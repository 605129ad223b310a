//! Keeps the cluster as the watches tell of it.
//!
//! Each kind of object goes the same way: applied, deleted, or all of them replaced by a new list. Where they come from and in
//! which order does not matter: the outcome is that of a fresh list. What depends on the past beyond that is the last valid
//! version of a pool or an advertisement, and which agents have been admitted.

mod admission;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use admission::ABSENT_FOR_NS;
use admission::Admission;

use super::{
    Cluster,
    changes::Changes,
    objects::{Advertisement, AgentAddresses, AgentSlice, Node, ObjectName, Pool, Service, Slice},
};
use crate::model::BoottimeNs;

/// Objects by name.
type All<O> = BTreeMap<<O as Object>::Name, Arc<O>>;
/// What is wrong with the versions that are not used, by name.
type Rejected<O> = BTreeMap<<O as Object>::Name, Arc<[String]>>;

/// A kind of object that the index keeps.
pub trait Object: PartialEq + Sized {
    /// What tells it from others of its kind.
    type Name: Clone + Ord;

    /// Those of this kind.
    fn all(cluster: &mut Cluster) -> &mut All<Self>;

    /// Where the problems of a version that is not used are kept; `None` for kinds that are used whatever is wrong with them.
    fn rejected(_cluster: &mut Cluster) -> Option<&mut Rejected<Self>> {
        None
    }

    /// What is wrong with it.
    fn problems(&self) -> &[String] {
        &[]
    }

    /// Takes note that the one of this name may have changed.
    fn note(_name: &Self::Name, changes: &mut Changes) {
        changes.is_rest = true;
    }

    /// Whether it is of any account in this cluster.
    fn matters(&self, _cluster: &Cluster) -> bool {
        true
    }
}

/// The cluster, kept.
#[derive(Debug, Default)]
pub struct Index {
    cluster: Cluster,
    admission: Admission,
    changes: Changes,
}

impl Index {
    /// Goes on with a cluster that was known before, so with the agents that were admitted then.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, admission: Admission::default(), changes: Changes::all() }
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What may have changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// An object was added, or is now thus. Says whether anything may follow from that.
    pub fn apply<O: Object>(&mut self, name: O::Name, object: O) -> bool {
        if let Some(rejected) = O::rejected(&mut self.cluster) {
            let problems = object.problems();
            if !problems.is_empty() {
                let is_known = rejected.get(&name).is_some_and(|known| **known == *problems);
                O::note(&name, &mut self.changes);
                rejected.insert(name, problems.into());
                return !is_known;
            }
        }
        let was_rejected = self.forget_rejection::<O>(&name);
        let known = O::all(&mut self.cluster).get(&name);
        if known.is_some_and(|known| **known == object) {
            return was_rejected;
        }
        O::note(&name, &mut self.changes);
        let before = O::all(&mut self.cluster).insert(name.clone(), Arc::new(object));
        let now = O::all(&mut self.cluster).get(&name).cloned();
        before.into_iter().chain(now).any(|object| object.matters(&self.cluster))
    }

    /// An object is gone. Says whether anything may follow from that.
    pub fn delete<O: Object>(&mut self, name: &O::Name) -> bool {
        let was_rejected = self.forget_rejection::<O>(name);
        O::note(name, &mut self.changes);
        let before = O::all(&mut self.cluster).remove(name);
        was_rejected || before.is_some_and(|object| object.matters(&self.cluster))
    }

    /// These are all objects of their kind. Says whether anything may follow from that.
    pub fn reset<O: Object>(&mut self, objects: impl IntoIterator<Item = (O::Name, O)>) -> bool {
        let mut gone: BTreeSet<O::Name> = O::all(&mut self.cluster).keys().cloned().collect();
        gone.extend(O::rejected(&mut self.cluster).into_iter().flat_map(|rejected| rejected.keys().cloned()));
        let mut has_changed = false;
        for (name, object) in objects {
            gone.remove(&name);
            has_changed |= self.apply(name, object);
        }
        for name in gone {
            has_changed |= self.delete::<O>(&name);
        }
        has_changed
    }

    /// Judges anew which agents are admitted. To be called after each batch of changes, when [`Self::due`] says so, and not
    /// before every kind has been listed. Not while there is no word from the API: agents that are back would not be seen.
    /// Says whether anything may follow from it.
    pub fn settle(&mut self, now: BoottimeNs) -> bool {
        let agents = self.admission.judge(&self.cluster, now);
        let has_changed = agents != self.cluster.agents;
        self.changes.is_rest |= has_changed;
        self.cluster.agents = agents;
        has_changed
    }

    /// When an agent ceases to be admitted unless its endpoint is back by then.
    #[must_use]
    pub fn due(&self) -> Option<BoottimeNs> {
        self.admission.due()
    }

    fn forget_rejection<O: Object>(&mut self, name: &O::Name) -> bool {
        let was_rejected =
            O::rejected(&mut self.cluster).is_some_and(|rejected| rejected.remove(name).is_some());
        if was_rejected {
            O::note(name, &mut self.changes);
        }
        was_rejected
    }
}

impl Object for Service {
    type Name = ObjectName;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.services
    }

    fn note(name: &ObjectName, changes: &mut Changes) {
        changes.note_service(name);
    }
}

impl Object for Slice {
    type Name = ObjectName;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.slices
    }

    fn note(name: &ObjectName, changes: &mut Changes) {
        changes.note_slice(name);
    }

    /// Those of Services of other types are kept (the Service may come later, or become one), but nothing follows from them.
    fn matters(&self, cluster: &Cluster) -> bool {
        cluster.services.contains_key(&self.service)
    }
}

impl Object for Node {
    type Name = String;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.nodes
    }
}

impl Object for Pool {
    type Name = String;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.pools
    }

    fn rejected(cluster: &mut Cluster) -> Option<&mut Rejected<Self>> {
        Some(&mut cluster.rejected_pools)
    }

    fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl Object for Advertisement {
    type Name = String;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.advertisements
    }

    fn rejected(cluster: &mut Cluster) -> Option<&mut Rejected<Self>> {
        Some(&mut cluster.rejected_advertisements)
    }

    fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl Object for AgentSlice {
    type Name = ObjectName;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.agent_slices
    }

    /// What follows from it is found by [`Index::settle`].
    fn matters(&self, _cluster: &Cluster) -> bool {
        false
    }
}

impl Object for AgentAddresses {
    type Name = String;

    fn all(cluster: &mut Cluster) -> &mut All<Self> {
        &mut cluster.agent_addresses
    }

    /// What follows from it is found by [`Index::settle`].
    fn matters(&self, _cluster: &Cluster) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
