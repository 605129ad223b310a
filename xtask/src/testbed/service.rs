//! What lies behind a VIP in Kubernetes: pods, and on each node the rules by which kube-proxy leads a Service's traffic
//! to them.

mod callers;
mod pod;
mod rules;

use anyhow::Context as _;
pub use callers::{Answer, Call, Callers, Calls, TIMEOUT};
pub use pod::Pod;
pub use rules::Proxy;

use super::{families::Unit, group::Hosts};

/// The Service's port.
pub const PORT: u16 = 80;

/// `externalTrafficPolicy` of a Service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// Each node leads to the pod, wherever it is, and the pod sees an address of that node.
    Cluster,
    /// Each node leads to its own pod, which sees the client's address.
    Local,
}

/// Makes pods on these nodes (by number), and leads what comes to any node for the VIPs to them. Pods are gone when they
/// are dropped, the rules with their nodes.
///
/// # Errors
/// When a node has no pod that it could lead to, or a tool is missing.
pub fn serve<'a>(
    hosts: &'a Hosts,
    vips: Unit,
    pods_on: &[usize],
    policy: Policy,
    proxy: Proxy,
) -> anyhow::Result<Vec<Pod<'a>>> {
    let pods: Vec<Pod<'_>> =
        pods_on.iter().map(|&node| Pod::start(&hosts.nodes[node])).collect::<anyhow::Result<_>>()?;
    for node in &hosts.nodes {
        pod::forward(node)?;
        let endpoint = pods.iter().find(|pod| policy == Policy::Cluster || pod.is_on(node));
        let endpoint = endpoint.with_context(|| format!("{} has no pod to lead to", node.name))?;
        endpoint.route_from(node)?;
        for vip in vips.addresses() {
            proxy.lead(node, vip, endpoint.endpoint(vip), policy)?;
        }
    }
    Ok(pods)
}
