//! Patches, by their media types.

use serde_json::{Map, Value};

use super::{refusal::Refusal, resources::Resource, shapes};

/// A patch other than server-side apply, whose media type is [`APPLY`].
pub const APPLY: &str = "application/apply-patch+yaml";

/// What an object becomes by a patch.
///
/// # Errors
/// 415 for a media type that the kind does not take, 400 for a body that is none, 422 for a JSON patch that does not fit.
pub fn patched(resource: &Resource, object: &Value, media_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let unreadable =
        |error: serde_json::Error| Refusal::bad_request(format!("error decoding patch: {error}"));
    let mut object = object.clone();
    match media_type {
        "application/merge-patch+json" => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            json_patch::merge(&mut object, &patch);
        }
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(unreadable)?;
            let refused = |error: json_patch::PatchError| {
                Refusal::bad_request(format!("the server rejected our request: {error}"))
            };
            json_patch::patch(&mut object, &patch).map_err(refused)?;
        }
        "application/strategic-merge-patch+json" if !resource.is_custom() => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            merge(resource, &mut object, &patch, &mut Vec::new())?;
        }
        other => {
            let message =
                format!("the body of the request was in an unknown format: {other} for {}", resource.kind);
            return Err(Refusal::unsupported_media_type(message));
        }
    }
    Ok(object)
}

/// A strategic merge: as RFC 7386, but for lists whose items have a key.
fn merge<'a>(
    resource: &Resource,
    into: &mut Value,
    patch: &'a Value,
    at: &mut Vec<&'a str>,
) -> Result<(), Refusal> {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return Ok(());
    };
    let is_replacement = match patch.get("$patch") {
        None => false,
        Some(directive) if directive == "replace" => true,
        Some(directive) if directive == "merge" => false,
        Some(directive) => return Err(unknown_directive(directive)),
    };
    if is_replacement || !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(into) = into else { return Ok(()) };
    for (name, value) in patch {
        at.push(name);
        if name.starts_with("$setElementOrder/") || name == "$patch" || name == "$retainKeys" {
            // The order of items that have keys means nothing to the kinds here.
        } else if name.starts_with('$') {
            return Err(unknown_directive(&Value::String(name.clone())));
        } else if value.is_null() {
            into.remove(name);
        } else if let (Value::Array(items), Some(key)) = (value, shapes::strategic_key(resource, at)) {
            let list = into.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            merge_items(resource, list, items, &key, at)?;
        } else {
            merge(resource, into.entry(name).or_insert(Value::Null), value, at)?;
        }
        at.pop();
    }
    Ok(())
}

fn merge_items<'a>(
    resource: &Resource,
    list: &mut Value,
    items: &'a [Value],
    key: &str,
    at: &mut Vec<&'a str>,
) -> Result<(), Refusal> {
    let Value::Array(list) = list else { return Ok(()) };
    if items.iter().any(|item| item["$patch"] == "replace") {
        list.clear();
    }
    for item in items.iter().filter(|item| item["$patch"] != "replace") {
        let place = list.iter().position(|other| other[key] == item[key]);
        match place {
            Some(place) if item["$patch"] == "delete" => drop(list.remove(place)),
            Some(place) => merge(resource, &mut list[place], item, at)?,
            None if item["$patch"] == "delete" => {}
            None => list.push(item.clone()),
        }
    }
    Ok(())
}

fn unknown_directive(directive: &Value) -> Refusal {
    Refusal::bad_request(format!("the strategic merge directive {directive} is not known here"))
}
