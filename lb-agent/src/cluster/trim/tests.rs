use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::{
    cluster::{
        fixtures::{ip, label, named},
        objects::{Operator, Requirement, Selector},
    },
    ranges::AddressRange,
};

fn read<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("an object")
}

fn ingress(ingress: &Value) -> (Vec<IpAddr>, Vec<String>) {
    let Service { addresses, problems, .. } =
        service(&read(json!({"status": {"loadBalancer": {"ingress": ingress}}})));
    (addresses, problems)
}

#[test]
fn of_a_service_its_labels_class_policy_and_addresses_are_kept() {
    let object = json!({
        "metadata": {"uid": "u1", "name": "web", "namespace": "default", "labels": {"app": "web"}, "annotations": {"a": "b"}},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/lb", "externalTrafficPolicy": "Local"},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}, {"ip": "fd00::1"}, {"ip": "10.0.0.1"}]}},
    });
    let expected = Service {
        uid: "u1".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        class: Some("example.com/lb".to_owned()),
        is_local: true,
        addresses: vec![ip("10.0.0.1"), ip("fd00::1")],
        problems: vec![],
    };
    assert_eq!(service(&read(object)), expected);
    assert_eq!(service(&read(json!({}))), Service::default(), "all of it may be missing");
}

#[test]
fn garbage_in_a_services_status_is_told_and_the_rest_kept() {
    let cases = [
        (json!({"ip": "10.0.0"}), "\"10.0.0\" is no IP address"),
        (json!({"hostname": "lb.example.com"}), "the host name \"lb.example.com\" cannot be announced"),
        (json!({"ip": ""}), "an entry without ip"),
        (json!({"ip": "127.0.0.1"}), "127.0.0.1 cannot be announced: it is a loopback address"),
        (
            json!({"ip": "fe80::1"}),
            "fe80::1 cannot be announced: it is a link-local address, which means another host on each link",
        ),
    ];
    for (garbage, problem) in cases {
        let expected = (vec![ip("10.0.0.1")], vec![format!("status.loadBalancer.ingress: {problem}")]);
        assert_eq!(ingress(&json!([garbage, {"ip": "10.0.0.1"}])), expected);
    }
}

#[test]
fn an_address_with_a_host_name_is_an_address() {
    let expected = (vec![ip("10.0.0.1"), ip("10.0.0.2")], vec![]);
    let both = json!([{"ip": "10.0.0.1", "hostname": "lb.example.com"}, {"ip": "::ffff:10.0.0.2"}]);
    assert_eq!(ingress(&both), expected);
}

fn slice_of(endpoints: &Value) -> EndpointSlice {
    read(json!({
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
    }))
}

#[test]
fn endpoints_that_are_ready_or_serving_count() {
    let endpoint = |node: &str, conditions: Value| json!({"addresses": ["10.1.0.1"], "nodeName": node, "conditions": conditions});
    let endpoints = json!([
        endpoint("ready", json!({"ready": true})),
        endpoint("untold", json!({})),
        endpoint("ending", json!({"ready": false, "serving": true, "terminating": true})),
        endpoint("gone", json!({"ready": false, "serving": false, "terminating": true})),
        endpoint("unready", json!({"ready": false})),
        {"addresses": ["10.1.0.2"]},
    ]);
    let expected = Slice {
        service: named("default/web"),
        serving_nodes: [None, Some("ready"), Some("untold"), Some("ending")]
            .map(|node| node.map(Arc::from))
            .into(),
    };
    assert_eq!(slice(&slice_of(&endpoints)), Some(expected));
    let nobodys = json!({"metadata": {"namespace": "default"}, "addressType": "IPv4", "endpoints": []});
    assert_eq!(slice(&read(nobodys)), None);
}

#[test]
fn an_agent_is_ready_where_one_of_its_endpoints_is() {
    let endpoint = |node: &str, ready: Value| json!({"addresses": ["10.1.0.1"], "nodeName": node, "conditions": {"ready": ready}});
    let endpoints = json!([
        endpoint("n1", json!(true)),
        endpoint("n2", json!(false)),
        endpoint("n2", json!(true)),
        endpoint("n3", json!(false)),
        endpoint("n4", Value::Null),
        {"addresses": ["10.1.0.2"]},
    ]);
    let nodes = [("n1", true), ("n2", true), ("n3", false), ("n4", true)];
    let nodes = nodes.map(|(node, is_ready)| (node.to_owned(), is_ready)).into();
    assert_eq!(agent_slice(&slice_of(&endpoints)), AgentSlice { nodes });
}

#[test]
fn of_a_node_its_labels_addresses_and_two_conditions_are_kept() {
    let object = |heartbeat: &str, unavailable: &str| {
        read(json!({
            "metadata": {"name": "n1", "labels": {"rack": "a"}, "resourceVersion": heartbeat},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "192.168.0.1"},
                    {"type": "Hostname", "address": "n1"},
                    {"type": "ExternalIP", "address": "192.168.0.1"},
                    {"type": "InternalIP", "address": "fd00::1"},
                ],
                "conditions": [
                    {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"},
                    {"type": "NetworkUnavailable", "status": unavailable},
                    {"type": "DiskPressure", "status": "True"},
                ],
            },
        }))
    };
    let expected = Node {
        labels: [("rack".to_owned(), "a".to_owned())].into(),
        addresses: vec![ip("192.168.0.1"), ip("fd00::1")],
        is_ready: true,
        is_network_unavailable: false,
    };
    assert_eq!(node(&object("1", "False")), expected);
    assert_eq!(node(&object("2", "Unknown")), expected);
    assert_eq!(node(&object("2", "True")), Node { is_network_unavailable: true, ..expected });
    assert_eq!(node(&read(json!({}))), Node::default(), "nothing is known of it");
}

#[test]
fn a_pool_is_its_ranges_and_what_is_wrong_with_them() {
    let object = json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "pool", "uid": "u1", "labels": {"tier": "front"}},
        "spec": {"addresses": ["10.0.0.0/30", "10.0.0.9"]},
    });
    let expected = Pool {
        uid: "u1".to_owned(),
        labels: [("tier".to_owned(), "front".to_owned())].into(),
        ranges: vec![AddressRange { first: ip("10.0.0.0"), last: ip("10.0.0.3") }],
        problems: vec![ranges::RangeError::Cidr("10.0.0.9".to_owned()).to_string()],
    };
    assert_eq!(pool(&read(object)), expected);
}

fn advertisement_of(spec: &Value) -> Advertisement {
    let object = json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"name": "all", "uid": "u1"},
        "spec": spec,
    });
    advertisement(&read(object))
}

#[test]
fn an_advertisement_is_its_selectors() {
    let spec = json!({
        "ipAddressPools": ["pool"],
        "ipAddressPoolSelectors": [{"matchLabels": {"tier": "front"}}],
        "nodeSelectors": [{"matchExpressions": [{"key": "rack", "operator": "NotIn", "values": ["a", "b"]}]}],
        "serviceSelectors": [{}, {"matchExpressions": [{"key": "app", "operator": "Exists"}]}],
        "interfaces": ["eth0"],
        "preferredNodeSelectors": [{"weight": 10, "preference": {"matchLabels": {"disk": "ssd"}}}],
    });
    let requirement = |key: &str, operator, values: &[&str]| Selector {
        requirements: vec![Requirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(ToString::to_string).collect(),
        }],
    };
    let expected = Advertisement {
        uid: "u1".to_owned(),
        pools: ["pool".to_owned()].into(),
        pool_selectors: vec![label("tier=front")],
        node_selectors: vec![requirement("rack", Operator::NotIn, &["a", "b"])],
        service_selectors: vec![Selector::default(), requirement("app", Operator::Exists, &[])],
        preferred: vec![(10, label("disk=ssd"))],
        interfaces: ["eth0".to_owned()].into(),
        problems: vec![],
    };
    assert_eq!(advertisement_of(&spec), expected);
    let empty = Advertisement { uid: "u1".to_owned(), ..Advertisement::default() };
    assert_eq!(advertisement_of(&json!({})), empty);
    assert_eq!(advertisement_of(&Value::Null), empty, "no spec at all");
}

#[test]
fn each_problem_of_a_selector_is_told() {
    let selector = |expression: Value| json!([{"matchExpressions": [expression]}]);
    let cases = [
        (
            json!({"nodeSelectors": selector(json!({"key": "rack", "operator": "Is", "values": ["a"]}))}),
            "nodeSelectors: \"Is\" is no operator (of label \"rack\"); there are In, NotIn, Exists and DoesNotExist",
        ),
        (
            json!({"serviceSelectors": selector(json!({"key": "app", "operator": "In"}))}),
            "serviceSelectors: In (of label \"app\") needs values",
        ),
        (
            json!({"ipAddressPoolSelectors": selector(json!({"key": "app", "operator": "Exists", "values": ["a"]}))}),
            "ipAddressPoolSelectors: Exists (of label \"app\") takes no values",
        ),
        (
            json!({"preferredNodeSelectors": [{"weight": 0, "preference": {}}]}),
            "preferredNodeSelectors: weight 0 is not between 1 and 100",
        ),
    ];
    for (spec, problem) in cases {
        assert_eq!(advertisement_of(&spec).problems, [problem], "{spec}");
    }
}

#[test]
fn an_agent_tells_its_addresses_by_an_annotation() {
    let meta = |name: &str, annotation: &str| ObjectMeta {
        name: Some(name.to_owned()),
        annotations: Some([(ADDRESSES.to_owned(), annotation.to_owned())].into()),
        ..ObjectMeta::default()
    };
    let told = ["fd00::2", "10.0.0.2", "10.0.0.10"].map(ip);
    let state = meta("speaker-n2", &addresses_text(told));
    assert_eq!(agent_of_state(&state).as_deref(), Some("n2"));
    let addresses = ["10.0.0.2", "10.0.0.10", "fd00::2"].map(ip).to_vec();
    assert_eq!(agent_addresses(&state), Some(AgentAddresses { addresses }));
    let partly = AgentAddresses { addresses: vec![ip("10.0.0.2")] };
    assert_eq!(agent_addresses(&meta("speaker-n2", "x, 10.0.0.2,,")), Some(partly));
    assert_eq!(agent_of_state(&meta("controller", "")), None);
    assert_eq!(agent_addresses(&ObjectMeta::default()), None);
}
