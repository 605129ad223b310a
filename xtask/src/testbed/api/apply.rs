//! Server-side apply.

use serde_json::Value;

use super::{
    ownership::{self, Manager, Owners, Path},
    refusal::{Cause, Refusal},
    resources::Resource,
    shapes::{self, List},
};

/// What an object becomes when a manager applies a configuration to it.
///
/// # Errors
/// 409, when the configuration differs in a field that another manager has set, unless it is `forced`.
pub fn apply(
    resource: &Resource,
    live: &Value,
    owners: &mut Owners,
    manager: &Manager,
    configuration: &Value,
    forced: bool,
) -> Result<Value, Refusal> {
    let wanted = ownership::fields(resource, configuration);
    let differs = |path: &Path| {
        let there = path.state(resource, live);
        there.is_some() && there != path.state(resource, configuration)
    };
    let mut conflicts = Vec::new();
    for (other, theirs) in owners.iter_mut().filter(|(other, _)| *other != manager) {
        let lost: Vec<Path> =
            wanted.iter().filter(|path| theirs.contains(path) && differs(path)).cloned().collect();
        for path in lost {
            theirs.remove(&path);
            let message = format!("conflict with \"{}\"", other.name);
            conflicts.push(Cause { reason: "FieldManagerConflict", field: path.to_string(), message });
        }
    }
    if !conflicts.is_empty() && !forced {
        return Err(Refusal::apply_conflict(conflicts));
    }
    let mut object = live.clone();
    let before = owners.remove(manager).unwrap_or_default();
    for path in before.difference(&wanted) {
        if !owners.values().flatten().chain(&wanted).any(|theirs| path.holds(theirs)) {
            path.remove(resource, &mut object);
        }
    }
    merge(resource, &mut object, configuration, &mut Vec::new());
    owners.insert(manager.clone(), wanted);
    owners.retain(|_, theirs| !theirs.is_empty());
    Ok(object)
}

fn merge<'a>(resource: &Resource, into: &mut Value, from: &'a Value, at: &mut Vec<&'a str>) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                at.push(name);
                merge(resource, into.entry(name).or_insert(Value::Null), value, at);
                at.pop();
            }
        }
        (Value::Array(into), Value::Array(from)) => merge_lists(resource, into, from, at),
        (into, from) => *into = from.clone(),
    }
}

fn merge_lists<'a>(resource: &Resource, into: &mut Vec<Value>, from: &'a [Value], at: &mut Vec<&'a str>) {
    let shape = shapes::list(resource, at);
    let is_same = |one: &Value, other: &Value| match &shape {
        List::Atomic => false,
        List::Set => one == other,
        List::Map(keys) => shapes::identity(one, keys) == shapes::identity(other, keys),
    };
    if shape == List::Atomic {
        into.clear();
    }
    for item in from {
        match into.iter_mut().find(|other| is_same(other, item)) {
            Some(there) => merge(resource, there, item, at),
            None => into.push(item.clone()),
        }
    }
}
