//! Which lists are merged item by item, and by what their items are told apart.

use serde_json::Value;

use super::resources::{Check, Resource};

/// How a list is merged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum List {
    /// As a whole.
    Atomic,
    /// Its values are a set.
    Set,
    /// Its items have keys.
    Map(Vec<String>),
}

/// How the list at a path of field names is merged by server-side apply.
pub fn list(resource: &Resource, path: &[&str]) -> List {
    match (&resource.check, path) {
        (_, ["metadata", "ownerReferences"]) => map(&["uid"]),
        (_, ["metadata", "finalizers"]) => List::Set,
        (Check::Custom(schema), path) => schema.list(path),
        (Check::BuiltIn(_), [.., "conditions"]) => map(&["type"]),
        (Check::BuiltIn(_), path) => built_in(resource, path),
    }
}

fn built_in(resource: &Resource, path: &[&str]) -> List {
    match (resource.kind.as_str(), path) {
        ("Service", ["spec", "ports"]) => map(&["port", "protocol"]),
        ("Node", ["status", "addresses"]) => map(&["type"]),
        ("Node", ["spec", "podCIDRs"]) => List::Set,
        (_, [.., "containers" | "initContainers", "ports"]) => map(&["containerPort", "protocol"]),
        (_, [.., "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets"]) => map(&["name"]),
        (_, [.., "volumeMounts"]) => map(&["mountPath"]),
        _ => List::Atomic,
    }
}

/// How the list at a path is merged by a strategic merge patch, whose keys are fewer.
pub fn strategic_key(resource: &Resource, path: &[&str]) -> Option<String> {
    match (resource.kind.as_str(), path, list(resource, path)) {
        ("Node", ["spec", "taints"], _) => Some("key".into()),
        (_, _, List::Map(keys)) => keys.into_iter().next(),
        (_, _, List::Atomic | List::Set) => None,
    }
}

fn map(keys: &[&str]) -> List {
    List::Map(keys.iter().map(|&key| key.into()).collect())
}

/// By what an item of a list is told apart. A port without protocol is one of TCP.
pub fn identity(item: &Value, keys: &[String]) -> String {
    let part = |key: &String| match &item[key] {
        Value::Null if key == "protocol" => "\"TCP\"".into(),
        value => value.to_string(),
    };
    keys.iter().map(|key| format!("{key}={}", part(key))).collect::<Vec<_>>().join(",")
}
