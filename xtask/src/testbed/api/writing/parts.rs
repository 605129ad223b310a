//! What a request may set, and how its object is checked.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Write;
use crate::testbed::api::{
    admission, ownership,
    refusal::{Cause, Refusal},
};

impl Write<'_> {
    /// Type and namespace are those of the path; a name in the path is the object's.
    pub(super) fn complete(&self, object: &mut Value) -> Result<(), Refusal> {
        if !object.is_object() {
            return Err(Refusal::bad_request("the body is no object"));
        }
        for (field, expected) in
            [("apiVersion", self.resource.api_version()), ("kind", self.resource.kind.clone())]
        {
            match &object[field] {
                Value::Null => object[field] = json!(expected),
                value if *value == expected => {}
                value => return Err(Refusal::bad_request(format!("{field} is {value}, not {expected}"))),
            }
        }
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let expected = [("namespace", &self.target.namespace), ("name", &self.target.name)];
        for (field, expected) in expected.into_iter().filter(|(_, expected)| !expected.is_empty()) {
            match &object["metadata"][field] {
                Value::Null => object["metadata"][field] = json!(expected),
                value if value == expected => {}
                value => {
                    let message =
                        format!("the {field} of the object ({value}) does not match that of the request");
                    return Err(Refusal::bad_request(message));
                }
            }
        }
        Ok(())
    }

    /// The object as it may be stored, and the fields that its kind does not have.
    pub(super) fn checked(
        &self,
        object: Value,
        old: Option<&Value>,
    ) -> Result<(Value, Vec<String>), Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let invalid = |causes: Vec<Cause>| Refusal::invalid(self.resource, &name, &causes);
        let problems = admission::problems(self.resource, &object);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let object = without_nulls(object);
        let sent = ownership::fields(self.resource, &object);
        let object = without_nulls(self.resource.check(object, old).map_err(invalid)?);
        let kept = ownership::fields(self.resource, &object);
        let is_kept = |path: &ownership::Path| path.get(self.resource, &object).is_some();
        let unknown: BTreeSet<_> = sent.difference(&kept).filter(|path| !is_kept(path)).collect();
        let unknown: Vec<String> = unknown.into_iter().map(ToString::to_string).collect();
        if !unknown.is_empty() && self.parameters.text("fieldValidation") == "Strict" {
            let message = format!("strict decoding error: unknown fields {}", unknown.join(", "));
            return Err(Refusal::bad_request(message));
        }
        Ok((object, unknown))
    }

    /// Takes out of a configuration what the path does not write.
    pub(super) fn keep_own_part(&self, configuration: &mut Value) {
        let (is_status, has_status) = (self.is_status(), self.resource.has_status);
        let Some(fields) = configuration.as_object_mut() else { return };
        fields.retain(|name, _| match name.as_str() {
            "apiVersion" | "kind" | "metadata" => true,
            "status" => is_status || !has_status,
            _ => !is_status,
        });
    }

    /// What a write by this path does not change stays as it was.
    pub(super) fn keep_other_part(&self, old: &Value, object: &mut Value) {
        if self.is_status() {
            let (status, metadata) = (object["status"].take(), object["metadata"].take());
            *object = old.clone();
            object["status"] = status;
            if !self.resource.is_custom() {
                object["metadata"] = metadata;
            }
        } else if self.resource.has_status {
            match old.get("status") {
                Some(status) => object["status"] = status.clone(),
                None => drop(object.as_object_mut().and_then(|object| object.remove("status"))),
            }
        }
        for field in ["uid", "creationTimestamp", "resourceVersion", "generation", "generateName"] {
            match old["metadata"].get(field) {
                Some(value) => object["metadata"][field] = value.clone(),
                None => drop(object["metadata"].as_object_mut().and_then(|metadata| metadata.remove(field))),
            }
        }
        object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}
