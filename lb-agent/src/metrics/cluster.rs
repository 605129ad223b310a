//! The agent's view of the cluster, read when it is asked for.

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use lb_common::maps::Role;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tokio::sync::watch;

use super::sample::{Labels, Metric, bool};
use crate::{
    clock,
    cluster::selection::Selection,
    kubernetes::{keeper::Published, word::Word},
    model::BoottimeNs,
    pins::Pins,
    tables::Tables,
};

/// Reads what the agent knows of the cluster.
#[derive(Debug)]
pub struct View {
    node: String,
    pins: Pins,
    published: Mutex<watch::Receiver<Option<Published>>>,
    word: Arc<Word>,
}

/// What is known of the cluster at one time.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// This node's name.
    pub node: String,
    /// The newest selection.
    pub published: Option<Published>,
    /// The VIPs that the kernel answers for.
    pub announced: BTreeSet<IpAddr>,
    /// How long ago word came from the API, in ns; `None`: never.
    pub word_age_ns: Option<BoottimeNs>,
    /// That is too long ago.
    pub is_stale: bool,
}

impl View {
    /// Of the agent of `node`, whose maps lie in `pins`.
    #[must_use]
    pub const fn new(
        node: String,
        pins: Pins,
        published: watch::Receiver<Option<Published>>,
        word: Arc<Word>,
    ) -> Self {
        Self { node, pins, published: Mutex::new(published), word }
    }

    fn read(&self) -> Knowledge {
        let now = clock::boottime_ns();
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner).borrow().clone();
        let is_from_disk = published.as_ref().is_none_or(|published| published.is_from_disk);
        Knowledge {
            node: self.node.clone(),
            published,
            announced: announced(&self.pins),
            word_age_ns: self.word.last(now).map(|last| now.saturating_sub(last)),
            is_stale: is_from_disk || self.word.is_stale(now),
        }
    }
}

/// None when the maps cannot be read: `kernel` tells of that.
fn announced(pins: &Pins) -> BTreeSet<IpAddr> {
    let vips = Tables::open(&pins.maps()).and_then(|tables| tables.vips()).unwrap_or_default();
    let announced = vips.into_iter().filter(|(_, entry)| entry.role() == Some(Role::Announce));
    announced.map(|(place, _)| place.address).collect()
}

impl Collector for View {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.read().encode(encoder)
    }
}

impl Knowledge {
    /// As metrics.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let is_loaded = self.published.as_ref().is_some_and(|published| !published.is_from_disk);
        let problems = self.published.iter().flat_map(|published| &*published.selection.problems);
        let is_config_stale = problems.into_iter().any(|problem| problem.is_invalid);
        let plain = |truth| [(vec![], bool(truth))];

        let help = "1 if the pools and advertisements of the cluster are in use";
        Metric { name: "metallb_k8s_client_config_loaded_bool", help }.gauges(encoder, plain(is_loaded))?;
        let help =
            "1 if the newest version of a pool or advertisement is invalid, and the last valid one in use";
        Metric { name: "metallb_k8s_client_config_stale_bool", help }
            .gauges(encoder, plain(is_config_stale))?;
        let help = "1 if no word has come from the Kubernetes API for so long that the view may be old";
        Metric { name: "lb_api_stale_bool", help }.gauges(encoder, plain(self.is_stale))?;
        let age = self.word_age_ns.map(|ns| (vec![], std::time::Duration::from_nanos(ns).as_secs_f64()));
        let help = "Time since word last came from the Kubernetes API";
        Metric { name: "lb_api_word_age_seconds", help }.gauges(encoder, age)?;
        let help = "1 for each address of a service that this node answers for";
        Metric { name: "metallb_speaker_announced", help }.gauges(encoder, self.announcements())
    }

    fn announcements(&self) -> impl Iterator<Item = (Labels, f64)> {
        let selection: Option<&Selection> = self.published.as_ref().map(|published| &*published.selection);
        let services = selection.into_iter().flat_map(|selection| selection.services.iter());
        services.flat_map(move |(service, verdict)| {
            let addresses = verdict.addresses.iter().map(|verdict| verdict.address);
            let announced = addresses.filter(move |address| self.announced.contains(address));
            announced.map(move |address| {
                let labels = vec![
                    ("service", service.to_string()),
                    ("protocol", "layer2".to_owned()),
                    ("node", self.node.clone()),
                    ("ip", address.to_string()),
                ];
                (labels, 1.0)
            })
        })
    }
}
