//! Get and list.

use std::{ops::Bound, sync::Arc};

use serde_json::Value;

use super::{
    refusal::Refusal,
    request::{Parameters, Target},
    resources::Resource,
    selectors::Selection,
    store::{Key, Objects, Store},
};

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects.
    pub items: Vec<Arc<Value>>,
    /// The revision that the whole list is of.
    pub revision: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// How many are left after this page.
    pub remaining: usize,
}

/// One object.
///
/// # Errors
/// 404.
pub fn get(store: &Store, resource: &Resource, target: &Target) -> Result<Arc<Value>, Refusal> {
    let key = Key { namespace: target.namespace.clone(), name: target.name.clone() };
    let found = store.get(target.kind, &key).cloned();
    found.ok_or_else(|| Refusal::not_found(resource, &target.name))
}

/// A page of objects. `stale`: the revision that is the newest one for lists.
///
/// # Errors
/// 400 for parameters that cannot be, 410 for a revision that is compacted away, 504 for one that is not there yet.
pub fn list(
    store: &Store,
    resource: &Resource,
    target: &Target,
    parameters: &Parameters,
    stale: Option<u64>,
) -> Result<Page, Refusal> {
    let selection =
        Selection::parse(resource, parameters.text("labelSelector"), parameters.text("fieldSelector"))?;
    let limit = parameters.number("limit")?.filter(|&limit| limit > 0);
    let newest = stale.unwrap_or_else(|| store.revision());
    let (revision, after) = match parameters.text("continue") {
        "" => (revision(parameters, newest, limit.is_some())?, None),
        token => token_parts(token)?,
    };
    let objects = store.at(target.kind, revision)?;
    let matching = matching(&objects, target, after, &selection);
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut found: Vec<_> = matching.collect();
    let remaining = found.len().saturating_sub(limit);
    found.truncate(limit);
    let last = found.last().filter(|_| remaining > 0);
    let next = last.map(|(key, _)| format!("{revision}:{}/{}", key.namespace, key.name));
    let items = found.into_iter().map(|(_, object)| Arc::clone(object)).collect();
    Ok(Page { items, revision, next, remaining })
}

/// The objects of a list from a key on.
fn matching<'a>(
    objects: &'a Objects,
    target: &'a Target,
    after: Option<Key>,
    selection: &'a Selection,
) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let all = objects.range((from, Bound::Unbounded));
    all.filter(|(key, object)| is_in(target, key) && selection.matches(object))
}

/// Whether an object is among those of a list or watch.
pub fn is_in(target: &Target, key: &Key) -> bool {
    (target.namespace.is_empty() || target.namespace == key.namespace)
        && (target.name.is_empty() || target.name == key.name)
}

/// The revision that a list is to be of.
fn revision(parameters: &Parameters, newest: u64, is_paged: bool) -> Result<u64, Refusal> {
    let asked = parameters.number("resourceVersion")?;
    let how = parameters.text("resourceVersionMatch");
    let Some(asked) = asked else {
        return match how {
            "" => Ok(newest),
            // A streaming list asks for the newest state in this way.
            "NotOlderThan" if parameters.is_set("sendInitialEvents") => Ok(newest),
            _ => Err(Refusal::bad_request("resourceVersionMatch is forbidden without resourceVersion")),
        };
    };
    if asked > newest {
        return Err(Refusal::too_large_version(asked, newest));
    }
    let is_exact = match how {
        "Exact" => true,
        "NotOlderThan" => false,
        "" => is_paged && asked > 0,
        other => return Err(Refusal::bad_request(format!("resourceVersionMatch: unknown value {other}"))),
    };
    Ok(if is_exact { asked } else { newest })
}

fn token_parts(token: &str) -> Result<(u64, Option<Key>), Refusal> {
    let parts = token.split_once(':').and_then(|(revision, key)| {
        let (namespace, name) = key.split_once('/')?;
        Some((revision.parse().ok()?, Key { namespace: namespace.into(), name: name.into() }))
    });
    let (revision, key) = parts.ok_or_else(|| Refusal::bad_request("continue key is not valid"))?;
    Ok((revision, Some(key)))
}
