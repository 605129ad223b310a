//! The cluster, as far as it matters here, in plain values: a pure index of its objects, and what follows from them.
//!
//! Kubernetes' own types stop at the rim (`kubernetes`), which trims each object to one of these before it is stored, so
//! that a change of anything else (a Node's heartbeat) is no change here.

pub mod changes;
#[cfg(test)]
pub(crate) mod events;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod index;
pub mod objects;
pub mod selection;
pub mod trim;

use std::{collections::BTreeMap, sync::Arc};

use objects::{
    Advertisement, AgentAddresses, AgentEndpoint, AgentSlice, Node, ObjectName, Pool, Service, Slice,
};
use serde::{Deserialize, Serialize};

/// Every object, by name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Cluster {
    /// Services of type LoadBalancer.
    pub services: BTreeMap<ObjectName, Arc<Service>>,
    /// EndpointSlices.
    pub slices: BTreeMap<ObjectName, Arc<Slice>>,
    /// Nodes, by name.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// IPAddressPools of the system namespace, by name: of each the last valid version.
    pub pools: BTreeMap<String, Arc<Pool>>,
    /// What is wrong with the newest version of an IPAddressPool, where that is not used.
    pub rejected_pools: BTreeMap<String, Arc<[String]>>,
    /// L2Advertisements of the system namespace, by name: of each the last valid version.
    pub advertisements: BTreeMap<String, Arc<Advertisement>>,
    /// What is wrong with the newest version of an L2Advertisement, where that is not used.
    pub rejected_advertisements: BTreeMap<String, Arc<[String]>>,
    /// EndpointSlices of the agents' own headless Service.
    pub agent_slices: BTreeMap<ObjectName, Arc<AgentSlice>>,
    /// What agents tell of their own addresses, by the name of their node.
    pub agent_addresses: BTreeMap<String, Arc<AgentAddresses>>,
    /// What is known of the agents, by the name of their node. Follows from the others, and from what was before.
    pub agents: BTreeMap<String, Arc<AgentEndpoint>>,
}
