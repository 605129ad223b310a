//! Writes the cluster to disk, on a thread where that may take its time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use tracing::{info, warn};

use super::snapshot::Snapshot;
use crate::cluster::Cluster;

/// Between two writes: a rollout changes endpoints many times a second.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where the cluster is to be sent once it differs from what was last asked for.
pub type Request = oneshot::Sender<Cluster>;

/// Asks for the cluster and writes it, until nobody answers any more: what is written is no older than the write. One that
/// fails is told of once, and the next one is tried.
pub async fn save(snapshot: Snapshot, requests: mpsc::Sender<Request>) {
    let snapshot = Arc::new(snapshot);
    let mut told = None;
    loop {
        let (request, cluster) = oneshot::channel();
        let Ok(()) = requests.send(request).await else { return };
        let Ok(cluster) = cluster.await else { return };
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
