//! ServiceL2Status: one for each Service that this node announces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use kube::ResourceExt as _;

use super::{Event, Observed, Write, event::Reason, is_spokesman};
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

/// What is to be written, so that the ServiceL2Statuses of this node (`me`) say what it holds. `existing` are by name;
/// Services in `busy` have a write under way, and are left alone until that is over.
///
/// The spokesman also deletes those of nodes that are gone or not Ready: these cannot do so themselves. One whose node comes
/// back as the announcer is written anew by it.
#[must_use]
pub fn writes(
    me: &str,
    selection: &Selection,
    observed: &Observed,
    existing: &BTreeMap<String, Existing>,
    busy: &BTreeSet<ObjectName>,
) -> Vec<Write> {
    let mut wanted = wanted(me, selection, observed);
    let speaks_for_all = is_spokesman(selection, me);
    let mut writes = Vec::new();
    for (object, Existing { node, service, interfaces }) in existing {
        if **node != *me {
            if speaks_for_all && !is_living(selection, node) {
                writes.push(Write::DeleteStatus { object: object.clone() });
            }
            continue;
        }
        if busy.contains(service) {
            wanted.remove(service);
            continue;
        }
        match wanted.remove(service) {
            Some(status) if interfaces.as_ref() == Some(&status.interfaces) => {}
            Some(status) => writes.push(Write::SetStatus { object: object.clone(), status }),
            None => writes.push(Write::DeleteStatus { object: object.clone() }), // or there are two
        }
    }
    let new = wanted.into_iter().filter(|(service, _)| !busy.contains(service));
    writes.extend(new.filter_map(|(service, status)| {
        let event = assigned(me, selection.services.get(&service)?, &status);
        Some(Write::CreateStatus(status, event))
    }));
    writes
}

/// The Services that this node holds.
fn wanted(me: &str, selection: &Selection, observed: &Observed) -> BTreeMap<ObjectName, Status> {
    if observed.held.is_empty() {
        return BTreeMap::new();
    }
    let status = |(name, verdict): (&ObjectName, &Arc<ServiceVerdict>)| {
        let interfaces = held_on(verdict, observed)?;
        Some((name.clone(), Status { node: me.into(), service: name.clone(), interfaces }))
    };
    selection.services.iter().filter_map(status).collect()
}

/// The interfaces on which this node holds a Service, as far as they are restricted. `None` when it holds none of its VIPs.
fn held_on(verdict: &ServiceVerdict, observed: &Observed) -> Option<Vec<String>> {
    let Outcome::Announced { unit, .. } = &verdict.outcome else { return None };
    let held = verdict.addresses.iter().filter_map(|address| observed.held.get(&address.address));
    let interfaces: Vec<&BTreeSet<String>> = held.collect();
    if interfaces.is_empty() {
        return None;
    }
    let all: BTreeSet<String> = interfaces.into_iter().flatten().cloned().collect();
    Some(if unit.interfaces.is_some() { all.into_iter().collect() } else { Vec::new() })
}

/// The event that goes with a new status.
fn assigned(me: &str, verdict: &ServiceVerdict, status: &Status) -> Event {
    let addresses: Vec<IpAddr> = verdict.addresses.iter().map(|address| address.address).collect();
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
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
