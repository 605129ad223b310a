//! The server's state, and what it answers: all of it without waiting.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    ADMIN,
    faults::Faults,
    log::Record,
    ownership::Owners,
    rbac::{Action, Rbac},
    reading::{self, Page},
    refusal::Refusal,
    request::{Parameters, Target},
    resources::{self, Resource},
    store::{Key, Store},
    writing::{Write, Written, parse},
};

/// Somebody who has a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// `admin`, or a ServiceAccount as `namespace:name`.
    pub name: String,
    /// From where.
    pub origin: String,
}

/// A request as it came, but for its transport.
#[derive(Debug)]
pub struct Request {
    /// `GET` and its like.
    pub method: String,
    /// Path.
    pub path: String,
    /// Parameters.
    pub parameters: Parameters,
    /// Media type of the body.
    pub media_type: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Body.
    pub body: Vec<u8>,
}

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// An object.
    Object(u16, Arc<Value>),
    /// A list of objects of a kind.
    List(usize, Page),
    /// What follows from a watch.
    Watch(Target),
    /// Something else.
    Plain(Value),
}

/// Everything that the server knows.
#[derive(Debug)]
pub struct State {
    /// The kinds.
    pub resources: Arc<Vec<Resource>>,
    /// The objects.
    pub store: Store,
    /// Who may do what.
    pub rbac: Rbac,
    /// What goes wrong.
    pub faults: Faults,
    /// What has been asked.
    pub log: Vec<Record>,
    /// Who has which token.
    pub tokens: HashMap<String, User>,
}

impl State {
    /// With the kinds and the rights that manifests define.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(manifests: &[Value]) -> anyhow::Result<Self> {
        let mut resources = resources::built_in();
        for manifest in manifests.iter().filter(|manifest| manifest["kind"] == "CustomResourceDefinition") {
            let name = manifest["metadata"]["name"].as_str().unwrap_or("without a name");
            let custom = resources::custom(manifest);
            resources.extend(custom.with_context(|| format!("read the CustomResourceDefinition {name}"))?);
        }
        Ok(Self {
            store: Store::new(resources.len()),
            resources: Arc::new(resources),
            rbac: Rbac::new(manifests)?,
            faults: Faults::default(),
            log: Vec::new(),
            tokens: HashMap::new(),
        })
    }

    /// Number of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<usize> {
        let is_it = |resource: &Resource| resource.kind == kind && resource.api_version() == api_version;
        self.resources.iter().position(is_it)
    }

    /// Stores an object as it is, with its status, as if it had long been there.
    ///
    /// # Errors
    /// When it is of an unknown kind, or not valid.
    pub fn seed(&mut self, mut object: Value) -> anyhow::Result<()> {
        let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
        let (version, kind) = version.zip(kind).context("an object without apiVersion or kind")?;
        let what = format!("{kind} {}", object["metadata"]["name"]);
        let found =
            self.kind(version, kind).with_context(|| format!("the server has no {kind} of {version}"))?;
        let resource = &Arc::clone(&self.resources)[found];
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let namespace = if resource.is_namespaced { text("namespace") } else { String::new() };
        let key = Key { namespace, name: text("name") };
        let serial = self.store.revision() + 1;
        let status = object.get("status").cloned();
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{serial:012x}"));
        object["metadata"]["creationTimestamp"] = json!(now());
        super::admission::complete_new(resource, &mut object, serial);
        if let Some(status) = status {
            object["status"] = status;
        }
        let checked = resource.check(object, None);
        let object = checked.map_err(|causes| anyhow::anyhow!("{what}: {causes:?}"))?;
        self.store.put(found, key, object, Owners::new());
        Ok(())
    }

    /// Whose request it is.
    ///
    /// # Errors
    /// 401.
    pub fn authenticate(&self, token: &str) -> Result<User, Refusal> {
        self.tokens.get(token).cloned().ok_or_else(Refusal::unauthorized)
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// What it is refused with.
    pub fn answer(&mut self, user: &User, request: &Request) -> Result<Answer, Refusal> {
        let mut record = Record {
            at: Instant::now(),
            user: user.name.clone(),
            origin: user.origin.clone(),
            verb: request.method.to_lowercase(),
            resource: request.path.clone(),
            namespace: String::new(),
            name: String::new(),
            code: 200,
            problem: String::new(),
        };
        let answer = self.answer_recorded(user, request, &mut record);
        match &answer {
            Err(refusal) => (record.code, record.problem) = (refusal.code, refusal.message.clone()),
            Ok(Answer::Object(code, _)) => record.code = *code,
            Ok(_) => {}
        }
        self.log.push(record);
        answer
    }

    fn answer_recorded(
        &mut self,
        user: &User,
        request: &Request,
        record: &mut Record,
    ) -> Result<Answer, Refusal> {
        let is_admin = user.name == ADMIN;
        if let (false, Some(refuse)) = (is_admin, self.faults.refuse) {
            return Err(refuse.refusal());
        }
        let resources = Arc::clone(&self.resources);
        if let Some(found) = super::discovery::answer(&resources, &request.path) {
            return Ok(Answer::Plain(found));
        }
        let target = Target::parse(&resources, &request.path).ok_or_else(Refusal::no_such_path)?;
        let verb =
            target.verb(&request.method, &request.parameters).ok_or_else(Refusal::method_not_allowed)?;
        let resource = &resources[target.kind];
        let with_subresource = |name: &str| match target.subresource.as_str() {
            "" => name.to_owned(),
            subresource => format!("{name}/{subresource}"),
        };
        record.verb = verb.into();
        record.resource = with_subresource(&resource.full_name());
        (record.namespace, record.name) = (target.namespace.clone(), target.name.clone());
        let action = Action {
            verb,
            group: &resource.group,
            resource: &with_subresource(&resource.plural),
            namespace: &target.namespace,
            name: &target.name,
        };
        self.check_allowed(user, action)?;
        let is_there = || {
            let key = Key { namespace: target.namespace.clone(), name: target.name.clone() };
            self.store.get(target.kind, &key).is_some()
        };
        // Applied, it would be made.
        if verb == "patch" && target.subresource.is_empty() && !is_there() {
            self.check_allowed(user, Action { verb: "create", ..action })?;
        }
        let stale = self.faults.stale_at.filter(|_| !is_admin);
        match verb {
            "watch" => Ok(Answer::Watch(target)),
            "get" => Ok(Answer::Object(200, reading::get(&self.store, resource, &target)?)),
            "list" => {
                let page = reading::list(&self.store, resource, &target, &request.parameters, stale)?;
                Ok(Answer::List(target.kind, page))
            }
            _ => self.write(verb, resource, &target, request, record),
        }
    }

    fn check_allowed(&mut self, user: &User, action: Action<'_>) -> Result<(), Refusal> {
        let is_allowed = user.name == ADMIN || self.rbac.allows(&user.name, action);
        if is_allowed { Ok(()) } else { Err(forbidden(user, action)) }
    }

    fn write(
        &mut self,
        verb: &str,
        resource: &Resource,
        target: &Target,
        request: &Request,
        record: &mut Record,
    ) -> Result<Answer, Refusal> {
        let Request { parameters, media_type, user_agent, body, .. } = request;
        let namespace = Key { namespace: String::new(), name: target.namespace.clone() };
        if verb == "create" && resource.is_namespaced {
            let (kind, place) = (self.kind("v1", "Namespace").unwrap_or_default(), &namespace);
            if self.store.get(kind, place).is_none() {
                return Err(Refusal::not_found(&self.resources[kind], &target.namespace));
            }
        }
        if verb == "deletecollection" {
            return self.delete_all(resource, target, parameters);
        }
        let mut write =
            Write { store: &mut self.store, resource, target, parameters, user_agent, now: now() };
        let Written { object, is_new, unknown } = match verb {
            "create" => write.create(parse(body)?)?,
            "update" => write.update(parse(body)?)?,
            "patch" => write.patch(media_type, body)?,
            _ => {
                let options = if body.is_empty() { Value::Null } else { parse(body)? };
                return write.delete(&options).map(|gone| Answer::Plain(success(resource, &gone)));
            }
        };
        if !unknown.is_empty() {
            record.problem = format!("unknown fields: {}", unknown.join(", "));
        }
        if record.name.is_empty() {
            record.name = object["metadata"]["name"].as_str().unwrap_or_default().into();
        }
        Ok(Answer::Object(if is_new { 201 } else { 200 }, object))
    }

    fn delete_all(
        &mut self,
        resource: &Resource,
        target: &Target,
        parameters: &Parameters,
    ) -> Result<Answer, Refusal> {
        let page = reading::list(&self.store, resource, target, parameters, None)?;
        for object in &page.items {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            self.store.remove(target.kind, &Key { namespace: text("namespace"), name: text("name") });
        }
        Ok(Answer::List(target.kind, page))
    }
}

fn success(resource: &Resource, gone: &Value) -> Value {
    let metadata = &gone["metadata"];
    let details = json!({
        "group": resource.group, "kind": resource.plural, "name": metadata["name"], "uid": metadata["uid"],
    });
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

fn forbidden(user: &User, action: Action<'_>) -> Refusal {
    let Action { verb, group, resource, namespace, name } = action;
    let place = match namespace {
        "" => "at the cluster scope".into(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    Refusal::forbidden(format!(
        "{resource} \"{name}\" is forbidden: User \"system:serviceaccount:{}\" cannot {verb} resource \"{resource}\" in API \
         group \"{group}\" {place}",
        user.name
    ))
}

/// Time of day.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
