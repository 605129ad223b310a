//! The parts of Kubernetes objects that can change what an agent does.
//!
//! What is wrong with an object (an address that is none, a selector that cannot be) stands in its `problems`, so that it can
//! be told of and the rest of the object, and of the cluster, works on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::ranges::AddressRange;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Namespace and name. Cheap to copy: there are many of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct ObjectName {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Service {
    /// `metadata.uid`, for events.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.loadBalancerClass`.
    pub class: Option<String>,
    /// `spec.externalTrafficPolicy` is Local.
    pub is_local: bool,
    /// `status.loadBalancer.ingress[].ip`, in that order.
    pub addresses: Vec<IpAddr>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Slice {
    /// Whose endpoints these are (label `kubernetes.io/service-name`, in the slice's namespace).
    pub service: ObjectName,
    /// The nodes (`None`: not told) that have an endpoint which is ready (not told: it is) or serving.
    pub serving_nodes: BTreeSet<Option<Arc<str>>>,
}

/// A Node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.addresses` that are IP addresses, of whatever type.
    pub addresses: Vec<IpAddr>,
    /// Condition `Ready` is True.
    pub is_ready: bool,
    /// Condition `NetworkUnavailable` is True.
    pub is_network_unavailable: bool,
}

/// An EndpointSlice of the agents' headless Service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentSlice {
    /// The nodes that have an endpoint, and whether one there is ready (not told: it is).
    pub nodes: BTreeMap<String, bool>,
}

/// What an agent tells of itself, on its ConfigurationState.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentAddresses {
    /// Its own addresses on every interface that may carry VIPs.
    pub addresses: Vec<IpAddr>,
}

/// An agent, by what the API says of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentEndpoint {
    /// It is a ready endpoint of the agents' headless Service, or was one since its Node came: losing readiness does not
    /// exclude it, its kernel answers on.
    pub is_admitted: bool,
    /// Those that it tells itself; more than its Node's `status` names.
    pub addresses: Vec<IpAddr>,
}

/// An IPAddressPool.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pool {
    /// `metadata.uid`, for events.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.addresses`, in that order.
    pub ranges: Vec<AddressRange>,
    /// What is wrong with it. A pool with a problem is not used.
    pub problems: Vec<String>,
}

/// An L2Advertisement.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Advertisement {
    /// `metadata.uid`, for events.
    pub uid: String,
    /// `spec.ipAddressPools`.
    pub pools: BTreeSet<String>,
    /// `spec.ipAddressPoolSelectors`; any of them.
    pub pool_selectors: Vec<Selector>,
    /// `spec.nodeSelectors`; any of them, or all nodes when there are none.
    pub node_selectors: Vec<Selector>,
    /// `spec.serviceSelectors`; any of them, or all services when there are none.
    pub service_selectors: Vec<Selector>,
    /// `spec.preferredNodeSelectors`: weight and preference.
    pub preferred: Vec<(i64, Selector)>,
    /// `spec.interfaces`; all when empty.
    pub interfaces: BTreeSet<String>,
    /// What is wrong with it. An advertisement with a problem is not used.
    pub problems: Vec<String>,
}

/// The kinds of objects that configure the agents.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ConfigKind {
    /// `IPAddressPool`.
    #[serde(rename = "IPAddressPool")]
    IpAddressPool,
    /// `L2Advertisement`.
    L2Advertisement,
}

/// A label selector: all of its requirements. The empty one matches everything.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Selector {
    /// The requirements, those of `matchLabels` as `In` with one value.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What it has to be.
    pub operator: Operator,
    /// For `In` and `NotIn`.
    pub values: BTreeSet<String>,
}

/// How a requirement judges.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Operator {
    /// The label is one of the values.
    In,
    /// The label is missing, or none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl fmt::Display for ConfigKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpAddressPool => "IPAddressPool",
            Self::L2Advertisement => "L2Advertisement",
        })
    }
}

impl ObjectName {
    /// From its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Whether it is a copy of the other. Two that are equal need not be.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.namespace, &other.namespace) && Arc::ptr_eq(&self.name, &other.name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for ObjectName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('/').ok_or_else(|| format!("`{text}` is not namespace/name"))?;
        Ok(Self::new(parts.0, parts.1))
    }
}

impl Selector {
    /// Whether it selects an object with these labels.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.is_met_by(labels))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if place > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// As `kubectl get --selector` takes it.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        let list = || values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (operator, values.len()) {
            (Operator::In, 1) => write!(f, "{key}={}", list()),
            (Operator::In, _) => write!(f, "{key} in ({})", list()),
            (Operator::NotIn, 1) => write!(f, "{key}!={}", list()),
            (Operator::NotIn, _) => write!(f, "{key} notin ({})", list()),
            (Operator::Exists, _) => f.write_str(key),
            (Operator::DoesNotExist, _) => write!(f, "!{key}"),
        }
    }
}

impl Requirement {
    fn is_met_by(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let is_listed = || value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => is_listed(),
            Operator::NotIn => !is_listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}
