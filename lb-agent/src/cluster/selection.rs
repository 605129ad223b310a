//! What follows from the cluster: the agent's plan, and for each Service why it is announced or not.
//!
//! A pure function of the cluster and the options. What an earlier run found is used again where nothing that it depends on
//! has changed: a change of one Service looks at that Service and at those that share a VIP with it. A change of a pool, an
//! advertisement, a Node or an agent looks at everything.

pub mod verdict;

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
pub use verdict::{
    AddressVerdict, Advertised, NodeVerdict, Outcome, Problem, Reason, ServiceVerdict, Serving, Standing,
};

use super::objects::ObjectName;
use crate::{
    holding::Failback,
    plan::{Interfaces, Plan},
};

/// What the agent was told besides the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// This node's name.
    pub me: String,
    /// Services of this class only; `None`: only those without one.
    pub lb_class: Option<String>,
    /// Where VIPs may be announced; discovered ones are joined by those that advertisements name for this node.
    pub interfaces: Interfaces,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

/// What the cluster comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Selection {
    /// What the agent is to do.
    #[serde(skip)]
    pub plan: Plan,
    /// Why each Service is announced or not.
    pub services: BTreeMap<ObjectName, Arc<ServiceVerdict>>,
    /// What each Node is fit for.
    pub nodes: Arc<BTreeMap<Arc<str>, NodeVerdict>>,
    /// What is wrong with pools and advertisements.
    pub problems: Arc<[Problem]>,
}
