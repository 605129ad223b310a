//! What of this node's stands in the API.

use std::{collections::BTreeMap, fmt::Debug, pin::pin, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};

use super::ledger::Change;
use crate::{
    clock,
    crds::{ConfigurationState, ServiceL2Status, ServiceL2StatusSpec},
    kubernetes::{
        backoff::Backoff,
        story::Story,
        watching::{PAGE_SIZE, Selectors, config, pause},
    },
    outputs::l2_status::{self, Existing},
};

/// Changes that have come and were not looked at. Beyond it the watch waits.
const BACKLOG: usize = 1_024;

/// As it comes: what cannot be read is none of what an agent writes.
type Guarded<R> = DeserializeGuard<R>;

/// The ConfigurationState of this node.
pub struct States(Store<Guarded<ConfigurationState>>);

impl States {
    /// Begins to watch the one that these fields tell.
    pub fn watch(
        client: &Client,
        namespace: &str,
        fields: String,
        story: &Arc<Story>,
        changed: &Arc<Notify>,
    ) -> Self {
        let (store, writer) = reflector::store();
        let selectors = Selectors { labels: None, fields: Some(fields) };
        let events = events::<ConfigurationState>(client, namespace, selectors);
        let events = events.modify(|object| object.managed_fields_mut().clear()).reflect(writer);
        let changed = Arc::clone(changed);
        let watched = watched(events, "configurationstates", Arc::clone(story), move |_| {
            changed.notify_one();
            std::future::ready(true)
        });
        tokio::spawn(watched);
        Self(store)
    }

    /// Waits until it is known; `false`: it will not be.
    pub async fn are_listed(&self) -> bool {
        self.0.wait_until_ready().await.is_ok()
    }

    /// It, if it is there and can be read.
    pub fn own(&self) -> Option<Arc<ConfigurationState>> {
        let object = self.0.state().into_iter().next()?;
        object.0.as_ref().ok().cloned().map(Arc::new)
    }
}

/// Begins to watch the ServiceL2Statuses with these labels: there may be very many, so that they are trimmed as they come.
pub fn watch_statuses(
    client: &Client,
    namespace: &str,
    labels: String,
    story: &Arc<Story>,
) -> mpsc::Receiver<Change> {
    let (changes, heard) = mpsc::channel(BACKLOG);
    let selectors = Selectors { labels: Some(labels), fields: None };
    let events = events::<ServiceL2Status>(client, namespace, selectors);
    let mut list = BTreeMap::new();
    let watched = watched(events, "servicel2statuses", Arc::clone(story), move |event| {
        let (change, changes) = (change(event, &mut list), changes.clone());
        async move {
            match change {
                Some(change) => changes.send(change).await.is_ok(),
                None => true,
            }
        }
    });
    tokio::spawn(watched);
    heard
}

/// A list is complete before any of it counts: until then what was known before holds.
fn change(event: Event<Guarded<ServiceL2Status>>, list: &mut BTreeMap<String, Existing>) -> Option<Change> {
    match event {
        Event::Init => list.clear(),
        Event::InitApply(object) => list.extend(existing(object)),
        Event::InitDone => return Some(Change::Listed(std::mem::take(list))),
        Event::Apply(object) => {
            let name = object.name_any();
            return Some(match existing(object) {
                Some((name, existing)) => Change::Put(name, existing),
                // It lacks a label now.
                None => Change::Gone(name),
            });
        }
        Event::Delete(object) => return Some(Change::Gone(object.name_any())),
    }
    None
}

fn existing(object: Guarded<ServiceL2Status>) -> Option<(String, Existing)> {
    match object.0 {
        Ok(object) => Some((object.name_any(), l2_status::trim(&object)?)),
        // What it says is nothing that an agent has written: that is put right.
        Err(invalid) => unread(invalid.metadata),
    }
}

/// Lists those with these labels, by pages, as far as their labels tell of them.
pub async fn list(
    statuses: &Api<ServiceL2Status>,
    labels: Option<&str>,
) -> kube::Result<BTreeMap<String, Existing>> {
    let mut parameters = ListParams::default().limit(PAGE_SIZE);
    parameters.label_selector = labels.map(str::to_owned);
    let mut found = BTreeMap::new();
    loop {
        let page = statuses.list_metadata(&parameters).await?;
        found.extend(page.items.into_iter().filter_map(|object| unread(object.metadata)));
        match page.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => parameters.continue_token = Some(more),
            None => return Ok(found),
        }
    }
}

/// One of which only the metadata is known.
fn unread(metadata: kube::core::ObjectMeta) -> Option<(String, Existing)> {
    let object = ServiceL2Status { metadata, spec: ServiceL2StatusSpec::default(), status: None };
    Some((object.name_any(), l2_status::trim(&object)?))
}

fn events<R>(
    client: &Client,
    namespace: &str,
    selectors: Selectors,
) -> impl Stream<Item = watcher::Result<Event<Guarded<R>>>> + Send + use<R>
where
    R: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let api: Api<Guarded<R>> = Api::namespaced(client.clone(), namespace);
    watcher(api, config(selectors))
}

/// Takes what a watch tells, until `take` says that nobody wants it any more.
async fn watched<E, F: Future<Output = bool>>(
    events: impl Stream<Item = watcher::Result<E>>,
    plural: &'static str,
    story: Arc<Story>,
    mut take: impl FnMut(E) -> F,
) {
    let mut events = pin!(events);
    let (mut backoff, mut returns) = (Backoff::default(), story.returns());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                backoff.succeeded();
                story.succeeded(plural);
                if !take(event).await {
                    return;
                }
            }
            Err(error) => {
                story.failed(plural, &error);
                pause(&mut backoff, &mut returns, clock::boottime_ns()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
