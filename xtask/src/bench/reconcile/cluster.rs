//! A large cluster as the API has it: objects as big as those of real clusters, since an agent has to read all of each.

use std::{net::Ipv4Addr, ops::Range};

use serde_json::{Value, json};

use crate::testbed::{Hosts, SYSTEM, api::At};

/// How many Services there are; each has one VIP.
pub(super) const SERVICES: u32 = 10_000;
/// How many Nodes there are.
pub(super) const NODES: u32 = 100;
/// How many advertisements there are, with the one that every test bed has.
pub(super) const ADVERTISEMENTS: u32 = 200;
/// VIPs that no Service has at first.
pub(super) const SPARE_VIPS: u32 = 1_000;

const POOLS: u32 = 50;
const ZONES: u32 = 10;
/// Images that a kubelet tells of at most, by default.
const IMAGES: u32 = 50;
const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 64, 0);
const FIRST_NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 0);

/// A VIP by its number: those of the Services come first, then the spare ones.
pub(super) fn vip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_VIP.to_bits() + number)
}

/// All of it; the first Nodes are those of the test bed.
pub(super) fn objects(hosts: &Hosts) -> impl Iterator<Item = Value> {
    let real = hosts.nodes.iter().map(|host| (host.name.clone(), host.address));
    let others = (1..=NODES).map(|number| (format!("n{number}"), at_number(FIRST_NODE, number)));
    let nodes: Vec<(String, Ipv4Addr)> = real.chain(others.skip(hosts.nodes.len())).collect();
    let agents = agents(nodes.iter().map(|(name, _)| name.as_str()));
    let nodes = (1..).zip(nodes).map(|(number, (name, address))| node(number, &name, address));
    let services = (0..SERVICES).flat_map(|number| [service(number), slice(number)]);
    let advertisements = (1..ADVERTISEMENTS).map(advertisement);
    nodes.chain([agents]).chain((0..POOLS).map(pool)).chain(advertisements).chain(services)
}

/// Where a Service is, by the number of its first VIP.
pub(super) fn at_service(name: &str) -> At<'_> {
    At { api_version: "v1", kind: "Service", namespace: "default", name }
}

/// Where a Node is.
pub(super) fn at_node(name: &str) -> At<'_> {
    At { api_version: "v1", kind: "Node", namespace: "", name }
}

pub(super) fn service_name(number: u32) -> String {
    format!("service-{number:05}")
}

/// The status of a Service that has this VIP.
pub(super) fn status(vip: Ipv4Addr) -> Value {
    json!({"loadBalancer": {"ingress": [{"ip": vip, "ipMode": "VIP"}]}})
}

/// The conditions that a kubelet tells with each heartbeat.
pub(super) fn conditions(heartbeat: &str) -> Value {
    let condition = |(name, status, reason): (&str, &str, &str)| {
        json!({
            "type": name, "status": status, "reason": reason, "message": format!("kubelet has told: {reason}"),
            "lastHeartbeatTime": heartbeat, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let all = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ];
    all.map(condition).into_iter().collect()
}

fn at_number(first: Ipv4Addr, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + number)
}

fn zone(number: u32) -> String {
    format!("zone-{}", number % ZONES)
}

fn node(number: u32, name: &str, address: Ipv4Addr) -> Value {
    let resources = json!({
        "cpu": "16", "memory": "65770108Ki", "pods": "110", "ephemeral-storage": "205374420Ki",
        "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    let image = |image: u32| {
        let name = format!("registry.example.org/team-{}/application-{image}", image % 7);
        json!({"names": [format!("{name}@sha256:{image:064x}"), format!("{name}:v1.{image}.0")], "sizeBytes": 73_000_000})
    };
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "large", "topology.kubernetes.io/zone": zone(number),
                "topology.kubernetes.io/region": "region",
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
            "managedFields": managed(&["addresses", "allocatable", "capacity", "conditions", "images", "nodeInfo"]),
        },
        "spec": {"podCIDR": format!("10.244.{number}.0/24"), "podCIDRs": [format!("10.244.{number}.0/24")]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "allocatable": resources, "capacity": resources,
            "conditions": conditions("2026-01-01T00:00:00Z"),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10_250}},
            "images": (0..IMAGES).map(image).collect::<Vec<_>>(),
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "kernelVersion": "6.12.0",
                "osImage": "Debian GNU/Linux 13 (trixie)", "containerRuntimeVersion": "containerd://2.0.0",
                "kubeletVersion": "v1.33.0", "kubeProxyVersion": "v1.33.0",
                "machineID": format!("{number:032x}"), "systemUUID": format!("{number:032x}"),
                "bootID": format!("{number:032x}"),
            },
        },
    })
}

/// Who has set which field, as it stands in every object.
fn managed(fields: &[&str]) -> Value {
    let fields: Value =
        fields.iter().map(|field| (format!("f:{field}"), json!({".": {}, "f:value": {}}))).collect();
    json!([{
        "manager": "controller", "operation": "Update", "apiVersion": "v1", "subresource": "status",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": fields},
    }])
}

/// The endpoints of the agents: one on each Node.
fn agents<'a>(nodes: impl Iterator<Item = &'a str>) -> Value {
    let endpoint = |(number, node): (u32, &str)| endpoint(at_number(FIRST_NODE, number), node);
    endpoint_slice(SYSTEM, "lb-agent", (1..).zip(nodes).map(endpoint).collect())
}

fn pool(number: u32) -> Value {
    let range = |range: Range<u32>| format!("{}-{}", vip(range.start), vip(range.end - 1));
    let size = SERVICES / POOLS;
    let mut addresses = vec![range(number * size..(number + 1) * size)];
    if number == 0 {
        addresses.push(range(SERVICES..SERVICES + SPARE_VIPS));
    }
    json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"namespace": SYSTEM, "name": pool_name(number)},
        "spec": {"addresses": addresses},
    })
}

fn pool_name(number: u32) -> String {
    format!("pool-{number:02}")
}

/// Those of a pool select in different ways: all nodes, those of a zone, some Services; and they prefer a zone.
fn advertisement(number: u32) -> Value {
    let zone = json!({"matchLabels": {"topology.kubernetes.io/zone": zone(number)}});
    let mut spec = json!({"ipAddressPools": [pool_name(number % POOLS)]});
    match number / POOLS {
        0 => {}
        1 => spec["nodeSelectors"] = json!([zone]),
        2 => spec["serviceSelectors"] = json!([{"matchLabels": {"tier": "front"}}]),
        _ => spec["preferredNodeSelectors"] = json!([{"weight": 10, "preference": zone}]),
    }
    json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"namespace": SYSTEM, "name": format!("advertisement-{number:03}")},
        "spec": spec,
    })
}

fn service(number: u32) -> Value {
    let name = service_name(number);
    let tier = if number.is_multiple_of(2) { "front" } else { "back" };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "default", "name": name, "labels": {"app.kubernetes.io/name": name, "tier": tier},
            "annotations": {"metallb.io/ip-allocated-from-pool": "pool"},
            "managedFields": managed(&["loadBalancer"]),
        },
        "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "selector": {"app.kubernetes.io/name": name},
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8_080, "nodePort": 30_080},
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 8_443, "nodePort": 30_443},
            ],
        },
        "status": status(vip(number)),
    })
}

/// Three endpoints, on as many Nodes.
fn slice(number: u32) -> Value {
    let endpoint = |pod: u32| {
        let node = format!("n{}", (number + 33 * pod) % NODES + 1);
        endpoint(at_number(Ipv4Addr::new(10, 244, 0, 0), 3 * number + pod), &node)
    };
    endpoint_slice("default", &service_name(number), (0..3).map(endpoint).collect())
}

fn endpoint(address: Ipv4Addr, node: &str) -> Value {
    json!({
        "addresses": [address], "nodeName": node,
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "targetRef": {"kind": "Pod", "namespace": "default", "name": format!("pod-{address}")},
    })
}

fn endpoint_slice(namespace: &str, service: &str, endpoints: Vec<Value>) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace, "name": service, "generateName": format!("{service}-"),
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8_080, "protocol": "TCP"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vip_is_in_one_pool() {
        let ranges: Vec<String> = (0..POOLS)
            .flat_map(|number| pool(number)["spec"]["addresses"].as_array().cloned().unwrap_or_default())
            .filter_map(|range| range.as_str().map(str::to_owned))
            .collect();
        let bounds = ranges.iter().filter_map(|range| range.split_once('-'));
        let mut bounds: Vec<(u32, u32)> = bounds
            .filter_map(|(first, last)| {
                let number =
                    |text: &str| Some(text.parse::<Ipv4Addr>().ok()?.to_bits() - FIRST_VIP.to_bits());
                Some((number(first)?, number(last)? + 1))
            })
            .collect();
        bounds.sort_unstable();
        let next = bounds.iter().try_fold(0, |next, &(first, end)| (first == next).then_some(end));
        assert_eq!((bounds.len(), next), (51, Some(SERVICES + SPARE_VIPS)));
    }
}
