//! Objects that are read no further than they matter.
//!
//! A Node's status names every image that it has, and each object's metadata says who has set which field. Nodes tell again and
//! again that they are alive: to read all of it each time would be most of what it costs to follow an idle cluster.
//!
//! Invariant: what [`crate::cluster::trim`] looks at is among what is read here.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    api::{
        core::v1::{
            LoadBalancerIngress, LoadBalancerStatus, Node, NodeAddress, NodeCondition, NodeStatus, Service,
            ServiceSpec, ServiceStatus,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// An object with those of its fields that matter.
#[derive(Clone, Debug)]
pub struct Lean<K>(pub K);

/// A kind of object of which a part is enough.
pub trait Partly: Sized {
    /// The part.
    type Part: DeserializeOwned + Into<Self>;
}

impl<'de, K: Partly> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        K::Part::deserialize(deserializer).map(|part| Self(part.into()))
    }
}

impl<K: Resource> Resource for Lean<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

impl Partly for Node {
    type Part = NodePart;
}

impl Partly for Service {
    type Part = ServicePart;
}

impl Partly for EndpointSlice {
    type Part = SlicePart;
}

/// What tells objects from others, and by what they are selected.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetaPart {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

/// A Node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodePart {
    metadata: MetaPart,
    status: Option<NodeStatusPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatusPart {
    addresses: Option<Vec<NodeAddress>>,
    conditions: Option<Vec<ConditionPart>>,
}

#[derive(Debug, Deserialize)]
struct ConditionPart {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// A Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServicePart {
    metadata: MetaPart,
    spec: Option<ServiceSpecPart>,
    status: Option<ServiceStatusPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceSpecPart {
    load_balancer_class: Option<String>,
    external_traffic_policy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceStatusPart {
    load_balancer: Option<LoadBalancerPart>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancerPart {
    ingress: Option<Vec<LoadBalancerIngress>>,
}

/// An EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlicePart {
    metadata: MetaPart,
    endpoints: Option<Vec<EndpointPart>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EndpointPart {
    node_name: Option<String>,
    conditions: Option<EndpointConditions>,
}

impl From<MetaPart> for ObjectMeta {
    fn from(MetaPart { name, namespace, uid, resource_version, labels }: MetaPart) -> Self {
        Self { name, namespace, uid, resource_version, labels, ..Self::default() }
    }
}

impl From<NodePart> for Node {
    fn from(NodePart { metadata, status }: NodePart) -> Self {
        let condition =
            |ConditionPart { type_, status }| NodeCondition { type_, status, ..Default::default() };
        let told = |NodeStatusPart { addresses, conditions }| NodeStatus {
            addresses,
            conditions: conditions.map(|conditions| conditions.into_iter().map(condition).collect()),
            ..NodeStatus::default()
        };
        Self { metadata: metadata.into(), status: status.map(told), ..Self::default() }
    }
}

impl From<ServicePart> for Service {
    fn from(ServicePart { metadata, spec, status }: ServicePart) -> Self {
        let wanted = |ServiceSpecPart { load_balancer_class, external_traffic_policy }: ServiceSpecPart| {
            ServiceSpec { load_balancer_class, external_traffic_policy, ..ServiceSpec::default() }
        };
        let balancer = |LoadBalancerPart { ingress }: LoadBalancerPart| LoadBalancerStatus { ingress };
        let told = |ServiceStatusPart { load_balancer }: ServiceStatusPart| ServiceStatus {
            load_balancer: load_balancer.map(balancer),
            ..ServiceStatus::default()
        };
        Self { metadata: metadata.into(), spec: spec.map(wanted), status: status.map(told) }
    }
}

impl From<SlicePart> for EndpointSlice {
    fn from(SlicePart { metadata, endpoints }: SlicePart) -> Self {
        let endpoint = |EndpointPart { node_name, conditions }| Endpoint {
            node_name,
            conditions,
            ..Endpoint::default()
        };
        let endpoints = endpoints.unwrap_or_default().into_iter().map(endpoint).collect();
        Self { metadata: metadata.into(), endpoints, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
