//! ConfigurationState: what this node's agent makes of the configuration, and by which addresses it is reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::machines::MACHINES;
use crate::{
    cluster::{
        selection::{Problem, Selection},
        trim,
    },
    crds::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus},
};

/// The label with the component's type.
pub const COMPONENT: &str = "metallb.io/component-type";
/// The label with the node's name.
pub const NODE: &str = "metallb.io/node-name";

/// Of the configuration: all of it can be used.
const VALID: &str = "ConfigurationValid";
/// Of the advertisements: each selects something.
const EFFECTIVE: &str = "AdvertisementsEffective";
/// Of the node: others can probe it.
const REACHABLE: &str = "NodeHasAddress";
/// Longer texts are refused.
const MAX_MESSAGE: usize = 32_768;

/// What that is told by.
const NO_ADDRESS: &str = "neither the Node's status nor its agent tells an IP address by which others could probe this node, so it \
                          announces only what no other node may: look at status.addresses, and at the addresses of the \
                          interfaces that carry VIPs";

/// What a ConfigurationState is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name.
    pub object: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations: the agent's own addresses, and where it runs.
    pub annotations: BTreeMap<String, String>,
    /// Its status.
    pub status: ConfigurationStateStatus,
}

/// What an agent tells of itself.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// What is wrong with its settings.
    pub problems: &'a [String],
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// Where it runs.
    pub machines: &'a BTreeSet<String>,
}

/// What this node's ConfigurationState has to say, unless it does: `existing` is what stands in the API.
#[must_use]
pub fn write(
    me: &str,
    selection: &Selection,
    Own { problems, addresses, machines }: Own<'_>,
    existing: Option<&ConfigurationState>,
    now: &Time,
) -> Option<State> {
    let status_before = existing.and_then(|existing| existing.status.as_ref());
    let state = State {
        object: format!("{}{me}", trim::STATE_PREFIX),
        labels: [(COMPONENT, "speaker"), (NODE, me)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        annotations: [
            (trim::ADDRESSES, trim::addresses_text(addresses.iter().copied())),
            (MACHINES, machines.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into(),
        status: status(me, selection, problems, status_before, now),
    };
    let stands = existing.is_some_and(|existing| says(existing, &state));
    (!stands).then_some(state)
}

/// Whether the object has these labels and annotations: at most its status is to be changed. It may have further ones.
#[must_use]
pub fn is_known_by(existing: &ConfigurationState, state: &State) -> bool {
    let has = |all: Option<&BTreeMap<String, String>>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| all.is_some_and(|all| all.get(key) == Some(value)))
    };
    has(existing.metadata.labels.as_ref(), &state.labels)
        && has(existing.metadata.annotations.as_ref(), &state.annotations)
}

/// Whether the object says all of that.
fn says(existing: &ConfigurationState, state: &State) -> bool {
    is_known_by(existing, state)
        && existing.status.as_ref().is_some_and(|existing| has_status(existing, &state.status))
}

/// There may be further conditions: a speaker of MetalLB on the same node writes the same object.
fn has_status(existing: &ConfigurationStateStatus, wanted: &ConfigurationStateStatus) -> bool {
    let ConfigurationStateStatus { result, error_summary, conditions } = wanted;
    existing.result == *result
        && existing.error_summary == *error_summary
        && conditions.iter().all(|condition| existing.conditions.contains(condition))
}

fn status(
    me: &str,
    selection: &Selection,
    settings: &[String],
    before: Option<&ConfigurationStateStatus>,
    now: &Time,
) -> ConfigurationStateStatus {
    let told = |is_invalid: bool| {
        let problems = selection.problems.iter().filter(move |problem| problem.is_invalid == is_invalid);
        problems.map(Problem::to_string)
    };
    let invalid: Vec<String> = told(true).chain(settings.iter().cloned()).collect();
    let idle: Vec<String> = told(false).collect();
    let lacks_address = selection.nodes.get(me).is_some_and(|node| node.addresses.is_empty());
    let unreachable: Vec<String> = lacks_address.then(|| NO_ADDRESS.to_owned()).into_iter().collect();
    let result = if invalid.is_empty() { ConfigurationResult::Valid } else { ConfigurationResult::Invalid };
    let before = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let conditions = vec![
        condition(VALID, ["AllUsed", "LastValidUsed"], &invalid, before, now),
        condition(EFFECTIVE, ["AllSelect", "SelectsNothing"], &idle, before, now),
        condition(REACHABLE, ["Told", "NoneTold"], &unreachable, before, now),
    ];
    ConfigurationStateStatus { result: Some(result), error_summary: invalid.join("; "), conditions }
}

/// A condition that is True when there are no problems. The time moves only when it changes between True and False.
fn condition(
    type_: &str,
    [fine, wrong]: [&str; 2],
    problems: &[String],
    before: &[Condition],
    now: &Time,
) -> Condition {
    let (status, reason) = if problems.is_empty() { ("True", fine) } else { ("False", wrong) };
    let same = before.iter().find(|before| before.type_ == type_ && before.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: problems.join("; ").chars().take(MAX_MESSAGE).collect(),
        last_transition_time: same.map_or_else(|| now.clone(), |same| same.last_transition_time.clone()),
        observed_generation: None,
    }
}
