//! Create, update, patch and delete.

mod parts;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    admission,
    apply::apply,
    ownership::{self, Manager, Owners},
    patch::{self, patched},
    refusal::{Cause, Refusal},
    request::{Parameters, Target},
    resources::Resource,
    store::{Key, Store},
};

/// A write to be done.
#[derive(Debug)]
pub struct Write<'a> {
    /// The objects.
    pub store: &'a mut Store,
    /// The kind.
    pub resource: &'a Resource,
    /// The object, or those of its kind.
    pub target: &'a Target,
    /// `dryRun` and its like.
    pub parameters: &'a Parameters,
    /// Who writes, if the parameters do not say it.
    pub user_agent: &'a str,
    /// Time of day, as RFC 3339 has it.
    pub now: String,
}

/// What a write has come to.
#[derive(Debug)]
pub struct Written {
    /// The object as it is now.
    pub object: Arc<Value>,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Fields of the request that the kind does not have.
    pub unknown: Vec<String>,
}

impl Write<'_> {
    fn key(&self, name: &str) -> Key {
        let namespace =
            if self.resource.is_namespaced { self.target.namespace.clone() } else { String::new() };
        Key { namespace, name: name.into() }
    }

    fn is_status(&self) -> bool {
        self.target.subresource == "status"
    }

    fn is_dry_run(&self) -> bool {
        !self.parameters.text("dryRun").is_empty()
    }

    fn manager(&self, is_apply: bool) -> Manager {
        let by_agent = self.user_agent.split('/').next().unwrap_or_default();
        let name = match self.parameters.text("fieldManager") {
            "" => by_agent,
            name => name,
        };
        Manager { name: name.into(), is_apply, is_status: self.is_status() }
    }

    fn old(&self) -> Result<Arc<Value>, Refusal> {
        let old = self.store.get(self.target.kind, &self.key(&self.target.name));
        old.cloned().ok_or_else(|| Refusal::not_found(self.resource, &self.target.name))
    }

    /// A new object.
    ///
    /// # Errors
    /// 400, 404 for its namespace, 409, 422.
    pub fn create(&mut self, mut object: Value) -> Result<Written, Refusal> {
        self.complete(&mut object)?;
        if let (Some(prefix), true) =
            (object["metadata"]["generateName"].as_str(), object["metadata"]["name"].is_null())
        {
            object["metadata"]["name"] = json!(format!("{prefix}{}", suffix(self.store.revision())));
        }
        let owners = Owners::new();
        self.create_owned(object, owners, &self.manager(false))
    }

    fn create_owned(
        &mut self,
        mut object: Value,
        mut owners: Owners,
        manager: &Manager,
    ) -> Result<Written, Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = self.key(&name);
        if self.store.get(self.target.kind, &key).is_some() {
            return Err(Refusal::already_exists(self.resource, &name));
        }
        let serial = self.store.revision() + 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(format!("00000000-0000-4000-8000-{serial:012x}"));
        metadata["creationTimestamp"] = json!(self.now);
        for field in ["resourceVersion", "managedFields", "generation"] {
            metadata.as_object_mut().and_then(|metadata| metadata.remove(field));
        }
        if self.resource.is_custom() {
            metadata["generation"] = json!(1);
        }
        // A Node comes with its status; for all others it is a matter of later.
        if self.resource.has_status && self.resource.kind != "Node" {
            object.as_object_mut().and_then(|object| object.remove("status"));
        }
        admission::complete_new(self.resource, &mut object, serial);
        let (object, unknown) = self.checked(object, None)?;
        if !manager.is_apply {
            ownership::note_update(self.resource, &mut owners, manager.clone(), &json!({}), &object);
        }
        let object = self.stored(key, object, owners);
        Ok(Written { object, is_new: true, unknown })
    }

    /// An object as a whole, or its status.
    ///
    /// # Errors
    /// 400, 404, 409, 422.
    pub fn update(&mut self, mut object: Value) -> Result<Written, Refusal> {
        self.complete(&mut object)?;
        let old = self.old()?;
        if self.resource.is_custom() && object["metadata"]["resourceVersion"].is_null() {
            let cause = Cause::invalid("metadata.resourceVersion", "must be specified for an update");
            return Err(Refusal::invalid(self.resource, &self.target.name, &[cause]));
        }
        let owners = self.store.owners(self.target.kind, &self.key(&self.target.name));
        self.replace(&old, object, owners, &self.manager(false))
    }

    /// A part of an object.
    ///
    /// # Errors
    /// 400, 404, 409, 415, 422.
    pub fn patch(&mut self, media_type: &str, body: &[u8]) -> Result<Written, Refusal> {
        if media_type == patch::APPLY {
            return self.apply(body);
        }
        let old = self.old()?;
        let object = patched(self.resource, &old, media_type, body)?;
        let owners = self.store.owners(self.target.kind, &self.key(&self.target.name));
        self.replace(&old, object, owners, &self.manager(false))
    }

    fn apply(&mut self, body: &[u8]) -> Result<Written, Refusal> {
        let mut configuration = parse(body)?;
        self.complete(&mut configuration)?;
        if self.parameters.text("fieldManager").is_empty() {
            return Err(Refusal::bad_request("fieldManager: Required value: is required for apply patch"));
        }
        if !configuration["metadata"]["managedFields"].is_null() {
            return Err(Refusal::bad_request("metadata.managedFields must be nil"));
        }
        self.keep_own_part(&mut configuration);
        let key = self.key(&self.target.name);
        let old = self.store.get(self.target.kind, &key).cloned();
        if old.is_none() && self.is_status() {
            return Err(Refusal::not_found(self.resource, &self.target.name));
        }
        let live = old.as_ref().map_or_else(|| json!({}), |old| Value::clone(old));
        let mut owners = self.store.owners(self.target.kind, &key);
        let (manager, forced) = (self.manager(true), self.parameters.is_set("force"));
        let object = apply(self.resource, &live, &mut owners, &manager, &configuration, forced)?;
        match old {
            Some(old) => self.replace(&old, object, owners, &manager),
            None => self.create_owned(object, owners, &manager),
        }
    }

    fn replace(
        &mut self,
        old: &Arc<Value>,
        mut object: Value,
        mut owners: Owners,
        manager: &Manager,
    ) -> Result<Written, Refusal> {
        let name = &self.target.name;
        let (is, was) = (&object["metadata"], &old["metadata"]);
        if is["name"] != was["name"] || is["namespace"] != was["namespace"] {
            return Err(Refusal::bad_request("the name of the object does not match the name on the URL"));
        }
        let differs =
            |field: &str| !matches!(&is[field], Value::Null) && is[field] != "" && is[field] != was[field];
        if differs("resourceVersion") || differs("uid") {
            return Err(Refusal::conflict(self.resource, name));
        }
        self.keep_other_part(old, &mut object);
        let (mut object, unknown) = self.checked(object, Some(old))?;
        if object == **old {
            if !self.is_dry_run() {
                self.store.set_owners(self.target.kind, self.key(name), owners);
            }
            return Ok(Written { object: Arc::clone(old), is_new: false, unknown });
        }
        if self.resource.is_custom() && is_generation_new(self.resource, old, &object) {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
        }
        if !manager.is_apply {
            ownership::note_update(self.resource, &mut owners, manager.clone(), old, &object);
        }
        let object = self.stored(self.key(name), object, owners);
        Ok(Written { object, is_new: false, unknown })
    }

    /// An object.
    ///
    /// # Errors
    /// 404, 409 for preconditions that do not hold.
    pub fn delete(&mut self, options: &Value) -> Result<Arc<Value>, Refusal> {
        let old = self.old()?;
        let preconditions = &options["preconditions"];
        for field in ["uid", "resourceVersion"] {
            if !preconditions[field].is_null() && preconditions[field] != old["metadata"][field] {
                return Err(Refusal::conflict(self.resource, &self.target.name));
            }
        }
        let key = self.key(&self.target.name);
        if !self.is_dry_run() {
            self.store.remove(self.target.kind, &key);
        }
        Ok(old)
    }

    fn stored(&mut self, key: Key, object: Value, owners: Owners) -> Arc<Value> {
        if self.is_dry_run() {
            return Arc::new(object);
        }
        self.store.put(self.target.kind, key, object, owners)
    }
}

/// A body, as JSON or YAML.
///
/// # Errors
/// 400.
pub fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = String::from_utf8_lossy(body);
    serde_saphyr::from_str(&text)
        .map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}")))
}

/// Whether more than metadata and status has changed.
fn is_generation_new(resource: &Resource, old: &Value, new: &Value) -> bool {
    let spec = |object: &Value| -> Map<String, Value> {
        let is_spec = |name: &str| name != "metadata" && !(resource.has_status && name == "status");
        let fields = object.as_object().into_iter().flatten().filter(|(name, _)| is_spec(name));
        fields.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    spec(old) != spec(new)
}

/// What makes a generated name one of its own.
fn suffix(mut serial: u64) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |_| {
        let letter = LETTERS[usize::try_from(serial % 27).unwrap_or(0)];
        serial /= 27;
        char::from(letter)
    };
    (0..5).map(letter).collect()
}
