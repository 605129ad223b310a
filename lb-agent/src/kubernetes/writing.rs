//! Writes to the API, one thing at a time.
//!
//! What is to be written is found anew from what stands there (`outputs`), so a write that failed needs no queue: the next
//! look brings it again, or something newer in its place.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as ApiEvent},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tracing::debug;

use crate::{
    crds::{ConfigurationState, ServiceL2Status, ServiceL2StatusSpec},
    outputs::{
        Event, Write,
        l2_status::{GENERATE_NAME, NODE, SERVICE_NAME, SERVICE_NAMESPACE, Status},
        state::State,
    },
};

/// The kind of an event, as a rule names it.
pub const EVENTS: &str = "events";
/// By whom fields are said to be written.
const MANAGER: &str = "lb-agent";

/// What became of a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It stands there now, or did so already.
    Done,
    /// What it was about is not as it was thought to be: look again.
    Overtaken,
    /// It may do later.
    Later(String),
    /// No answer has come, so the next one would get none; it may have been done all the same.
    Unanswered(String),
    /// Nothing of its kind will do until somebody adds a rule.
    Forbidden(String),
    /// The API will never take it as it is.
    Refused(String),
}

impl Outcome {
    /// For metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Overtaken | Self::Later(_) | Self::Unanswered(_) => "retried",
            Self::Forbidden(_) | Self::Refused(_) => "refused",
        }
    }
}

/// Writes as one node's agent.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    namespace: String,
    node: String,
}

impl Writer {
    /// Of the agent of `node`, with objects in the system namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str, node: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), node: node.to_owned() }
    }

    /// Writes it.
    pub async fn write(&self, write: &Write, now: MicroTime) -> Outcome {
        let (verb, plural) = rule(write);
        let written = match write {
            Write::CreateStatus(status, _) => self.create_status(status).await,
            Write::SetStatus { object, status } => self.set_status(object, status).await,
            Write::DeleteStatus { object } => self.delete_status(object).await,
            Write::Event(event) => self.event(event, now).await,
            Write::SetState(state) => self.set_state(state).await,
        };
        written.map_or_else(|error| judge(verb, plural, &error), |()| Outcome::Done)
    }

    async fn create_status(&self, status: &Status) -> kube::Result<()> {
        let labels = [
            (NODE, &*status.node),
            (SERVICE_NAME, &*status.service.name),
            (SERVICE_NAMESPACE, &*status.service.namespace),
        ];
        let mut object = ServiceL2Status::new("", ServiceL2StatusSpec {});
        object.metadata = ObjectMeta {
            generate_name: Some(GENERATE_NAME.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        };
        let created = self.statuses().create(&PostParams::default(), &object).await?;
        if let Err(error) = self.set_status(&created.name_any(), status).await {
            // It is there, so the next look finds that it does not say anything yet.
            debug!(%error, service = %status.service, "a ServiceL2Status without its status");
        }
        Ok(())
    }

    async fn set_status(&self, object: &str, status: &Status) -> kube::Result<()> {
        let patch = Patch::Merge(json!({ "status": status_json(status) }));
        self.statuses().patch_status(object, &PatchParams::default(), &patch).await.map(drop)
    }

    async fn delete_status(&self, object: &str) -> kube::Result<()> {
        match self.statuses().delete(object, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    async fn event(&self, event: &Event, now: MicroTime) -> kube::Result<()> {
        let events: Api<ApiEvent> = Api::namespaced(self.client.clone(), &event.service.namespace);
        match events.create(&PostParams::default(), &api_event(event, &self.node, now)).await {
            // Its name says what it tells: that has been told.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            created => created.map(drop),
        }
    }

    async fn set_state(&self, state: &State) -> kube::Result<()> {
        let states: Api<ConfigurationState> = Api::namespaced(self.client.clone(), &self.namespace);
        // Whoever else has written it, what it says of this node is this agent's to say.
        let params = PatchParams::apply(MANAGER).force();
        states.patch(&state.object, &params, &Patch::Apply(state_json(state))).await?;
        let metadata = json!({ "name": state.object });
        let status = json!({ "apiVersion": api_version(), "kind": kind(), "metadata": metadata, "status": state.status });
        states.patch_status(&state.object, &params, &Patch::Apply(status)).await.map(drop)
    }

    fn statuses(&self) -> Api<ServiceL2Status> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn api_version() -> String {
    ConfigurationState::api_version(&()).into_owned()
}

fn kind() -> String {
    ConfigurationState::kind(&()).into_owned()
}

fn state_json(state: &State) -> Value {
    json!({
        "apiVersion": api_version(),
        "kind": kind(),
        // Server-side apply takes the name from here as well as from the path.
        "metadata": { "name": state.object, "labels": state.labels, "annotations": state.annotations },
    })
}

fn status_json(status: &Status) -> Value {
    let interfaces: Vec<Value> = status.interfaces.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "node": &*status.node,
        "serviceName": status.service.name,
        "serviceNamespace": status.service.namespace,
        // Nothing takes away what an earlier restriction has left.
        "interfaces": if interfaces.is_empty() { Value::Null } else { interfaces.into() },
    })
}

fn api_event(event: &Event, node: &str, now: MicroTime) -> ApiEvent {
    ApiEvent {
        metadata: ObjectMeta {
            name: Some(event.object_name()),
            namespace: Some(event.service.namespace.to_string()),
            ..ObjectMeta::default()
        },
        action: Some("Announce".to_owned()),
        event_time: Some(now),
        note: Some(event.note.clone()),
        reason: Some(event.reason.as_str().to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            name: Some(event.service.name.to_string()),
            namespace: Some(event.service.namespace.to_string()),
            uid: Some(event.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(node.to_owned()),
        type_: Some(event.reason.event_type().to_owned()),
        ..ApiEvent::default()
    }
}

/// The rule that a write needs: verbs and resource.
pub const fn rule(write: &Write) -> (&'static str, &'static str) {
    match write {
        Write::CreateStatus(..) => ("create", "servicel2statuses"),
        Write::SetStatus { .. } => ("patch", "servicel2statuses/status"),
        Write::DeleteStatus { .. } => ("delete", "servicel2statuses"),
        Write::Event(_) => ("create", EVENTS),
        Write::SetState(_) => ("create and patch", "configurationstates and configurationstates/status"),
    }
}

/// What an error means for the write.
fn judge(verb: &str, plural: &str, error: &kube::Error) -> Outcome {
    let kube::Error::Api(status) = error else { return Outcome::Unanswered(super::story::causes(error)) };
    let told = format!("{verb} {plural}: {}", status.message);
    match status.code {
        404 | 409 => Outcome::Overtaken,
        // A namespace that is being deleted takes nothing new.
        403 if status.message.contains("is being terminated") => Outcome::Overtaken,
        401 | 403 => Outcome::Forbidden(format!(
            "may not {told}; a rule for that is missing: apply the Role and the ClusterRole of deploy/"
        )),
        400 | 415 | 422 => Outcome::Refused(format!("the Kubernetes API does not take it: {told}")),
        _ => Outcome::Later(told),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kube::core::Status as ApiStatus;

    use super::*;
    use crate::{cluster::objects::ObjectName, outputs::event::Reason};

    fn judged(code: u16) -> Outcome {
        judged_by(code, "no")
    }

    fn judged_by(code: u16, message: &str) -> Outcome {
        let status = ApiStatus { code, message: message.to_owned(), ..ApiStatus::default() };
        judge("create", "events", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn what_may_do_later_is_told_from_what_somebody_has_to_mend() {
        assert_eq!([404, 409].map(judged), [Outcome::Overtaken, Outcome::Overtaken]);
        for code in [429, 500, 503] {
            assert_eq!(judged(code), Outcome::Later("create events: no".to_owned()), "{code}");
        }
        let rule = "may not create events: no; a rule for that is missing: apply the Role and the ClusterRole of deploy/";
        assert_eq!(judged(403), Outcome::Forbidden(rule.to_owned()));
        let ending = "unable to create new content in namespace a because it is being terminated";
        assert_eq!(judged_by(403, ending), Outcome::Overtaken);
        let lost = kube::Error::Service("connection reset".into());
        let outcome = judge("create", "events", &lost);
        assert!(matches!(outcome, Outcome::Unanswered(_)), "{outcome:?}");
        let invalid = "the Kubernetes API does not take it: create events: no";
        assert_eq!(judged(422), Outcome::Refused(invalid.to_owned()));
    }

    #[test]
    fn a_status_names_interfaces_only_where_they_are_restricted() {
        let status = |interfaces: &[&str]| {
            let interfaces = interfaces.iter().map(ToString::to_string).collect();
            let service = ObjectName::new("default", "web");
            status_json(&Status { node: Arc::from("n1"), service, interfaces })
        };
        let expected = |interfaces: Value| json!({"node": "n1", "serviceName": "web", "serviceNamespace": "default", "interfaces": interfaces});
        assert_eq!(status(&["eth0"]), expected(json!([{"name": "eth0"}])));
        assert_eq!(status(&[]), expected(Value::Null));
    }

    #[test]
    fn an_event_is_about_its_service_and_is_named_by_what_it_tells() {
        let event = Event {
            service: ObjectName::new("default", "web"),
            uid: "u1".to_owned(),
            reason: Reason::NodeAssigned,
            note: "node n1 announces 10.0.0.1".to_owned(),
            ..Event::default()
        };
        let now: MicroTime = serde_json::from_value(json!("2026-01-01T00:00:00.000001Z")).expect("a time");
        let object = serde_json::to_value(api_event(&event, "n1", now)).expect("JSON");
        let name = event.object_name();
        assert_eq!(
            object,
            json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": "default"},
                "action": "Announce",
                "eventTime": "2026-01-01T00:00:00.000001Z",
                "note": "node n1 announces 10.0.0.1",
                "reason": "nodeAssigned",
                "regarding": {"apiVersion": "v1", "kind": "Service", "name": "web", "namespace": "default", "uid": "u1"},
                "reportingController": "lb-agent",
                "reportingInstance": "n1",
                "type": "Normal",
            })
        );
    }
}
