//! The cluster, with the file beside it.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use tokio::sync::watch;

use super::{News, Quality, SettingsFile};
use crate::{
    cluster::selection::{self, Selection},
    config::ClusterConfig,
    explain::{self, Subject, Survey, service::Told},
    kubernetes::{self, client},
    metrics::{Metrics, View},
    model::BoottimeNs,
    pins::Pins,
    plan::Plan,
    report::Report,
    run::ClusterOptions,
};

/// The Services of a cluster.
pub struct ClusterSource {
    kubernetes: kubernetes::Source,
    file: SettingsFile,
    options: selection::Options,
    /// What is wrong with the file.
    problem: Option<String>,
    selection: Arc<Selection>,
    /// The one before. Of very many Services it takes a while to let go, which may wait until the map is written.
    outdated: Option<Arc<Selection>>,
    /// It follows from what was left on disk.
    is_from_disk: bool,
    /// When the first of the changes that led to it was heard of, until somebody wants to know.
    seen: Option<BoottimeNs>,
}

impl ClusterSource {
    /// Begins to follow the cluster as the node of that name. `config` is the file, which need not be there; what the loop
    /// reports is told to the API.
    ///
    /// # Errors
    /// When the file is wrong, or nothing says where the API is.
    pub async fn start(
        node: String,
        config: Option<&Path>,
        cluster: &ClusterOptions,
        metrics: &Metrics,
        reports: watch::Receiver<Arc<Report>>,
    ) -> anyhow::Result<Self> {
        let mut file = SettingsFile::open(config);
        let settings = file.take()?.unwrap_or_default();
        let options = selection::Options {
            me: node,
            lb_class: cluster.lb_class.clone(),
            interfaces: settings.plan_interfaces(),
            failback: settings.failback,
        };
        let settings = kubernetes::Settings {
            namespace: cluster.namespace.clone(),
            state_dir: cluster.state_dir.clone(),
            options: options.clone(),
        };
        let kubernetes = kubernetes::Source::start(client::config().await?, settings, metrics, reports)?;
        Ok(Self {
            kubernetes,
            file,
            options,
            problem: None,
            selection: Arc::default(),
            outdated: None,
            is_from_disk: true,
            seen: None,
        })
    }

    /// What metrics tell of the cluster, for an agent whose maps lie in `pins`.
    #[must_use]
    pub fn view(&self, pins: Pins) -> View {
        self.kubernetes.view(self.options.me.clone(), pins)
    }

    /// Waits for the first selection: until there is one, the kernel is left as it is.
    ///
    /// # Errors
    /// As [`Self::changed`].
    pub async fn first(&mut self) -> anyhow::Result<Arc<Plan>> {
        loop {
            if let News::Plan(plan) = self.take() {
                return Ok(plan);
            }
            self.changed().await?;
        }
    }

    /// Waits until there may be news.
    ///
    /// # Errors
    /// When there will be none any more.
    pub async fn changed(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            changed = self.kubernetes.changed() => changed.context("follow the cluster"),
            changed = self.file.changed() => changed.context("watch the configuration file"),
        }
    }

    /// Looks at what the file and the cluster say. What follows from a change of the file comes with the next selection.
    pub fn take(&mut self) -> News {
        match self.file.take() {
            Ok(None) => {}
            Ok(Some(config)) => {
                self.problem = None;
                self.set(&config);
                return News::Settings;
            }
            Err(problem) => {
                let problem = format!("{problem:#}");
                self.problem = Some(problem.clone());
                return News::Wrong(problem);
            }
        }
        let published = self.kubernetes.take();
        self.is_from_disk = published.as_ref().is_none_or(|published| published.is_from_disk);
        match published {
            Some(published) if !Arc::ptr_eq(&published.selection, &self.selection) => {
                self.seen = Some(published.seen);
                self.outdated = Some(std::mem::replace(&mut self.selection, published.selection));
                News::Plan(Arc::clone(&self.selection.plan))
            }
            Some(_) | None => News::Nothing,
        }
    }

    /// What is wrong with the file, so that it is not taken.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn set(&mut self, config: &ClusterConfig) {
        self.options.interfaces = config.plan_interfaces();
        self.options.failback = config.failback;
        self.kubernetes.set_options(self.options.clone());
    }

    /// The VIPs of a Service, or one VIP, each with how it comes to be one.
    ///
    /// # Errors
    /// When it is about nothing that is known, and what to ask instead.
    pub fn find(&self, about: &str, now: BoottimeNs) -> Result<Vec<Subject>, String> {
        self.told().find(about, &self.view_in_words(now))
    }

    /// All VIPs, in short.
    #[must_use]
    pub fn survey(&self, now: BoottimeNs) -> Survey {
        self.told().survey(&self.view_in_words(now))
    }

    fn told(&self) -> Told<'_> {
        Told { selection: &self.selection, options: &self.options }
    }

    fn view_in_words(&self, now: BoottimeNs) -> explain::view::View {
        explain::view::View {
            is_from_disk: self.is_from_disk,
            is_stale: self.kubernetes.is_stale(now),
            last_word_ago_ns: self.kubernetes.last_word(now).map(|at| now.saturating_sub(at)),
        }
    }

    /// The last plan has been carried out. Says when the first of the changes that led to it was heard of; only the first time.
    pub fn carried_out(&mut self) -> Option<BoottimeNs> {
        self.outdated = None;
        self.seen.take()
    }

    /// How good the view is that was last taken.
    #[must_use]
    pub fn quality(&self, now: BoottimeNs) -> Quality {
        match (self.is_from_disk, self.kubernetes.is_stale(now)) {
            (true, _) => Quality::FromDisk,
            (false, true) => Quality::Stale(self.kubernetes.last_word(now)),
            (false, false) => Quality::UpToDate,
        }
    }

    /// Whether what was last taken may be old.
    #[must_use]
    pub fn is_stale(&self, now: BoottimeNs) -> bool {
        self.is_from_disk || self.kubernetes.is_stale(now)
    }
}
