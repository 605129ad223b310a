//! The cluster, as far as it matters here, in plain values: a pure index of its objects, and what follows from them.
//!
//! Kubernetes' own types stop at the rim (`kubernetes`), which trims each object to one of these before it is stored, so
//! that a change of anything else (a Node's heartbeat) is no change here.

pub mod objects;
pub mod selection;

use std::{collections::BTreeMap, sync::Arc};

use objects::{Advertisement, AgentEndpoint, Node, ObjectName, Pool, Service, Slice};
use serde::{Deserialize, Serialize};

/// Every object, by name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cluster {
    /// Services of type LoadBalancer.
    pub services: BTreeMap<ObjectName, Arc<Service>>,
    /// EndpointSlices.
    pub slices: BTreeMap<ObjectName, Arc<Slice>>,
    /// Nodes, by name.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// IPAddressPools of the system namespace, by name.
    pub pools: BTreeMap<String, Arc<Pool>>,
    /// L2Advertisements of the system namespace, by name.
    pub advertisements: BTreeMap<String, Arc<Advertisement>>,
    /// What is known of the agents, by the name of their node.
    pub agents: BTreeMap<String, Arc<AgentEndpoint>>,
}
