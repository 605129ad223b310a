//! Who may do what.

use k8s_openapi::api::core::v1::{Node, Secret};
use kube::{Api, api::ListParams};
use serde_json::json;

use crate::{ACCOUNT, Library, at_shelf, refusal, refusal_of, shelf};

#[test]
fn what_no_rule_allows_is_refused_and_noted() -> anyhow::Result<()> {
    let library = Library::open()?;
    let secrets: Api<Secret> = Api::namespaced(library.reader.kube(), "library");
    let (code, reason, message) = refusal(library.reader.block_on(secrets.list(&ListParams::default())));
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert!(
        message.contains("system:serviceaccount:library:reader\" cannot list resource \"secrets\""),
        "{message}"
    );
    let noted = library.api.forbidden();
    let told: Vec<_> = noted
        .iter()
        .map(|record| (&*record.user, &*record.origin, &*record.verb, &*record.resource))
        .collect();
    assert_eq!(told, [(ACCOUNT, "n1", "list", "secrets")]);
    Ok(())
}

#[test]
fn a_role_counts_in_its_namespace_and_a_name_for_its_object() -> anyhow::Result<()> {
    let library = Library::open()?;
    let client = library.api.client();
    for name in ["own", "other"] {
        client.create(shelf(name, json!({"room": "a"})))?;
    }
    library.reader.set_status(at_shelf("own"), &json!({"free": 1}))?;
    assert_eq!(refusal_of(library.reader.set_status(at_shelf("other"), &json!({"free": 1}))).0, 403);
    let mut elsewhere = shelf("own", json!({"room": "a"}));
    elsewhere["metadata"]["namespace"] = "default".into();
    assert_eq!(refusal_of(library.reader.create(elsewhere)).0, 403);
    Ok(())
}

#[test]
fn the_rules_that_nobody_needed_are_known() -> anyhow::Result<()> {
    let library = Library::open()?;
    let nodes: Api<Node> = Api::all(library.reader.kube());
    library.reader.block_on(nodes.list(&ListParams::default()))?;
    let (granted, used) = library.api.permissions();
    let told = |permission: &xtask::testbed::api::Permission| {
        format!("{}: {} {}", permission.role, permission.verb, permission.resource)
    };
    assert_eq!(used.iter().map(told).collect::<Vec<_>>(), ["ClusterRole reader: list nodes"]);
    assert!(granted.is_superset(&used));
    assert_eq!(granted.len(), 6 + 2 + 5 + 1);
    Ok(())
}

#[test]
fn an_apply_that_makes_an_object_needs_the_right_to_create_it() -> anyhow::Result<()> {
    let library = Library::open()?;
    let used = || {
        let (_, used) = library.api.permissions();
        used.into_iter().map(|permission| permission.verb).collect::<Vec<_>>()
    };
    library.api.client().create(shelf("old", json!({"room": "a"})))?;
    library.reader.apply(shelf("old", json!({"room": "a"})))?;
    assert_eq!(used(), ["patch"]);
    library.reader.apply(shelf("new", json!({"room": "a"})))?;
    assert_eq!(used(), ["create", "patch"]);
    Ok(())
}

#[test]
fn a_token_that_is_revoked_is_no_good() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.api.revoke(&library.api.token(ACCOUNT, "n1"));
    let nodes: Api<Node> = Api::all(library.reader.kube());
    let (code, reason, _) = refusal(library.reader.block_on(nodes.list(&ListParams::default())));
    assert_eq!((code, reason.as_str()), (401, "Unauthorized"));
    Ok(())
}
