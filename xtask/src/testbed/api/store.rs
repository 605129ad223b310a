//! The objects, and how they came to be what they are: one counter of revisions, and the changes since the last compaction.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{ownership::Owners, refusal::Refusal};

/// So many changes are kept; then the older half goes.
const MOST_CHANGES: usize = 200_000;

/// Place of an object among those of its kind; ordered as etcd orders them.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Objects of a kind.
pub type Objects = BTreeMap<Key, Arc<Value>>;

/// A change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The revision that it made.
    pub revision: u64,
    /// Which kind, by its number.
    pub kind: usize,
    /// Which object.
    pub key: Key,
    /// What it was.
    pub before: Option<Arc<Value>>,
    /// What it became.
    pub after: Option<Arc<Value>>,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    kinds: Vec<Objects>,
    /// Who has set which fields.
    owners: Vec<BTreeMap<Key, Owners>>,
    revision: u64,
    /// Who comes from before this revision is told that it is gone.
    compacted: u64,
    /// Changes up to this revision are not there any more; a watch that runs needs those after a compaction.
    forgotten: u64,
    changes: VecDeque<Change>,
}

impl Store {
    /// An empty one for so many kinds.
    pub fn new(kinds: usize) -> Self {
        let (objects, owners) = (vec![Objects::new(); kinds], vec![BTreeMap::new(); kinds]);
        Self { kinds: objects, owners, revision: 1, compacted: 1, forgotten: 1, changes: VecDeque::new() }
    }

    /// The revision of the last change.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    pub fn get(&self, kind: usize, key: &Key) -> Option<&Arc<Value>> {
        self.kinds[kind].get(key)
    }

    /// Who has set which of its fields.
    pub fn owners(&self, kind: usize, key: &Key) -> Owners {
        self.owners[kind].get(key).cloned().unwrap_or_default()
    }

    /// The objects of a kind as they were at a revision.
    ///
    /// # Errors
    /// 410, when that revision is compacted away.
    pub fn at(&self, kind: usize, revision: u64) -> Result<Cow<'_, Objects>, Refusal> {
        let since = self.since(self.known(revision)?)?;
        let mut objects = Cow::Borrowed(&self.kinds[kind]);
        for change in since.rev().filter(|change| change.kind == kind) {
            match &change.before {
                Some(before) => objects.to_mut().insert(change.key.clone(), Arc::clone(before)),
                None => objects.to_mut().remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// A revision that a client comes with, if it is not compacted away.
    ///
    /// # Errors
    /// 410, when it is.
    pub fn known(&self, revision: u64) -> Result<u64, Refusal> {
        if revision < self.compacted { Err(gone(revision, self.compacted)) } else { Ok(revision) }
    }

    /// The changes after a revision, compacted away or not.
    ///
    /// # Errors
    /// 410, when some of them are not there any more.
    pub fn since(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Change>, Refusal> {
        if revision < self.forgotten {
            return Err(gone(revision, self.forgotten));
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..))
    }

    /// Stores an object under a new revision, and says what it has become.
    pub fn put(&mut self, kind: usize, key: Key, mut object: Value, owners: Owners) -> Arc<Value> {
        object["metadata"]["resourceVersion"] = json!((self.revision + 1).to_string());
        let object = Arc::new(object);
        let before = self.kinds[kind].insert(key.clone(), Arc::clone(&object));
        self.owners[kind].insert(key.clone(), owners);
        self.note(kind, key, before, Some(Arc::clone(&object)));
        object
    }

    /// Says anew who has set which of an object's fields.
    pub fn set_owners(&mut self, kind: usize, key: Key, owners: Owners) {
        self.owners[kind].insert(key, owners);
    }

    /// Removes an object; says what it was.
    pub fn remove(&mut self, kind: usize, key: &Key) -> Option<Arc<Value>> {
        let last = self.kinds[kind].remove(key)?;
        self.owners[kind].remove(key);
        self.note(kind, key.clone(), Some(Arc::clone(&last)), None);
        Some(last)
    }

    fn note(&mut self, kind: usize, key: Key, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        self.revision += 1;
        self.changes.push_back(Change { revision: self.revision, kind, key, before, after });
        if self.changes.len() > MOST_CHANGES {
            self.forgotten = self.changes[MOST_CHANGES / 2].revision;
            self.changes.drain(..=MOST_CHANGES / 2);
            self.compact(self.forgotten);
        }
    }

    /// Has revisions before this one gone.
    pub fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision);
    }
}

fn gone(asked: u64, oldest: u64) -> Refusal {
    Refusal::expired(format!("too old resource version: {asked} ({oldest})"))
}
