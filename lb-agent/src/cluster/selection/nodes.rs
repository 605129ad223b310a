//! What each Node is fit for, and by which addresses it is known.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::verdict::NodeVerdict;
use crate::{
    cluster::{
        Cluster,
        objects::{AgentEndpoint, Node},
    },
    roster,
};

/// Keeps a Node out of load balancing, by its mere presence.
pub const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

pub(super) fn verdicts(cluster: &Cluster) -> BTreeMap<Arc<str>, NodeVerdict> {
    let verdict = |(name, node): (&String, &Arc<Node>)| {
        let agent = cluster.agents.get(name).map(|agent| &**agent);
        (name.as_str().into(), verdict(node, agent))
    };
    cluster.nodes.iter().map(verdict).collect()
}

fn verdict(node: &Node, agent: Option<&AgentEndpoint>) -> NodeVerdict {
    let mut addresses = node.addresses.clone();
    addresses.extend(agent.into_iter().flat_map(|agent| &agent.addresses));
    addresses.sort_unstable();
    addresses.dedup();
    NodeVerdict {
        has_agent: agent.is_some_and(|agent| agent.is_admitted),
        is_excluded: node.labels.contains_key(EXCLUDE_LABEL),
        is_network_unavailable: node.is_network_unavailable,
        is_ready: node.is_ready,
        addresses,
    }
}

/// The nodes of the group: all that run an agent. Those that are no candidates for anything are peers none the less, and no
/// strangers when they are heard.
pub(super) fn members(nodes: &BTreeMap<Arc<str>, NodeVerdict>) -> Vec<roster::Node> {
    let with_agent = nodes.iter().filter(|(_, node)| node.has_agent);
    let member = |(name, node): (&Arc<str>, &NodeVerdict)| roster::Node {
        name: name.to_string(),
        addresses: node.addresses.clone(),
    };
    with_agent.map(member).collect()
}

/// Whose own address it is, by what the API says. What agents tell of themselves does not count here: a VIP that another
/// announcer has left on an interface is to be announced.
pub(super) fn own_addresses(
    cluster: &Cluster,
    names: &BTreeMap<Arc<str>, NodeVerdict>,
) -> HashMap<IpAddr, Arc<str>> {
    let nodes = cluster.nodes.values().zip(names.keys());
    nodes.flat_map(|(node, name)| node.addresses.iter().map(|&address| (address, Arc::clone(name)))).collect()
}
