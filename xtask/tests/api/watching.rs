//! Watches, through kube's watcher.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, ResourceExt as _,
    api::{WatchEvent, WatchParams},
    runtime::watcher::{self, Event, watcher},
};
use tokio::time::timeout;
use xtask::testbed::api::Faults;

use crate::{Library, PATIENCE, at_service, service};

/// An event in words.
fn told(event: Event<Service>) -> String {
    match event {
        Event::Init => "init".into(),
        Event::InitApply(service) => format!("init {}", service.name_any()),
        Event::InitDone => "done".into(),
        Event::Apply(service) => format!("apply {}", service.name_any()),
        Event::Delete(service) => format!("delete {}", service.name_any()),
    }
}

/// The next events that are no errors.
async fn next(
    events: &mut (impl Stream<Item = watcher::Result<Event<Service>>> + Unpin),
    how_many: usize,
) -> Vec<String> {
    let told = events.filter_map(|event| async { event.ok().map(told) }).take(how_many).collect::<Vec<_>>();
    timeout(PATIENCE, told).await.unwrap_or_else(|_| vec!["nothing".into()])
}

/// The next event, if there is one within a moment.
async fn more(events: &mut (impl Stream<Item = watcher::Result<Event<Service>>> + Unpin)) -> Option<String> {
    let event = timeout(Duration::from_millis(300), events.next()).await.ok()?;
    Some(event.map_or_else(|| "end".into(), |event| event.map_or_else(|error| error.to_string(), told)))
}

/// Of the type, as kube's default has it, or with a list that comes by the watch.
fn follows_the_objects(config: watcher::Config) -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(2)?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let config = config.fields("spec.type=LoadBalancer");
    let mut events = std::pin::pin!(watcher(services, config));
    let mut next = |how_many| library.reader.block_on(next(&mut events, how_many));
    assert_eq!(next(4), ["init", "init s0", "init s1", "done"]);
    let client = library.api.client();
    client.create(service("default", "s2"))?;
    assert_eq!(next(1), ["apply s2"]);
    client.patch(at_service("default", "s0"), &serde_json::json!({"spec": {"type": "ClusterIP"}}))?;
    assert_eq!(next(1), ["delete s0"]);
    client.patch(at_service("default", "s0"), &serde_json::json!({"spec": {"type": "LoadBalancer"}}))?;
    assert_eq!(next(1), ["apply s0"]);
    client.delete(at_service("library", "s1"))?;
    assert_eq!(next(1), ["delete s1"]);
    Ok(())
}

#[test]
fn a_watcher_follows_the_objects() -> anyhow::Result<()> {
    follows_the_objects(watcher::Config::default())
}

#[test]
fn a_watcher_with_a_streaming_list_follows_the_objects() -> anyhow::Result<()> {
    follows_the_objects(watcher::Config::default().streaming_lists())
}

#[test]
fn a_cut_watch_goes_on_where_it_was_without_a_list() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(1)?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let mut events = std::pin::pin!(watcher(services, watcher::Config::default()));
    assert_eq!(library.reader.block_on(next(&mut events, 3)), ["init", "init s0", "done"]);
    // The watch itself begins with the next event that is waited for.
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    library.api.forget_requests();
    library.api.cut_watches();
    library.api.client().create(service("default", "s2"))?;
    assert_eq!(library.reader.block_on(next(&mut events, 1)), ["apply s2"]);
    assert_eq!(library.api.requests_where(|record| record.verb == "list").len(), 0);
    Ok(())
}

#[test]
fn a_watch_from_a_compacted_revision_is_gone_and_lists_anew() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(1)?;
    let services: Api<Service> = Api::all(library.reader.kube());
    // Without bookmarks, so that the watch has no newer revision to go on from.
    let config = watcher::Config { bookmarks: false, ..watcher::Config::default() };
    let mut events = std::pin::pin!(watcher(services, config));
    assert_eq!(library.reader.block_on(next(&mut events, 3)), ["init", "init s0", "done"]);
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    library.api.cut_watches();
    library.api.client().create(service("default", "s2"))?;
    library.api.compact();
    assert_eq!(library.reader.block_on(next(&mut events, 4)), ["init", "init s0", "init s2", "done"]);
    Ok(())
}

#[test]
fn a_bookmark_keeps_a_quiet_watch_from_being_gone() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(1)?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let mut events = std::pin::pin!(watcher(services, watcher::Config::default().fields("metadata.name=s0")));
    assert_eq!(library.reader.block_on(next(&mut events, 3)), ["init", "init s0", "done"]);
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    library.api.client().create(service("default", "s2"))?;
    library.api.compact();
    // A bookmark comes meanwhile.
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    library.api.forget_requests();
    library.api.cut_watches();
    library.api.client().delete(at_service("default", "s0"))?;
    assert_eq!(library.reader.block_on(next(&mut events, 1)), ["delete s0"]);
    assert_eq!(library.api.requests_where(|record| record.verb == "list").len(), 0);
    Ok(())
}

#[test]
fn a_watch_ends_when_its_time_is_over() -> anyhow::Result<()> {
    let library = Library::open()?;
    let services: Api<Service> = Api::all(library.reader.kube());
    let revision = library.api.revision().to_string();
    let parameters = WatchParams::default().timeout(1).disable_bookmarks();
    let seen: Vec<WatchEvent<Service>> = library.reader.block_on(async {
        let watch = services.watch(&parameters, &revision).await?;
        timeout(PATIENCE, watch.try_collect()).await.expect("an end")
    })?;
    assert_eq!(seen.len(), 0, "{seen:?}");
    Ok(())
}

#[test]
fn doubled_events_come_twice() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.api.set_faults(Faults { are_events_doubled: true, ..Faults::default() });
    let services: Api<Service> = Api::all(library.reader.kube());
    let mut events = std::pin::pin!(watcher(services, watcher::Config::default()));
    assert_eq!(library.reader.block_on(next(&mut events, 2)), ["init", "done"]);
    assert_eq!(library.reader.block_on(more(&mut events)), None);
    library.api.client().create(service("default", "s2"))?;
    assert_eq!(library.reader.block_on(next(&mut events, 2)), ["apply s2", "apply s2"]);
    Ok(())
}
