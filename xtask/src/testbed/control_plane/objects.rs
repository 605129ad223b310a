//! Objects as their makers make them.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{SYSTEM, addresses_of_node};
use crate::testbed::{api::At, families::Unit};

/// A Service of type LoadBalancer in the namespace `default`, with its address and its endpoints.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    name: String,
    addresses: Vec<IpAddr>,
    is_local: bool,
    class: Option<String>,
    /// What stands in its status besides its addresses.
    garbage: Vec<Value>,
    /// The nodes of its endpoints, and whether these are ready.
    endpoints: Vec<(String, bool)>,
}

impl LoadBalancer {
    /// With policy Cluster, and one ready endpoint on `n1`.
    #[must_use]
    pub fn new(name: &str, vips: impl Into<Unit>) -> Self {
        let (name, addresses) = (name.to_owned(), vips.into().addresses().collect());
        let endpoints = vec![("n1".into(), true)];
        Self { name, addresses, is_local: false, class: None, garbage: Vec::new(), endpoints }
    }

    /// With policy Local.
    #[must_use]
    pub fn local(self) -> Self {
        Self { is_local: true, ..self }
    }

    /// Of a class. Kubernetes has it that this never changes.
    #[must_use]
    pub fn of_class(self, class: &str) -> Self {
        Self { class: Some(class.to_owned()), ..self }
    }

    /// With these entries in its status too, before those of its addresses.
    #[must_use]
    pub fn with_garbage(self, garbage: &[Value]) -> Self {
        Self { garbage: garbage.to_vec(), ..self }
    }

    /// Without an address, as before one is allocated.
    #[must_use]
    pub fn without_addresses(self) -> Self {
        Self { addresses: Vec::new(), ..self }
    }

    /// With a ready endpoint on each of these nodes.
    #[must_use]
    pub fn endpoints_on(self, nodes: &[&str]) -> Self {
        Self { endpoints: nodes.iter().map(|&node| (node.to_owned(), true)).collect(), ..self }
    }

    /// With the endpoints that it has, none of them ready.
    #[must_use]
    pub fn unready(mut self) -> Self {
        self.endpoints.iter_mut().for_each(|(_, is_ready)| *is_ready = false);
        self
    }

    pub(super) fn at(&self) -> At<'_> {
        At { api_version: "v1", kind: "Service", namespace: "default", name: &self.name }
    }

    pub(super) fn at_slice(&self) -> At<'_> {
        let (api_version, kind) = ("discovery.k8s.io/v1", "EndpointSlice");
        At { api_version, kind, namespace: "default", name: &self.name }
    }

    pub(super) fn service(&self) -> Value {
        let is_dual = self.addresses.len() > 1;
        let families: Vec<&str> =
            self.addresses.iter().map(|address| if address.is_ipv4() { "IPv4" } else { "IPv6" }).collect();
        let mut service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "default", "name": self.name},
            "spec": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": if self.is_local { "Local" } else { "Cluster" },
                "ipFamilies": families,
                "ipFamilyPolicy": if is_dual { "RequireDualStack" } else { "SingleStack" },
                "selector": {"app": self.name},
                "ports": [{"name": "web", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            },
        });
        if let Some(class) = &self.class {
            service["spec"]["loadBalancerClass"] = json!(class);
        }
        service
    }

    pub(super) fn status(&self) -> Value {
        let addresses = self.addresses.iter().map(|address| json!({"ip": address, "ipMode": "VIP"}));
        let ingress: Vec<Value> = self.garbage.iter().cloned().chain(addresses).collect();
        json!({"loadBalancer": {"ingress": ingress}})
    }

    pub(super) fn slice(&self) -> Value {
        slice("default", &self.name, self.endpoints.iter().map(|(node, is_ready)| (node.as_str(), *is_ready)))
    }
}

/// The EndpointSlice of a Service: nodes, and whether their endpoints are ready.
pub fn slice<'a>(namespace: &str, service: &str, endpoints: impl Iterator<Item = (&'a str, bool)>) -> Value {
    let endpoints: Vec<Value> = endpoints
        .enumerate()
        .map(|(number, (node, is_ready))| {
            json!({
                "addresses": [format!("10.244.0.{}", number + 1)],
                "nodeName": node,
                "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": service,
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
    })
}

/// A Node that is Ready.
pub fn node(name: &str, addresses: impl Iterator<Item = IpAddr>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {"addresses": addresses_of_node(addresses), "conditions": [condition("Ready", true)]},
    })
}

/// A condition of a Node.
pub fn condition(name: &str, status: bool) -> Value {
    json!({
        "type": name,
        "status": if status { "True" } else { "False" },
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// An IPAddressPool.
pub fn pool(name: &str, addresses: &[&str]) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"namespace": SYSTEM, "name": name},
        "spec": {"addresses": addresses},
    })
}

/// An L2Advertisement.
pub fn advertisement(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"namespace": SYSTEM, "name": name},
        "spec": spec,
    })
}
