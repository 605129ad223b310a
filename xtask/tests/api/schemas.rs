//! Schemas of custom kinds.

use serde_json::json;

use crate::{Library, at_shelf, refusal_of, shelf};

#[test]
fn defaults_come_and_unknown_fields_go() -> anyhow::Result<()> {
    let library = Library::open()?;
    let sections = json!([{"letter": "k", "colour": "red"}]);
    let created =
        library.api.client().create(shelf("a", json!({"room": "a", "sections": sections, "colour": 1})))?;
    assert_eq!(created["spec"], json!({"room": "a", "material": "wood", "sections": [{"letter": "k"}]}));
    Ok(())
}

#[test]
fn what_the_schema_does_not_allow_is_told_field_by_field() -> anyhow::Result<()> {
    let library = Library::open()?;
    let spec = json!({"material": "glass", "width": "wide", "sections": [{"letter": "k", "books": 0}]});
    let (code, reason, message) = refusal_of(library.api.client().create(shelf("a", spec)));
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    for field in ["room", "spec.material", "spec.width", "spec.sections.0.books"] {
        assert!(message.contains(field), "{field}: {message}");
    }
    Ok(())
}

#[test]
fn rules_are_kept_over_time_and_at_once() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    let (code, _, message) = refusal_of(client.create(shelf("a", json!({"room": "a", "width": 9}))));
    assert_eq!((code, message.ends_with("spec: too narrow")), (422, true), "{message}");
    client.create(shelf("a", json!({"room": "a", "width": 20})))?;
    let (code, _, message) = refusal_of(client.patch(at_shelf("a"), &json!({"spec": {"room": "b"}})));
    assert_eq!((code, message.ends_with("spec.room: a shelf stays where it is")), (422, true), "{message}");
    Ok(())
}
