//! What a client finds out about the server: `/version`, `/api`, `/apis` and below.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resources::Resource;

/// The answer for a path of discovery; `None`, when it is not one.
pub fn answer(resources: &[Resource], path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => Some(json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0-lb-testbed", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        })),
        ["healthz" | "livez" | "readyz"] => Some(json!("ok")),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let groups: Vec<Value> =
                groups(resources).into_iter().map(|(name, version)| group(name, version)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let version = groups(resources).get(name).copied()?;
            let mut group = group(name, version);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            Some(group)
        }
        ["api", version] => list(resources, "", version),
        ["apis", group, version] => list(resources, group, version),
        _ => None,
    }
}

fn groups(resources: &[Resource]) -> BTreeMap<&str, &str> {
    let named = resources.iter().filter(|resource| !resource.group.is_empty());
    named.map(|resource| (resource.group.as_str(), resource.version.as_str())).collect()
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn list(resources: &[Resource], group: &str, version: &str) -> Option<Value> {
    let of_version =
        resources.iter().filter(|resource| resource.group == group && resource.version == version);
    let all: Vec<Value> = of_version.flat_map(entries).collect();
    let name = if group.is_empty() { version.into() } else { format!("{group}/{version}") };
    let found = !all.is_empty();
    found.then(
        || json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": all}),
    )
}

fn entries(resource: &Resource) -> impl Iterator<Item = Value> {
    let entry = |name: String, verbs: &[&str]| {
        json!({
            "name": name, "singularName": resource.singular, "namespaced": resource.is_namespaced,
            "kind": resource.kind, "verbs": verbs, "shortNames": resource.short_names,
        })
    };
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let whole = entry(resource.plural.clone(), &verbs);
    let status = format!("{}/status", resource.plural);
    [whole].into_iter().chain(resource.has_status.then(|| entry(status, &["get", "patch", "update"])))
}
