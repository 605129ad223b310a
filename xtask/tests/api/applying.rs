//! Server-side apply.

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{Library, refusal, shelf};

/// Applies as one of the managers.
fn apply(library: &Library, parameters: &PatchParams, spec: Value) -> Result<Value, kube::Error> {
    let client = library.api.client();
    let applied = client.block_on(async {
        let kind = kube::core::GroupVersionKind::gvk("test.lb", "v1", "Shelf");
        let (resource, _) = kube::discovery::pinned_kind(&client.kube(), &kind).await?;
        let api: Api<DynamicObject> = Api::namespaced_with(client.kube(), "library", &resource);
        api.patch("a", parameters, &Patch::Apply(shelf("a", spec))).await
    })?;
    Ok(applied.data["spec"].clone())
}

#[test]
fn what_is_not_there_yet_is_created() -> anyhow::Result<()> {
    let library = Library::open()?;
    let spec = apply(&library, &PatchParams::apply("one"), json!({"room": "a"}))?;
    assert_eq!(spec, json!({"room": "a", "material": "wood"}));
    Ok(())
}

#[test]
fn the_same_once_more_changes_nothing() -> anyhow::Result<()> {
    let library = Library::open()?;
    let one = PatchParams::apply("one");
    apply(&library, &one, json!({"room": "a", "sections": [{"letter": "k"}]}))?;
    let before = library.api.revision();
    apply(&library, &one, json!({"room": "a", "sections": [{"letter": "k"}]}))?;
    assert_eq!(library.api.revision(), before);
    Ok(())
}

#[test]
fn managers_have_their_own_items_of_a_list() -> anyhow::Result<()> {
    let library = Library::open()?;
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    apply(&library, &one, json!({"room": "a", "sections": [{"letter": "k", "books": 1}]}))?;
    let spec = apply(&library, &two, json!({"room": "a", "sections": [{"letter": "l", "books": 2}]}))?;
    assert_eq!(spec["sections"], json!([{"letter": "k", "books": 1}, {"letter": "l", "books": 2}]));
    let spec = apply(&library, &one, json!({"room": "a"}))?;
    assert_eq!(spec["sections"], json!([{"letter": "l", "books": 2}]));
    Ok(())
}

#[test]
fn a_field_of_another_manager_is_a_conflict_unless_forced() -> anyhow::Result<()> {
    let library = Library::open()?;
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    apply(&library, &one, json!({"room": "a", "width": 20, "books": ["x"]}))?;
    let (code, reason, message) = refusal(apply(&library, &two, json!({"room": "a", "width": 30})));
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(message, "Apply failed with 1 conflicts: .spec.width: conflict with \"one\"");
    let spec = apply(&library, &two.clone().force(), json!({"room": "a", "width": 30}))?;
    assert_eq!((&spec["width"], &spec["books"]), (&json!(30), &json!(["x"])));
    // It is the other's now: the first one gives it up without taking it away.
    let spec = apply(&library, &one, json!({"room": "a"}))?;
    assert_eq!((&spec["width"], spec.get("books")), (&json!(30), None));
    Ok(())
}

#[test]
fn what_another_write_has_changed_is_no_longer_the_appliers() -> anyhow::Result<()> {
    let library = Library::open()?;
    let one = PatchParams::apply("one");
    apply(&library, &one, json!({"room": "a", "width": 20}))?;
    library.api.client().patch(crate::at_shelf("a"), &json!({"spec": {"width": 40}}))?;
    let (code, ..) = refusal(apply(&library, &one, json!({"room": "a", "width": 20})));
    assert_eq!(code, 409);
    Ok(())
}
