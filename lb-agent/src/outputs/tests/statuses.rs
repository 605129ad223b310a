//! ServiceL2Status.

use kube::Resource as _;
use serde_json::json;

use super::*;
use crate::{
    crds::ServiceL2Status,
    outputs::{event::Reason, l2_status},
};

fn writes(index: &Index, observed: &Observed, existing: &[(&str, Existing)]) -> Vec<Write> {
    let existing = existing.iter().map(|(name, existing)| ((*name).to_owned(), existing.clone())).collect();
    l2_status::writes(ME, &select(index), observed, &existing, &BTreeSet::new())
}

fn status(service: &str, interfaces: &[&str]) -> Status {
    let interfaces = interfaces.iter().map(ToString::to_string).collect();
    Status { node: ME.into(), service: named(service), interfaces }
}

fn existing(node: &str, service: &str, interfaces: &[&str]) -> Existing {
    let Status { interfaces, service, .. } = status(service, interfaces);
    Existing { node: node.into(), service, interfaces: Some(interfaces) }
}

fn assigned(service: &str, uid: &str, note: &str) -> Event {
    Event {
        service: named(service),
        uid: uid.to_owned(),
        reason: Reason::NodeAssigned,
        note: note.to_owned(),
        ..Event::default()
    }
}

fn delete(object: &str) -> Write {
    Write::DeleteStatus { object: object.to_owned() }
}

#[test]
fn a_service_that_this_node_holds_has_a_status_and_the_event_that_goes_with_it() {
    let told = holding(&[("10.0.0.1", &["eth0"]), ("fd00::1", &["eth0"]), ("10.0.0.2", &["eth1"])]);
    let expected = [
        Write::CreateStatus(
            status("default/dns", &["eth1"]),
            assigned("default/dns", "u-dns", "node n1 announces 10.0.0.2 on eth1"),
        ),
        Write::CreateStatus(
            status("default/web", &[]),
            assigned("default/web", "u-web", "node n1 announces 10.0.0.1, fd00::1"),
        ),
    ];
    assert_eq!(writes(&two_services(), &told, &[]), expected, "interfaces only where they are restricted");
}

#[test]
fn what_stands_as_it_should_is_not_written_nor_told_again() {
    let told = holding(&[("10.0.0.1", &["eth0"]), ("10.0.0.2", &["eth1"])]);
    let there = [
        ("l2-a", existing(ME, "default/web", &[])),
        ("l2-b", existing(ME, "default/dns", &["eth1"])),
        ("l2-c", existing("n2", "default/dns", &["eth9"])),
    ];
    assert_eq!(writes(&two_services(), &told, &there), [], "as after a restart");
}

#[test]
fn a_status_that_says_something_else_is_put_right() {
    let told = holding(&[("10.0.0.1", &["eth0"]), ("10.0.0.2", &["eth1", "eth2"])]);
    let there = [
        ("l2-a", Existing { interfaces: None, ..existing(ME, "default/web", &[]) }),
        ("l2-b", existing(ME, "default/dns", &["eth1"])),
    ];
    let set = |object: &str, status| Write::SetStatus { object: object.to_owned(), status };
    let expected =
        [set("l2-a", status("default/web", &[])), set("l2-b", status("default/dns", &["eth1", "eth2"]))];
    assert_eq!(writes(&two_services(), &told, &there), expected);
}

#[test]
fn the_status_of_a_service_that_is_not_held_goes() {
    let there = [
        ("l2-a", existing(ME, "default/web", &[])),
        ("l2-b", existing(ME, "default/web", &[])),
        ("l2-c", existing(ME, "default/dns", &[])),
        ("l2-d", existing(ME, "default/gone", &[])),
    ];
    let told = holding(&[("10.0.0.1", &["eth0"])]);
    let expected = [delete("l2-b"), delete("l2-c"), delete("l2-d")];
    assert_eq!(writes(&two_services(), &told, &there), expected, "so does the second of two");
}

#[test]
fn a_service_with_a_write_under_way_waits() {
    let told = holding(&[("10.0.0.1", &["eth0"])]);
    let busy = ["default/web", "default/dns"].map(named).into();
    let there = [("l2-a".to_owned(), existing(ME, "default/dns", &[]))].into();
    assert_eq!(l2_status::writes(ME, &select(&two_services()), &told, &there, &busy), []);
}

#[test]
fn the_spokesman_clears_away_what_is_left_of_nodes_that_cannot() {
    let mut index = two_services();
    index.put("n3", node("192.168.0.3").not_ready());
    let there = [
        ("l2-a", existing("n2", "default/web", &[])),
        ("l2-b", existing("n3", "default/web", &[])),
        ("l2-c", existing("n9", "default/web", &[])),
    ];
    assert_eq!(writes(&index, &Observed::default(), &there), [delete("l2-b"), delete("l2-c")]);
    index.put("n1", node("192.168.0.1").not_ready());
    assert_eq!(writes(&index, &Observed::default(), &there), [], "n1 does not speak for all now");
}

#[test]
fn an_object_is_known_by_its_labels() {
    let object = |labels: serde_json::Value, status: serde_json::Value| -> ServiceL2Status {
        let object = json!({
            "apiVersion": ServiceL2Status::api_version(&()),
            "kind": ServiceL2Status::kind(&()),
            "metadata": {"name": "l2-a", "labels": labels},
            "status": status,
        });
        serde_json::from_value(object).expect("a ServiceL2Status")
    };
    let labels = json!({"metallb.io/node": "n1", "metallb.io/service-name": "dns", "metallb.io/service-namespace": "default"});
    let says = json!({"node": "n1", "serviceName": "dns", "serviceNamespace": "default", "interfaces": [{"name": "eth1"}]});
    let expected = existing("n1", "default/dns", &["eth1"]);
    assert_eq!(l2_status::trim(&object(labels.clone(), says.clone())), Some(expected.clone()));
    let unwritten = Existing { interfaces: None, ..expected };
    assert_eq!(l2_status::trim(&object(labels.clone(), serde_json::Value::Null)), Some(unwritten.clone()));
    let other = json!({"node": "n2", "serviceName": "dns", "serviceNamespace": "default"});
    assert_eq!(l2_status::trim(&object(labels, other)), Some(unwritten), "of another node");
    assert_eq!(l2_status::trim(&object(json!({"metallb.io/node": "n1"}), says)), None);
}
