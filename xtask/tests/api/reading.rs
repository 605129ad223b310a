//! Get and list.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, VersionMatch},
};

use crate::{Library, at_service, refusal};

#[test]
fn a_list_comes_in_pages_that_are_of_one_moment() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(5)?;
    let reader = &library.reader;
    let services: Api<Service> = Api::all(reader.kube());
    let first = reader.block_on(services.list(&ListParams::default().limit(2)))?;
    library.api.client().delete(at_service("library", "s3"))?;
    library.api.client().delete(at_service("default", "s0"))?;
    let next =
        ListParams::default().limit(2).continue_token(first.metadata.continue_.as_ref().expect("more"));
    let second = reader.block_on(services.list(&next))?;
    let last =
        ListParams::default().limit(2).continue_token(second.metadata.continue_.as_ref().expect("more"));
    let third = reader.block_on(services.list(&last))?;
    let names = [&first, &second, &third]
        .map(|page| page.iter().map(|service| service.name_any()).collect::<Vec<_>>().join(" "));
    assert_eq!(names, ["s0 s2", "s4 s1", "s3"]);
    let versions = [&first, &second, &third].map(|page| page.metadata.resource_version.clone());
    assert_eq!(versions.iter().collect::<BTreeSet<_>>().len(), 1, "{versions:?}");
    assert_eq!([&first, &third].map(|page| page.metadata.remaining_item_count), [Some(3), None]);
    assert_eq!(third.metadata.continue_, None);
    Ok(())
}

#[test]
fn a_page_of_a_list_that_is_compacted_away_is_gone() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(3)?;
    let reader = &library.reader;
    let services: Api<Service> = Api::all(reader.kube());
    let first = reader.block_on(services.list(&ListParams::default().limit(2)))?;
    library.api.client().delete(at_service("library", "s1"))?;
    library.api.compact();
    let next = ListParams::default().limit(2).continue_token(&first.metadata.continue_.expect("more"));
    let (code, reason, _) = refusal(reader.block_on(services.list(&next)));
    assert_eq!((code, reason.as_str()), (410, "Expired"));
    Ok(())
}

#[test]
fn lists_are_selected_by_labels_and_by_the_fields_that_the_kind_has() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(4)?;
    let mut inner = crate::service("default", "inner");
    inner["spec"]["type"] = "ClusterIP".into();
    library.api.client().create(inner)?;
    let reader = &library.reader;
    let services: Api<Service> = Api::all(reader.kube());
    let names = |parameters: ListParams| -> Result<String, kube::Error> {
        let list = reader.block_on(services.list(&parameters))?;
        Ok(list.iter().map(|service| service.name_any()).collect::<Vec<_>>().join(" "))
    };
    let (labels, fields) = (
        |selector| names(ListParams::default().labels(selector)),
        |selector| names(ListParams::default().fields(selector)),
    );
    assert_eq!(labels("shelf=s1")?, "s1");
    assert_eq!(labels("shelf in (s1, s2),shelf!=s2")?, "s1");
    assert_eq!(labels("shelf notin (s1,s2,inner)")?, "s0 s3");
    assert_eq!(labels("!shelf")?, "");
    assert_eq!(fields("spec.type=LoadBalancer,metadata.namespace=default")?, "s0 s2");
    assert_eq!(fields("spec.type!=LoadBalancer")?, "inner");
    let (code, _, message) = refusal(fields("spec.externalTrafficPolicy=Local"));
    assert_eq!((code, message.as_str()), (400, "field label not supported: spec.externalTrafficPolicy"));
    Ok(())
}

#[test]
fn a_revision_that_is_not_there_yet_is_not_waited_for() -> anyhow::Result<()> {
    let library = Library::open()?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let future = (library.api.revision() + 10).to_string();
    let parameters = ListParams::default().at(&future).matching(VersionMatch::NotOlderThan);
    let (code, reason, _) = refusal(library.reader.block_on(services.list(&parameters)));
    assert_eq!((code, reason.as_str()), (504, "Timeout"));
    Ok(())
}

#[test]
fn a_list_of_a_moment_shows_what_was_then() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(2)?;
    let then = library.api.revision().to_string();
    library.api.client().delete(at_service("default", "s0"))?;
    library.add_services(1)?;
    library.api.client().delete(at_service("library", "s1"))?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let parameters = ListParams::default().at(&then).matching(VersionMatch::Exact);
    let list = library.reader.block_on(services.list(&parameters))?;
    let names: Vec<String> = list.iter().map(|service| service.name_any()).collect();
    assert_eq!((names, list.metadata.resource_version), (vec!["s0".into(), "s1".into()], Some(then)));
    Ok(())
}
