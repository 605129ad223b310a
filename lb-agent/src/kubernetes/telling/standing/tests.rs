use serde_json::{Value, json};

use super::*;
use crate::cluster::fixtures::named;

fn object(name: &str, labels: Value, status: Value) -> Guarded<ServiceL2Status> {
    let object = json!({
        "apiVersion": ServiceL2Status::api_version(&()),
        "kind": ServiceL2Status::kind(&()),
        "metadata": {"name": name, "labels": labels},
        "status": status,
    });
    serde_json::from_value(object).expect("a ServiceL2Status, or at least metadata")
}

fn labels() -> Value {
    json!({"metallb.io/node": "n1", "metallb.io/service-name": "web", "metallb.io/service-namespace": "default"})
}

fn says(interfaces: Option<&[&str]>) -> Existing {
    let interfaces = interfaces.map(|names| names.iter().map(ToString::to_string).collect());
    Existing { node: "n1".into(), service: named("default/web"), interfaces }
}

fn status(interfaces: Value) -> Value {
    json!({"node": "n1", "serviceName": "web", "serviceNamespace": "default", "interfaces": interfaces})
}

#[test]
fn a_list_counts_when_it_is_complete_and_has_what_agents_have_created() {
    let mut list = [("l2-old".to_owned(), says(None))].into();
    let unreadable = object("l2-c", labels(), json!("?"));
    assert!(unreadable.0.is_err());
    let objects = [
        object("l2-a", labels(), status(json!([{"name": "eth1"}]))),
        object("l2-b", json!({}), Value::Null),
        unreadable,
    ];
    assert_eq!(change(Event::Init, &mut list), None);
    for object in objects {
        assert_eq!(change(Event::InitApply(object), &mut list), None);
    }
    let all = [("l2-a", says(Some(&["eth1"]))), ("l2-c", says(None))];
    let all = all.map(|(name, existing)| (name.to_owned(), existing)).into();
    assert_eq!(change(Event::InitDone, &mut list), Some(Change::Listed(all)));
    assert_eq!(list, BTreeMap::new());
}

#[test]
fn what_lacks_a_label_is_gone() {
    let mut list = BTreeMap::new();
    let mut change = |event| change(event, &mut list);
    let written = object("l2-a", labels(), status(json!([])));
    assert_eq!(change(Event::Apply(written.clone())), Some(Change::Put("l2-a".to_owned(), says(Some(&[])))));
    let gone = Some(Change::Gone("l2-a".to_owned()));
    assert_eq!(change(Event::Apply(object("l2-a", json!({"metallb.io/node": "n1"}), Value::Null))), gone);
    assert_eq!(change(Event::Delete(written)), gone);
}
