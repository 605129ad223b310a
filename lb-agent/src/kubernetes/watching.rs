//! Watches one kind of object: lists it by pages, follows its changes, takes up again where a connection broke off, and lists
//! anew when the API no longer knows where that was.
//!
//! Objects are trimmed one by one as they come; what is passed on is a change of the index.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch::Receiver},
    time::sleep,
};

use super::{backoff::Backoff, story::Story};
use crate::{
    clock,
    cluster::index::{Index, Object},
    model::BoottimeNs,
};

/// Objects in one answer of a list.
pub const PAGE_SIZE: u32 = 500;
/// The server ends a watch after a time from this range, in s, so that not all agents come back at once.
const WATCH_TIMEOUT_S: std::ops::Range<u32> = 200..290;

/// A kind of object that is watched.
pub trait Kind: Send + 'static {
    /// As it comes.
    type Resource: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static;
    /// As it is kept.
    type Object: Object<Name: Send + 'static> + Send + 'static;

    /// Its name as RBAC has it, and as it is told of.
    const PLURAL: &'static str;
    /// It tells of other agents: what follows from that is found by [`Index::settle`].
    const IS_OF_AGENTS: bool = false;

    /// What is kept of an object; `None` where nothing is.
    fn trim(&self, resource: Self::Resource) -> Option<Self::Object>;

    /// The name that an object is kept by.
    fn name(&self, meta: &ObjectMeta) -> Option<Name<Self>>;
}

/// What tells an object of this kind from others.
type Name<K> = <<K as Kind>::Object as Object>::Name;

/// A change of the index.
pub struct Change {
    /// The kind of object that it is of.
    pub plural: &'static str,
    /// It is the whole list of its kind.
    pub is_list: bool,
    /// See [`Kind::IS_OF_AGENTS`].
    pub is_of_agents: bool,
    /// When it was heard of.
    pub seen: BoottimeNs,
    /// Makes it; says whether anything may follow from that.
    pub make: Box<dyn FnOnce(&mut Index) -> bool + Send>,
}

/// What to list, as the API takes it.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    /// Label selector.
    pub labels: Option<String>,
    /// Field selector.
    pub fields: Option<String>,
}

/// Watches until nobody takes the changes any more.
pub async fn watch<K: Kind>(
    kind: K,
    api: Api<K::Resource>,
    selectors: Selectors,
    changes: mpsc::Sender<Change>,
    story: Arc<Story>,
) {
    let mut events = pin!(watcher(api, config(selectors)));
    let mut list = Vec::new();
    let (mut backoff, mut returns) = (Backoff::default(), story.returns());
    while let Some(event) = events.next().await {
        let seen = clock::boottime_ns();
        match event {
            Ok(event) => {
                let Some(change) = change(&kind, event, &mut list, seen) else { continue };
                backoff.succeeded();
                story.succeeded(K::PLURAL);
                if changes.send(change).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                story.failed(K::PLURAL, &error);
                pause(&mut backoff, &mut returns, seen).await;
            }
        }
    }
}

/// Waits after a failure. Once the API answers again, after a silence that has made the waits of all kinds long, none of them
/// waits for longer than at first: the word that one of them has makes the view count as fresh.
pub async fn pause(backoff: &mut Backoff, returns: &mut Receiver<()>, now: BoottimeNs) {
    if returns.has_changed().unwrap_or(false) {
        returns.mark_unchanged();
        backoff.succeeded();
    }
    let wait = backoff.failed(Duration::from_nanos(now), fastrand::f64());
    tokio::select! {
        () = sleep(wait) => {}
        Ok(()) = returns.changed() => backoff.succeeded(),
    }
}

/// How to list and watch that.
pub fn config(Selectors { labels, fields }: Selectors) -> watcher::Config {
    watcher::Config {
        label_selector: labels,
        field_selector: fields,
        timeout: Some(fastrand::u32(WATCH_TIMEOUT_S)),
        page_size: Some(PAGE_SIZE),
        ..watcher::Config::default()
    }
}

/// A list is complete before any of it counts: until then what was known before holds.
fn change<K: Kind>(
    kind: &K,
    event: Event<K::Resource>,
    list: &mut Vec<(Name<K>, K::Object)>,
    seen: BoottimeNs,
) -> Option<Change> {
    let is_list = matches!(event, Event::InitDone);
    let make: Box<dyn FnOnce(&mut Index) -> bool + Send> = match event {
        Event::Init => {
            list.clear();
            return None;
        }
        Event::InitApply(resource) => {
            let name = kind.name(resource.meta());
            list.extend(name.zip(kind.trim(resource)));
            return None;
        }
        Event::InitDone => {
            let all = std::mem::take(list);
            Box::new(move |index| index.reset(all))
        }
        Event::Apply(resource) => {
            let name = kind.name(resource.meta())?;
            match kind.trim(resource) {
                Some(object) => Box::new(move |index| index.apply(name, object)),
                // What is of no more interest may have been kept as it was.
                None => Box::new(move |index| index.delete::<K::Object>(&name)),
            }
        }
        Event::Delete(resource) => {
            let name = kind.name(resource.meta())?;
            Box::new(move |index| index.delete::<K::Object>(&name))
        }
    };
    Some(Change { plural: K::PLURAL, is_list, is_of_agents: K::IS_OF_AGENTS, seen, make })
}

#[cfg(test)]
mod tests;
