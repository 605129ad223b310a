//! Who has set which field: what server-side apply goes by.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use super::{
    resources::Resource,
    shapes::{self, List},
};

/// Fields by who has set them.
pub type Owners = BTreeMap<Manager, BTreeSet<Path>>;

/// Somebody who sets fields, in one way.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Manager {
    /// `fieldManager`.
    pub name: String,
    /// By server-side apply; else by another write.
    pub is_apply: bool,
    /// Through `/status`.
    pub is_status: bool,
}

/// Where a field stands.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Field(String),
    /// An item of a list, by its keys or its value.
    Item(String),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Item(keys) => write!(f, "[{keys}]"),
        })
    }
}

impl Path {
    fn fields(&self) -> Vec<&str> {
        let fields = self.0.iter().filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item(_) => None,
        });
        fields.collect()
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The value there.
    pub fn get<'a>(&self, resource: &Resource, object: &'a Value) -> Option<&'a Value> {
        let mut here = Self(Vec::new());
        self.0.iter().try_fold(object, |value, step| {
            let found = match step {
                Step::Field(name) => value.get(name),
                Step::Item(_) => value.get(here.place(resource, value, step)?),
            };
            here = here.with(step.clone());
            found
        })
    }

    /// Number of an item in the list that stands here.
    fn place(&self, resource: &Resource, list: &Value, item: &Step) -> Option<usize> {
        let shape = shapes::list(resource, &self.fields());
        list.as_array()?.iter().position(|other| item_step(&shape, other).as_ref() == Some(item))
    }

    /// What is to be said of the place: its value, or for an item of a list no more than that it is there.
    pub fn state<'a>(&self, resource: &Resource, object: &'a Value) -> Option<&'a Value> {
        let value = self.get(resource, object)?;
        Some(if matches!(self.0.last(), Some(Step::Item(_))) { &Value::Null } else { value })
    }

    /// Whether another path leads to something inside of what this one leads to.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Removes the value there, and what holds it if that is empty then.
    pub fn remove(&self, resource: &Resource, object: &mut Value) {
        let Some((last, parents)) = self.0.split_last() else { return };
        let parent = Self(parents.to_vec());
        let Some(holder) = parent.get_mut(resource, object) else { return };
        match last {
            Step::Field(name) => drop(holder.as_object_mut().and_then(|map| map.remove(name))),
            Step::Item(_) => {
                let place = parent.place(resource, holder, last);
                drop(place.and_then(|place| Some(holder.as_array_mut()?.remove(place))));
            }
        }
        let is_empty = holder.as_object().is_some_and(|map| map.is_empty())
            || holder.as_array().is_some_and(|list| list.is_empty());
        if is_empty {
            parent.remove(resource, object);
        }
    }

    fn get_mut<'a>(&self, resource: &Resource, object: &'a mut Value) -> Option<&'a mut Value> {
        let mut here = Self(Vec::new());
        self.0.iter().try_fold(object, |value, step| {
            let place = here.place(resource, value, step);
            here = here.with(step.clone());
            match step {
                Step::Field(name) => value.get_mut(name),
                Step::Item(_) => value.get_mut(place?),
            }
        })
    }
}

fn item_step(shape: &List, item: &Value) -> Option<Step> {
    match shape {
        List::Atomic => None,
        List::Set => Some(Step::Item(item.to_string())),
        List::Map(keys) => Some(Step::Item(shapes::identity(item, keys))),
    }
}

/// The fields that an object sets, but for those that name it or that the server keeps.
pub fn fields(resource: &Resource, object: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    collect(resource, object, &Path(Vec::new()), &mut found);
    found.retain(|path| !is_the_servers(&path.fields()));
    found
}

fn is_the_servers(path: &[&str]) -> bool {
    matches!(
        path,
        ["apiVersion" | "kind"]
            | [
                "metadata",
                "name"
                    | "namespace"
                    | "uid"
                    | "resourceVersion"
                    | "generation"
                    | "creationTimestamp"
                    | "managedFields"
                    | "generateName",
                ..
            ]
    )
}

fn collect(resource: &Resource, value: &Value, at: &Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                collect(resource, value, &at.with(Step::Field(name.clone())), found);
            }
        }
        Value::Array(items) => {
            let shape = shapes::list(resource, &at.fields());
            let steps: Option<Vec<Step>> = items.iter().map(|item| item_step(&shape, item)).collect();
            match steps {
                Some(steps) if !items.is_empty() => {
                    for (step, item) in steps.into_iter().zip(items) {
                        collect_item(resource, &shape, item, at.with(step), found);
                    }
                }
                _ => drop(found.insert(at.clone())),
            }
        }
        _ => drop(found.insert(at.clone())),
    }
}

/// The item itself, and its fields but for those that name it.
fn collect_item(resource: &Resource, shape: &List, item: &Value, at: Path, found: &mut BTreeSet<Path>) {
    if let (List::Map(keys), Some(fields)) = (shape, item.as_object()) {
        for (name, value) in fields.iter().filter(|(name, _)| !keys.contains(name)) {
            collect(resource, value, &at.with(Step::Field(name.clone())), found);
        }
    }
    found.insert(at);
}

/// After a write other than apply: what changed is its manager's, and nobody else's.
pub fn note_update(
    resource: &Resource,
    owners: &mut Owners,
    manager: Manager,
    before: &Value,
    after: &Value,
) {
    let is_changed = |path: &Path| path.state(resource, before) != path.state(resource, after);
    let changed: BTreeSet<Path> =
        fields(resource, after).into_iter().filter(|path| is_changed(path)).collect();
    let gone = |path: &Path| path.get(resource, after).is_none();
    for theirs in owners.values_mut() {
        theirs.retain(|path| !changed.contains(path) && !gone(path));
    }
    owners.entry(manager).or_default().extend(changed);
    owners.retain(|_, theirs| !theirs.is_empty());
}
