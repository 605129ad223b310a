//! Writes the cluster to disk, on a thread where that may take its time.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tracing::{info, warn};

use super::snapshot::Snapshot;
use crate::cluster::Cluster;

/// Between two writes: a rollout changes endpoints many times a second.
const INTERVAL: Duration = Duration::from_secs(5);

/// Writes what comes, until nobody sends any more. A write that fails is told of once, and the next one is tried.
pub async fn save(snapshot: Snapshot, mut clusters: mpsc::Receiver<Cluster>) {
    let snapshot = Arc::new(snapshot);
    let mut told = None;
    while let Some(cluster) = clusters.recv().await {
        let to = Arc::clone(&snapshot);
        // The cluster's objects are shared: what is copied is their list.
        let written =
            tokio::task::spawn_blocking(move || to.write(&cluster).map_err(|error| error.to_string()));
        let trouble = written.await.unwrap_or_else(|error| Err(error.to_string())).err();
        match &trouble {
            Some(trouble) if told.as_ref() != Some(trouble) => {
                warn!(
                    "the state of the cluster is not kept for a restart without the Kubernetes API: {trouble}"
                );
            }
            None if told.is_some() => info!("the state of the cluster is kept on disk again"),
            Some(_) | None => {}
        }
        told = trouble;
        sleep(INTERVAL).await;
    }
}
