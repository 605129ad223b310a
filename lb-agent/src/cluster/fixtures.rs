//! Objects and clusters for tests.

use std::{fmt::Debug, net::IpAddr, sync::Arc};

use super::{
    Cluster,
    index::{Index, Object},
    objects::{
        Advertisement, AgentAddresses, AgentSlice, Node, ObjectName, Operator, Pool, Requirement, Selector,
        Service, Slice,
    },
};
use crate::ranges::AddressRange;

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// `namespace/name`, or `name`.
pub fn name<N: TryFrom<String, Error: Debug>>(text: &str) -> N {
    text.to_owned().try_into().expect("a name")
}

/// A selector of one label, `key=value`.
pub fn label(text: &str) -> Selector {
    let (key, value) = text.split_once('=').expect("key=value");
    let requirement =
        Requirement { key: key.to_owned(), operator: Operator::In, values: [value.to_owned()].into() };
    Selector { requirements: vec![requirement] }
}

fn labels(text: &str) -> super::objects::Labels {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').expect("key=value");
        (key.to_owned(), value.to_owned())
    };
    text.split(',').map(pair).collect()
}

/// A Service at these addresses.
pub fn service(addresses: &[&str]) -> Service {
    Service { addresses: addresses.iter().map(|address| ip(address)).collect(), ..Service::default() }
}

impl Service {
    pub(crate) fn local(self) -> Self {
        Self { is_local: true, ..self }
    }

    pub(crate) fn class(self, class: &str) -> Self {
        Self { class: Some(class.to_owned()), ..self }
    }

    pub(crate) fn labelled(self, text: &str) -> Self {
        Self { labels: labels(text), ..self }
    }
}

/// Endpoints of a Service on these nodes; `?` for one that does not say where it is.
pub fn endpoints(service: &str, nodes: &[&str]) -> Slice {
    let node = |node: &&str| Some(Arc::from(*node)).filter(|_| *node != "?");
    Slice { service: name(service), serving_nodes: nodes.iter().map(node).collect() }
}

/// A Node that is Ready, with this address of its own.
pub fn node(address: &str) -> Node {
    Node { addresses: vec![ip(address)], is_ready: true, ..Node::default() }
}

impl Node {
    pub(crate) fn labelled(self, text: &str) -> Self {
        Self { labels: labels(text), ..self }
    }

    pub(crate) fn not_ready(self) -> Self {
        Self { is_ready: false, ..self }
    }
}

/// A pool of one range, or of several.
pub fn pool(ranges: &[(&str, &str)]) -> Pool {
    let range = |(first, last): &(&str, &str)| AddressRange { first: ip(first), last: ip(last) };
    Pool { ranges: ranges.iter().map(range).collect(), ..Pool::default() }
}

impl Pool {
    pub(crate) fn labelled(self, text: &str) -> Self {
        Self { labels: labels(text), ..self }
    }
}

/// An advertisement of everything, everywhere.
pub fn advertisement() -> Advertisement {
    Advertisement::default()
}

impl Advertisement {
    pub(crate) fn pools(self, names: &[&str]) -> Self {
        Self { pools: names.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(crate) fn pool_labels(mut self, text: &str) -> Self {
        self.pool_selectors.push(label(text));
        self
    }

    pub(crate) fn nodes(mut self, text: &str) -> Self {
        self.node_selectors.push(label(text));
        self
    }

    pub(crate) fn services(mut self, text: &str) -> Self {
        self.service_selectors.push(label(text));
        self
    }

    pub(crate) fn prefers(mut self, weight: i64, text: &str) -> Self {
        self.preferred.push((weight, label(text)));
        self
    }

    pub(crate) fn on(self, names: &[&str]) -> Self {
        Self { interfaces: names.iter().map(ToString::to_string).collect(), ..self }
    }
}

/// Endpoints of agents: the nodes, each with whether its agent is ready.
pub fn agents(nodes: &[(&str, bool)]) -> AgentSlice {
    AgentSlice { nodes: nodes.iter().map(|&(node, is_ready)| (node.to_owned(), is_ready)).collect() }
}

/// What an agent tells of itself.
pub fn own(addresses: &[&str]) -> AgentAddresses {
    AgentAddresses { addresses: addresses.iter().map(|address| ip(address)).collect() }
}

/// Three nodes with agents, a pool, and an advertisement of all.
pub fn three_nodes() -> Index {
    let mut index = Index::default();
    for (name, address) in [("n1", "192.168.0.1"), ("n2", "192.168.0.2"), ("n3", "192.168.0.3")] {
        index.apply(name.to_owned(), node(address));
    }
    index.put("metallb-system/lb-agent", agents(&[("n1", true), ("n2", true), ("n3", true)]));
    index.put("pool", pool(&[("10.0.0.0", "10.0.0.255"), ("fd00::", "fd00::ff")]));
    index.put("all", advertisement());
    index
}

impl Index {
    /// Applies an object, and settles.
    pub(crate) fn put<O: Object<Name: TryFrom<String, Error: Debug>>>(
        &mut self,
        text: &str,
        object: O,
    ) -> bool {
        let has_changed = self.apply(name(text), object);
        self.settle(0) | has_changed
    }

    /// A Service, with an endpoint on each of these nodes.
    pub(crate) fn serve(&mut self, text: &str, service: Service, nodes: &[&str]) {
        self.put(text, service);
        self.put(&format!("{text}-1"), endpoints(text, nodes));
    }
}

/// The name of a Service.
pub fn named(text: &str) -> ObjectName {
    name(text)
}

/// Objects in a cluster that is as it is listed afresh.
pub fn relisted(cluster: &Cluster) -> Cluster {
    let text = serde_json::to_string(cluster).expect("a cluster as JSON");
    serde_json::from_str(&text).expect("the same cluster")
}
