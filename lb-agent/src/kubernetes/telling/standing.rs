//! What of this node's stands in the API.

use std::{collections::BTreeMap, fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, time::sleep};

use crate::{
    clock,
    crds::{ConfigurationState, ServiceL2Status, ServiceL2StatusSpec},
    kubernetes::{
        backoff::Backoff,
        story::Story,
        watching::{PAGE_SIZE, Selectors, config},
    },
    outputs::l2_status::{self, Existing},
};

/// The ServiceL2Statuses of this node.
pub struct Statuses(Store<DeserializeGuard<ServiceL2Status>>);

/// The ConfigurationState of this node.
pub struct States(Store<DeserializeGuard<ConfigurationState>>);

impl Statuses {
    /// Begins to watch those with these labels.
    pub fn watch(
        client: &Client,
        namespace: &str,
        labels: String,
        story: &Arc<Story>,
        changed: &Arc<Notify>,
    ) -> Self {
        let selectors = Selectors { labels: Some(labels), fields: None };
        Self(watch(client, namespace, selectors, "servicel2statuses", story, changed))
    }

    /// Waits until they are known; `false`: they will not be.
    pub async fn are_listed(&self) -> bool {
        self.0.wait_until_ready().await.is_ok()
    }

    /// They, by name.
    pub fn existing(&self) -> BTreeMap<String, Existing> {
        let existing = |object: &Arc<DeserializeGuard<ServiceL2Status>>| match &object.0 {
            Ok(object) => Some((object.name_any(), l2_status::trim(object)?)),
            // What it says is nothing that an agent has written: that is put right.
            Err(invalid) => unread(invalid.metadata.clone()),
        };
        self.0.state().iter().filter_map(existing).collect()
    }
}

impl States {
    /// Begins to watch the one that these fields tell.
    pub fn watch(
        client: &Client,
        namespace: &str,
        fields: String,
        story: &Arc<Story>,
        changed: &Arc<Notify>,
    ) -> Self {
        let selectors = Selectors { labels: None, fields: Some(fields) };
        Self(watch(client, namespace, selectors, "configurationstates", story, changed))
    }

    /// As [`Statuses::are_listed`].
    pub async fn are_listed(&self) -> bool {
        self.0.wait_until_ready().await.is_ok()
    }

    /// It, if it is there and can be read.
    pub fn own(&self) -> Option<Arc<ConfigurationState>> {
        let object = self.0.state().into_iter().next()?;
        object.0.as_ref().ok().cloned().map(Arc::new)
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

fn watch<R>(
    client: &Client,
    namespace: &str,
    selectors: Selectors,
    plural: &'static str,
    story: &Arc<Story>,
    changed: &Arc<Notify>,
) -> Store<DeserializeGuard<R>>
where
    R: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let api: Api<DeserializeGuard<R>> = Api::namespaced(client.clone(), namespace);
    let events = watcher(api, config(selectors));
    let events = events.modify(|object| object.managed_fields_mut().clear()).reflect(writer);
    let (story, changed) = (Arc::clone(story), Arc::clone(changed));
    tokio::spawn(async move {
        let mut events = pin!(events);
        let mut backoff = Backoff::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(_) => {
                    backoff.succeeded();
                    story.succeeded(plural);
                    changed.notify_one();
                }
                Err(error) => {
                    story.failed(plural, &error);
                    let now = Duration::from_nanos(clock::boottime_ns());
                    sleep(backoff.failed(now, fastrand::f64())).await;
                }
            }
        }
    });
    store
}
