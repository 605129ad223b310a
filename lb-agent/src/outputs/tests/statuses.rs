//! ServiceL2Status.

use kube::Resource as _;
use serde_json::json;

use super::*;
use crate::{
    crds::ServiceL2Status,
    outputs::{event::Reason, l2_status},
};

fn writes(index: &Index, report: &Report, existing: &[(&str, Existing)]) -> Vec<Write> {
    let services = existing.iter().map(|(_, existing)| existing.service.clone());
    of_each(ME, (&select(index), report), services, |view, service, verdict| {
        let existing = existing.iter().filter(|(_, existing)| existing.service == *service);
        l2_status::of_service(view, service, verdict, existing.map(|(object, existing)| (*object, existing)))
    })
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
    let told = holding(&[("10.0.0.1", &[2]), ("fd00::1", &[2]), ("10.0.0.2", &[3])]);
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
    let told = holding(&[("10.0.0.1", &[2]), ("10.0.0.2", &[3])]);
    let there =
        [("l2-a", existing(ME, "default/web", &[])), ("l2-b", existing(ME, "default/dns", &["eth1"]))];
    assert_eq!(writes(&two_services(), &told, &there), [], "as after a restart");
}

#[test]
fn a_status_that_says_something_else_is_put_right() {
    let told = holding(&[("10.0.0.1", &[2]), ("10.0.0.2", &[3, 4])]);
    let there = [
        ("l2-a", Existing { interfaces: None, ..existing(ME, "default/web", &[]) }),
        ("l2-b", existing(ME, "default/dns", &["eth1"])),
    ];
    let set = |object: &str, status| Write::SetStatus { object: object.to_owned(), status };
    let expected =
        [set("l2-b", status("default/dns", &["eth1", "eth2"])), set("l2-a", status("default/web", &[]))];
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
    let told = holding(&[("10.0.0.1", &[2])]);
    let expected = [delete("l2-c"), delete("l2-d"), delete("l2-b")];
    assert_eq!(writes(&two_services(), &told, &there), expected, "so does the second of two");
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
