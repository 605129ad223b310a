//! Create, update, patch and delete.

use k8s_openapi::api::{core::v1::Service, events::v1::Event};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{Library, at_service, at_shelf, refusal, refusal_of, service, shelf};

#[test]
fn a_new_object_gets_what_the_server_adds() -> anyhow::Result<()> {
    let library = Library::open()?;
    let created = library.api.client().create(service("default", "s0"))?;
    assert!(created["metadata"]["uid"].is_string(), "{created}");
    assert!(created["metadata"]["creationTimestamp"].is_string(), "{created}");
    assert_eq!(created["spec"]["clusterIPs"][0], created["spec"]["clusterIP"]);
    assert_eq!(created["spec"]["externalTrafficPolicy"], "Cluster");
    let (code, reason, _) = refusal_of(library.api.client().create(service("default", "s0")));
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    let (code, _, message) = refusal_of(library.api.client().create(service("nowhere", "s0")));
    assert_eq!((code, message.as_str()), (404, "namespaces \"nowhere\" not found"));
    Ok(())
}

#[test]
fn generated_names_differ() -> anyhow::Result<()> {
    let library = Library::open()?;
    let mut one = shelf("", json!({"room": "a"}));
    one["metadata"] = json!({"namespace": "library", "generateName": "s-"});
    let names = [library.api.client().create(&one)?, library.api.client().create(&one)?]
        .map(|created| created["metadata"]["name"].as_str().unwrap_or_default().to_owned());
    assert!(names.iter().all(|name| name.starts_with("s-") && name.len() == 7), "{names:?}");
    assert_ne!(names[0], names[1]);
    Ok(())
}

#[test]
fn a_write_on_an_older_state_is_a_conflict() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    client.create(service("default", "s0"))?;
    let services: Api<Service> = Api::namespaced(client.kube(), "default");
    let old = client.block_on(services.get("s0"))?;
    client.patch(at_service("default", "s0"), &json!({"metadata": {"labels": {"new": "yes"}}}))?;
    let (code, reason, _) = refusal(client.block_on(services.replace("s0", &PostParams::default(), &old)));
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    Ok(())
}

#[test]
fn a_write_that_changes_nothing_makes_no_revision() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    client.create(service("default", "s0"))?;
    let before = library.api.revision();
    client.patch(at_service("default", "s0"), &json!({"spec": {"type": "LoadBalancer"}}))?;
    assert_eq!(library.api.revision(), before);
    Ok(())
}

#[test]
fn status_and_the_rest_are_written_through_their_own_paths_only() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    client.create(shelf("a", json!({"room": "a"})))?;
    client.set_status(at_shelf("a"), &json!({"free": 3}))?;
    let patched = client.patch(at_shelf("a"), &json!({"spec": {"width": 20}, "status": {"free": 9}}))?;
    assert_eq!((&patched["spec"]["width"], &patched["status"]["free"]), (&json!(20), &json!(3)));
    assert_eq!(patched["metadata"]["generation"], 2);
    let shelves = client.block_on(async {
        let kind = kube::core::GroupVersionKind::gvk("test.lb", "v1", "Shelf");
        let (resource, _) = kube::discovery::pinned_kind(&client.kube(), &kind).await?;
        let api: Api<kube::api::DynamicObject> = Api::namespaced_with(client.kube(), "library", &resource);
        let both = Patch::Merge(json!({"spec": {"width": 30}, "status": {"free": 1}}));
        api.patch_status("a", &PatchParams::default(), &both).await
    })?;
    assert_eq!((&shelves.data["spec"]["width"], &shelves.data["status"]["free"]), (&json!(20), &json!(1)));
    assert_eq!(shelves.metadata.generation, Some(2));
    Ok(())
}

#[test]
fn a_strategic_merge_goes_by_the_keys_of_lists() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    client.create(service("default", "s0"))?;
    let services: Api<Service> = Api::namespaced(client.kube(), "default");
    let patch = |body| {
        let patch = Patch::Strategic(body);
        client.block_on(services.patch("s0", &PatchParams::default(), &patch))
    };
    patch(json!({"spec": {"ports": [{"port": 443, "name": "tls"}]}}))?;
    let patched = patch(json!({"spec": {"ports": [{"port": 80, "name": "plain"}]}}))?;
    let ports = patched.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let names: Vec<_> =
        ports.iter().map(|port| (port.port, port.name.as_deref().unwrap_or_default())).collect();
    assert_eq!(names, [(80, "plain"), (443, "tls")]);
    let patched = patch(json!({"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}))?;
    assert_eq!(patched.spec.and_then(|spec| spec.ports).unwrap_or_default().len(), 1);
    Ok(())
}

#[test]
fn a_strategic_merge_of_a_custom_kind_is_refused() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    client.create(shelf("a", json!({"room": "a"})))?;
    let result = client.block_on(async {
        let kind = kube::core::GroupVersionKind::gvk("test.lb", "v1", "Shelf");
        let (resource, _) = kube::discovery::pinned_kind(&client.kube(), &kind).await?;
        let api: Api<kube::api::DynamicObject> = Api::namespaced_with(client.kube(), "library", &resource);
        api.patch("a", &PatchParams::default(), &Patch::Strategic(json!({}))).await
    });
    assert_eq!(refusal(result).0, 415);
    Ok(())
}

#[test]
fn unknown_fields_are_left_out_and_told() -> anyhow::Result<()> {
    let library = Library::open()?;
    let mut odd = service("default", "s0");
    odd["spec"]["colour"] = "red".into();
    let created = library.api.client().create(odd)?;
    assert_eq!(created["spec"].get("colour"), None);
    let problems: Vec<String> = library.api.requests().into_iter().map(|record| record.problem).collect();
    assert!(problems.contains(&"unknown fields: .spec.colour".into()), "{problems:?}");
    Ok(())
}

#[test]
fn an_event_has_to_be_complete_and_in_the_namespace_of_its_object() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    let events: Api<Event> = Api::namespaced(client.kube(), "library");
    let mut event = json!({
        "metadata": {"generateName": "e-"}, "type": "Normal", "reason": "Read", "action": "Read",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "test.lb/reader",
        "reportingInstance": "n1", "regarding": {"kind": "Service", "name": "s0", "namespace": "library"},
    });
    let create = |event: &serde_json::Value| {
        let event: Event = serde_json::from_value(event.clone()).expect("an event");
        client.block_on(events.create(&PostParams::default(), &event))
    };
    create(&event)?;
    event["regarding"]["namespace"] = "default".into();
    event["type"] = "Bad".into();
    event.as_object_mut().and_then(|event| event.remove("action"));
    let (code, _, message) = refusal(create(&event));
    assert_eq!(code, 422);
    for field in ["action", "type", "metadata.namespace"] {
        assert!(message.contains(field), "{field}: {message}");
    }
    Ok(())
}
