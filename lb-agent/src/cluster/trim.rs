//! From Kubernetes' objects to what is kept of them. Total: what cannot be read becomes a problem of the object.

mod selectors;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::{
    api::{
        core::v1::{LoadBalancerIngress, Node as ApiNode, NodeStatus, Service as ApiService},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use selectors::Reader;

use super::objects::{Advertisement, AgentAddresses, AgentSlice, Node, ObjectName, Pool, Service, Slice};
use crate::{
    config::unusable_vip,
    crds::{IPAddressPool, L2Advertisement},
    ranges,
};

/// The label that names an EndpointSlice's Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The annotation on an agent's ConfigurationState by which it tells its own addresses, with commas between them.
pub const ADDRESSES: &str = "lb.metallb.io/addresses";
/// The name of an agent's ConfigurationState is this, and that of its node.
pub const STATE_PREFIX: &str = "speaker-";

/// A Service. Whether it is of type LoadBalancer is not looked at.
#[must_use]
pub fn service(service: &ApiService) -> Service {
    let spec = service.spec.as_ref();
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    let mut problems = Vec::new();
    let mut addresses = Vec::new();
    for ingress in ingress {
        match address(ingress) {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(problem) => problems.push(format!("status.loadBalancer.ingress: {problem}")),
        }
    }
    Service {
        uid: uid(&service.metadata),
        labels: service.metadata.labels.clone().unwrap_or_default(),
        class: spec.and_then(|spec| spec.load_balancer_class.clone()),
        is_local: spec.and_then(|spec| spec.external_traffic_policy.as_deref()) == Some("Local"),
        addresses,
        problems,
    }
}

fn address(ingress: &LoadBalancerIngress) -> Result<IpAddr, String> {
    let LoadBalancerIngress { hostname, ip, ip_mode: _, ports: _ } = ingress;
    let text = match (ip.as_deref().filter(|ip| !ip.is_empty()), hostname) {
        (Some(ip), _) => ip,
        (None, Some(hostname)) => return Err(format!("the host name {hostname:?} cannot be announced")),
        (None, None) => return Err("an entry without ip".to_owned()),
    };
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is no IP address"))?;
    let address = address.to_canonical();
    unusable_vip(address).map_or(Ok(address), |why| Err(format!("{address} cannot be announced: {why}")))
}

/// An EndpointSlice; `None` for one that does not say whose it is.
#[must_use]
pub fn slice(slice: &EndpointSlice) -> Option<Slice> {
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    let namespace = slice.metadata.namespace.as_deref()?;
    let serving = slice.endpoints.iter().filter(|endpoint| is_ready(endpoint) || is_serving(endpoint));
    let serving_nodes: BTreeSet<Option<Arc<str>>> =
        serving.map(|endpoint| endpoint.node_name.as_deref().map(Arc::from)).collect();
    Some(Slice { service: ObjectName::new(namespace, service.as_str()), serving_nodes })
}

/// An EndpointSlice of the agents' own Service.
#[must_use]
pub fn agent_slice(slice: &EndpointSlice) -> AgentSlice {
    let mut nodes = BTreeMap::new();
    for endpoint in &slice.endpoints {
        if let Some(node) = &endpoint.node_name {
            *nodes.entry(node.clone()).or_default() |= is_ready(endpoint);
        }
    }
    AgentSlice { nodes }
}

/// Not told: it is.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// It may be about to end, and still serves.
fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.serving).unwrap_or(false)
}

/// A Node.
#[must_use]
pub fn node(node: &ApiNode) -> Node {
    let status = node.status.as_ref();
    let addresses = status.and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let mut known = Vec::new();
    for address in addresses.iter().filter_map(|address| address.address.parse::<IpAddr>().ok()) {
        if !known.contains(&address) {
            known.push(address);
        }
    }
    Node {
        labels: node.metadata.labels.clone().unwrap_or_default(),
        addresses: known,
        is_ready: is_true(status, "Ready"),
        is_network_unavailable: is_true(status, "NetworkUnavailable"),
    }
}

fn is_true(status: Option<&NodeStatus>, condition: &str) -> bool {
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|known| known.type_ == condition && known.status == "True")
}

/// An IPAddressPool.
#[must_use]
pub fn pool(pool: &IPAddressPool) -> Pool {
    let (ranges, errors) = ranges::parse_pool(&pool.spec.addresses);
    Pool {
        uid: uid(&pool.metadata),
        labels: pool.metadata.labels.clone().unwrap_or_default(),
        ranges,
        problems: errors.iter().map(ToString::to_string).collect(),
    }
}

/// An L2Advertisement.
#[must_use]
pub fn advertisement(advertisement: &L2Advertisement) -> Advertisement {
    let spec = &advertisement.spec;
    let mut reader = Reader::default();
    Advertisement {
        uid: uid(&advertisement.metadata),
        pools: spec.ip_address_pools.iter().cloned().collect(),
        pool_selectors: reader.selectors("ipAddressPoolSelectors", &spec.ip_address_pool_selectors),
        node_selectors: reader.selectors("nodeSelectors", &spec.node_selectors),
        service_selectors: reader.selectors("serviceSelectors", &spec.service_selectors),
        preferred: reader.preferred(&spec.preferred_node_selectors),
        interfaces: spec.interfaces.iter().cloned().collect(),
        problems: reader.problems,
    }
}

/// The node whose agent a ConfigurationState is of; `None` for that of another component.
#[must_use]
pub fn agent_of_state(meta: &ObjectMeta) -> Option<String> {
    meta.name.as_deref()?.strip_prefix(STATE_PREFIX).map(str::to_owned)
}

/// What an agent tells of itself on its ConfigurationState; `None` when it does not. What is no address is left out.
#[must_use]
pub fn agent_addresses(meta: &ObjectMeta) -> Option<AgentAddresses> {
    let text = meta.annotations.as_ref()?.get(ADDRESSES)?;
    let addresses: BTreeSet<IpAddr> = text.split(',').filter_map(|text| text.trim().parse().ok()).collect();
    Some(AgentAddresses { addresses: addresses.into_iter().collect() })
}

/// Addresses in the form that [`agent_addresses`] reads.
#[must_use]
pub fn addresses_text(addresses: impl IntoIterator<Item = IpAddr>) -> String {
    let sorted: BTreeSet<IpAddr> = addresses.into_iter().collect();
    sorted.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn uid(meta: &ObjectMeta) -> String {
    meta.uid.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests;
