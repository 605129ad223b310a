//! The cluster as the source of what the agent does.
//!
//! A thread of its own talks to the API: nothing there can delay the decision loop. Its watches are trimmed and kept
//! (`keeper`), what follows is published as one value, and the loop takes it from there.

mod asking;
pub mod backoff;
pub mod client;
pub mod keeper;
pub mod keeping;
mod kinds;
mod lean;
pub mod saving;
pub mod snapshot;
pub mod story;
mod telling;
pub mod watching;
pub mod word;
pub mod writing;

use std::{io, path::PathBuf, sync::Arc, thread};

use kube::{Client, Config};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use self::{
    client::ClientError,
    keeper::{Keeper, Published},
    keeping::Ends,
    snapshot::Snapshot,
    story::Story,
    telling::Telling,
    word::Word,
};
use crate::{
    cluster::selection::Options,
    metrics::{Metrics, View},
    model::BoottimeNs,
    pins::{self, Pins},
    report::Report,
};

/// Changes that have come and are not yet kept. Beyond it the watches wait.
const BACKLOG: usize = 1_024;

/// What the source is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the agents, their Service, pools and advertisements.
    pub namespace: String,
    /// Where the last state is kept.
    pub state_dir: PathBuf,
    /// What may change while the agent runs.
    pub options: Options,
}

/// Why there is no source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no way to the API.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No thread, or no runtime for it.
    #[error("start the thread that talks to the Kubernetes API: {0}")]
    Thread(#[source] io::Error),
}

/// The decision loop's end.
pub struct Source {
    published: watch::Receiver<Option<Published>>,
    options: watch::Sender<Options>,
    word: Arc<Word>,
}

impl Source {
    /// Begins to watch. What an earlier agent has left on disk is published at once, the rest when the API has told everything.
    /// What the loop reports is told to the API.
    ///
    /// # Errors
    /// When the configuration cannot be used. That the API does not answer is no error.
    pub fn start(
        config: Config,
        settings: Settings,
        metrics: &Metrics,
        reports: watch::Receiver<Arc<Report>>,
    ) -> Result<Self, SourceError> {
        let word = Arc::new(Word::default());
        let (publisher, published) = watch::channel(None);
        let (options, new_options) = watch::channel(settings.options.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SourceError::Thread)?;
        let server = config.cluster_url.clone();
        let client = {
            let _in_runtime = runtime.enter(); // where its tasks are to run
            client::client(config, Arc::clone(&word))?
        };
        info!(%server, namespace = settings.namespace, "cluster watched");
        let ends = telling::Ends { published: published.clone(), reports };
        let rim = Rim { client, settings, word: Arc::clone(&word), metrics: metrics.clone() };
        thread::Builder::new()
            .name("kubernetes".to_owned())
            .spawn(move || runtime.block_on(rim.run(publisher, new_options, ends)))
            .map_err(SourceError::Thread)?;
        Ok(Self { published, options, word })
    }

    /// Waits until there is something new.
    ///
    /// # Errors
    /// When the thread has ended.
    pub async fn changed(&mut self) -> io::Result<()> {
        self.published
            .changed()
            .await
            .map_err(|_| io::Error::other("the thread that talks to the Kubernetes API has ended"))
    }

    /// The newest; `None` as long as nothing is known: that is no reason to change anything.
    pub fn take(&mut self) -> Option<Published> {
        self.published.borrow_and_update().clone()
    }

    /// Has the next selections follow these.
    pub fn set_options(&self, options: Options) {
        self.options.send_if_modified(|known| {
            let is_new = *known != options;
            *known = options;
            is_new
        });
    }

    /// Whether the view of the cluster may be old: it is from disk, or no word has come for too long.
    #[must_use]
    pub fn is_stale(&self, now: BoottimeNs) -> bool {
        self.published.borrow().as_ref().is_none_or(|published| published.is_from_disk)
            || self.word.is_stale(now)
    }

    /// What metrics tell of the cluster.
    #[must_use]
    pub fn view(&self, node: String, pins: Pins) -> View {
        View::new(node, pins, self.published.clone(), Arc::clone(&self.word))
    }

    /// When word last came; `None`: never.
    #[must_use]
    pub fn last_word(&self, now: BoottimeNs) -> Option<BoottimeNs> {
        self.word.last(now)
    }
}

/// What the thread starts with.
struct Rim {
    client: Client,
    settings: Settings,
    word: Arc<Word>,
    metrics: Metrics,
}

impl Rim {
    async fn run(
        self,
        published: watch::Sender<Option<Published>>,
        options: watch::Receiver<Options>,
        ends: telling::Ends,
    ) {
        let Self { client, settings: Settings { namespace, state_dir, options: first }, word, metrics } =
            self;
        let snapshot = Snapshot::new(&state_dir, &first.me, &namespace);
        let known = snapshot.read().unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        if let Some(known) = &known {
            info!(
                services = known.services.len(),
                "the last state is known from {}",
                snapshot.path().display()
            );
        }
        let story = Arc::new(Story::new(Arc::clone(&word), metrics.api.clone()));
        let (changes, heard) = mpsc::channel(BACKLOG);
        let kinds = kinds::watch_all(&client, &namespace, &changes, &story);
        drop(changes);
        let identity = telling::Identity { node: &first.me, namespace: &namespace, machine: pins::machine() };
        let telling = Telling::new(client.clone(), identity, ends, &story, metrics.api.clone());
        tokio::spawn(telling.run());
        let (requests, saves) = mpsc::channel(1);
        tokio::spawn(asking::ask(client, Arc::clone(&word)));
        tokio::spawn(saving::save(snapshot, requests));
        let keeper = Keeper::new(known, first, kinds);
        keeping::keep(keeper, Ends { changes: heard, options, word, published, saves }).await;
    }
}
