//! Structural schemas of CustomResourceDefinitions: unknown fields go, defaults come, the rest is checked.

mod rules;

use anyhow::Context as _;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{refusal::Cause, shapes::List};

/// The schema of one version of a CustomResourceDefinition.
#[derive(Debug)]
pub struct Schema {
    /// As it is written.
    structure: Value,
    validator: Validator,
}

impl Schema {
    /// From `openAPIV3Schema`.
    ///
    /// # Errors
    /// When it is no schema.
    pub fn new(structure: Value) -> anyhow::Result<Self> {
        // OpenAPI 3.0 goes by a draft in which `exclusiveMinimum` is a boolean, as in draft 4.
        let validator = jsonschema::draft4::new(&plain(&structure)).context("compile the schema")?;
        rules::check(&structure)?;
        Ok(Self { structure, validator })
    }

    /// An object as it is to be stored.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn admit(&self, mut object: Value, old: Option<&Value>) -> Result<Value, Vec<Cause>> {
        prune(&mut object, &self.structure, true);
        set_defaults(&mut object, &self.structure);
        let wrong: Vec<Cause> = self.validator.iter_errors(&object).map(|error| cause(&error)).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let wrong = rules::broken(&self.structure, &object, old);
        if wrong.is_empty() { Ok(object) } else { Err(wrong) }
    }

    /// How the list at a path is merged.
    pub fn list(&self, path: &[&str]) -> List {
        let Some(schema) = path.iter().try_fold(&self.structure, |schema, name| field(schema, name)) else {
            return List::Atomic;
        };
        match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => List::Set,
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                List::Map(keys.filter_map(|key| Some(key.as_str()?.to_owned())).collect())
            }
            _ => List::Atomic,
        }
    }
}

/// The schema of a field, of the items if this is one of a list.
fn field<'a>(mut schema: &'a Value, name: &str) -> Option<&'a Value> {
    while let Some(items) = schema.get("items") {
        schema = items;
    }
    schema.get("properties")?.get(name)
}

fn cause(error: &jsonschema::ValidationError<'_>) -> Cause {
    let field = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    Cause::invalid(field, error.to_string())
}

/// The schema without what JSON Schema does not know.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => plain_object(map),
        other => other.clone(),
    }
}

fn plain_object(map: &Map<String, Value>) -> Value {
    let is_nullable = map.get("nullable") == Some(&json!(true));
    let is_dropped =
        |name: &str| name.starts_with("x-kubernetes-") || name == "nullable" || name == "default";
    let mut schema: Map<String, Value> = map
        .iter()
        // Among `properties` these are names of fields.
        .filter(|(name, value)| !is_dropped(name) || is_a_schema(value))
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect();
    if map.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        schema.insert("type".into(), json!(["integer", "string"]));
    }
    if let (true, Some(kind)) = (is_nullable, schema.get("type").cloned()) {
        schema.insert("type".into(), json!([kind, "null"]));
    }
    Value::Object(schema)
}

fn is_a_schema(value: &Value) -> bool {
    value.get("type").is_some_and(Value::is_string)
}

/// Removes fields that the schema does not name. The root has its metadata.
fn prune(value: &mut Value, schema: &Value, is_root: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, &schema["items"], false)),
        Value::Object(map) => {
            if schema["x-kubernetes-preserve-unknown-fields"] == true {
                return;
            }
            let rest = &schema["additionalProperties"];
            map.retain(|name, value| {
                if is_root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                match schema["properties"].get(name) {
                    Some(property) => prune(value, property, false),
                    None if rest.is_object() => prune(value, rest, false),
                    None => return rest == true,
                }
                true
            });
        }
        _ => {}
    }
}

fn set_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| set_defaults(item, &schema["items"])),
        Value::Object(map) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let default = property.get("default");
                let is_default_due = match map.get(name) {
                    None => true,
                    Some(Value::Null) => property["nullable"] != true,
                    Some(_) => false,
                };
                if let (true, Some(default)) = (is_default_due, default) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(value) = map.get_mut(name) {
                    set_defaults(value, property);
                }
            }
            let rest = &schema["additionalProperties"];
            if rest.is_object() {
                map.values_mut().for_each(|value| set_defaults(value, rest));
            }
        }
        _ => {}
    }
}
