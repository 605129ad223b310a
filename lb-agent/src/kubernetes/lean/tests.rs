use std::fmt::Debug;

use serde_json::{Value, json};

use super::*;
use crate::cluster::trim;

/// Of these objects the part leads to the same as the whole.
fn assert_same<K, T>(objects: impl IntoIterator<Item = Value>, trim: impl Fn(&K) -> T)
where
    K: Partly + DeserializeOwned + Resource,
    T: Debug + PartialEq,
{
    for object in objects {
        let whole: K = serde_json::from_value(object.clone()).expect("an object");
        let Lean(part) = serde_json::from_value::<Lean<K>>(object).expect("the same object");
        assert_eq!(trim(&part), trim(&whole));
        let names = |meta: &ObjectMeta| {
            let ObjectMeta { name, namespace, resource_version, .. } = meta.clone();
            (name, namespace, resource_version)
        };
        assert_eq!(names(part.meta()), names(whole.meta()));
    }
}

fn metadata() -> Value {
    json!({
        "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7", "generation": 3,
        "labels": {"kubernetes.io/service-name": "a", "d": "e"}, "annotations": {"f": "g"},
        "managedFields": [{"manager": "m", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {}}}],
    })
}

#[test]
fn a_part_of_a_node_is_enough() {
    let condition = |name: &str, status: &str| json!({"type": name, "status": status, "reason": "Because"});
    let conditions = [condition("Ready", "True"), condition("NetworkUnavailable", "True")];
    let addresses =
        json!([{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "a"}]);
    let status = json!({"addresses": addresses, "conditions": conditions, "images": [{"names": ["i"]}]});
    let nodes = [
        json!({"metadata": metadata(), "spec": {"podCIDR": "10.1.0.0/24"}, "status": status}),
        json!({"metadata": metadata(), "status": {"addresses": null}}),
        json!({"metadata": metadata()}),
    ];
    assert_same::<Node, _>(nodes, trim::node);
}

#[test]
fn a_part_of_a_service_is_enough() {
    let spec = json!({
        "type": "LoadBalancer", "loadBalancerClass": "class", "externalTrafficPolicy": "Local",
        "ports": [{"port": 80}],
    });
    let ingress = json!([{"ip": "10.0.0.2", "ipMode": "VIP"}, {"hostname": "h"}, {"ip": "no address"}]);
    let services = [
        json!({"metadata": metadata(), "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}),
        json!({"metadata": metadata(), "spec": spec, "status": {"loadBalancer": {}}}),
        json!({"metadata": metadata(), "status": {"conditions": []}}),
        json!({"metadata": metadata()}),
    ];
    assert_same::<Service, _>(services, trim::service);
}

#[test]
fn a_part_of_an_endpoint_slice_is_enough() {
    let endpoint = |node: Value, ready: Value, serving: Value| {
        json!({
            "addresses": ["10.2.0.1"], "nodeName": node, "hostname": "h",
            "conditions": {"ready": ready, "serving": serving, "terminating": true},
        })
    };
    let endpoints = json!([
        endpoint(json!("n1"), json!(true), json!(true)),
        endpoint(json!("n2"), json!(false), json!(true)),
        endpoint(json!("n3"), json!(false), json!(false)),
        endpoint(json!(null), json!(null), json!(null)),
        {"addresses": ["10.2.0.2"], "nodeName": "n4"},
    ]);
    let slice =
        |endpoints: &Value| json!({"metadata": metadata(), "addressType": "IPv4", "endpoints": endpoints});
    let slices = || [slice(&endpoints), slice(&json!(null)), slice(&json!([]))];
    assert_same::<EndpointSlice, _>(slices(), trim::slice);
    assert_same::<EndpointSlice, _>(slices(), trim::agent_slice);
}
