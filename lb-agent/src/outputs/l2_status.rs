//! ServiceL2Status: one for each Service that this node announces.
//!
//! The spokesman also deletes those of nodes that are gone or not Ready: these cannot do so themselves. One whose node comes
//! back as the announcer is written anew by it.

use std::{collections::BTreeSet, sync::Arc};

use kube::ResourceExt as _;

use super::{Event, Write, event::Reason, observed::View};
use crate::{
    cluster::{
        objects::ObjectName,
        selection::{Outcome, Selection, ServiceVerdict},
    },
    crds::ServiceL2Status,
};

/// The label with the node's name.
pub const NODE: &str = "metallb.io/node";
/// The label with the Service's name.
pub const SERVICE_NAME: &str = "metallb.io/service-name";
/// The label with the Service's namespace.
pub const SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";
/// `metadata.generateName`.
pub const GENERATE_NAME: &str = "l2-";

/// What a ServiceL2Status says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// The node.
    pub node: Arc<str>,
    /// The Service.
    pub service: ObjectName,
    /// The interfaces, where advertisements restrict them; else empty.
    pub interfaces: Vec<String>,
}

/// A ServiceL2Status that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Existing {
    /// The node, by its label.
    pub node: Arc<str>,
    /// The Service, by its labels.
    pub service: ObjectName,
    /// What its status says; `None` when that has not been written, or is another's.
    pub interfaces: Option<Vec<String>>,
}

/// What is kept of a ServiceL2Status; `None` for one that lacks a label: it is not an agent's.
#[must_use]
pub fn trim(object: &ServiceL2Status) -> Option<Existing> {
    let label = |key| object.labels().get(key).map(String::as_str);
    let (node, namespace, name) = (label(NODE)?, label(SERVICE_NAMESPACE)?, label(SERVICE_NAME)?);
    let says_so = |status: &&crate::crds::ServiceL2StatusStatus| {
        status.node == node && status.service_namespace == namespace && status.service_name == name
    };
    let status = object.status.as_ref().filter(says_so);
    let interfaces =
        status.map(|status| status.interfaces.iter().map(|interface| interface.name.clone()).collect());
    Some(Existing { node: node.into(), service: ObjectName::new(namespace, name), interfaces })
}

/// Whether a node's agent is expected to delete what it has created.
#[must_use]
pub fn is_living(selection: &Selection, node: &str) -> bool {
    selection.nodes.get(node).is_some_and(|node| node.is_ready && node.has_agent)
}

/// What is to be written, so that the ServiceL2Statuses of this node for one Service say what it holds of it. `verdict` is
/// `None` when there is no such Service; `existing` are by name, in order.
#[must_use]
pub fn of_service<'a>(
    view: &View<'_>,
    service: &ObjectName,
    verdict: Option<&ServiceVerdict>,
    existing: impl IntoIterator<Item = (&'a str, &'a Existing)>,
) -> Vec<Write> {
    let mut wanted = verdict.and_then(|verdict| Some((verdict, held_on(view, verdict)?)));
    let status = |interfaces| Status { node: Arc::clone(view.me), service: service.clone(), interfaces };
    let mut writes = Vec::new();
    for (object, existing) in existing {
        let object = || object.to_owned();
        match wanted.take() {
            Some((_, interfaces)) if existing.interfaces.as_ref() == Some(&interfaces) => {}
            Some((_, interfaces)) => {
                writes.push(Write::SetStatus { object: object(), status: status(interfaces) });
            }
            None => writes.push(Write::DeleteStatus { object: object() }), // or there are two
        }
    }
    writes.extend(wanted.map(|(verdict, interfaces)| {
        let status = status(interfaces);
        let event = assigned(view.me, verdict, &status);
        Write::CreateStatus(status, event)
    }));
    writes
}

/// The interfaces on which this node holds a Service, as far as they are restricted. `None` when it holds none of its VIPs.
fn held_on(view: &View<'_>, verdict: &ServiceVerdict) -> Option<Vec<String>> {
    let Outcome::Announced { unit, .. } = &verdict.outcome else { return None };
    let mut held = verdict.addresses.iter().flat_map(|address| view.held_on(address.address)).peekable();
    held.peek()?;
    if unit.interfaces.is_none() {
        return Some(Vec::new());
    }
    let all: BTreeSet<&Arc<str>> = held.collect();
    Some(all.into_iter().map(ToString::to_string).collect())
}

/// The event that goes with a new status.
fn assigned(me: &str, verdict: &ServiceVerdict, status: &Status) -> Event {
    let addresses: Vec<String> =
        verdict.addresses.iter().map(|address| address.address.to_string()).collect();
    let on = match status.interfaces.as_slice() {
        [] => String::new(),
        interfaces => format!(" on {}", interfaces.join(", ")),
    };
    Event {
        service: status.service.clone(),
        uid: verdict.uid.to_string(),
        reason: Reason::NodeAssigned,
        note: format!("node {me} announces {}{on}", addresses.join(", ")),
        ..Event::default()
    }
}
