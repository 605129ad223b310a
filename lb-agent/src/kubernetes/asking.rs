//! Asks for a sign of life, where nothing else gives one.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::word::Word;

/// Between two questions, in s: an answer is missed twice before the view is stale.
const INTERVAL_S: std::ops::Range<f64> = 3.0..5.0;
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks for the server's version for as long as there are watches that nothing vouches for: those over HTTP/1.1. The client
/// takes note of the answer.
pub async fn ask(client: Client, word: Arc<Word>) {
    loop {
        sleep(Duration::from_secs_f64(
            INTERVAL_S.start + fastrand::f64() * (INTERVAL_S.end - INTERVAL_S.start),
        ))
        .await;
        if !word.is_to_be_asked_for() {
            continue;
        }
        match timeout(PATIENCE, client.apiserver_version()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(%error, "no sign of life from the Kubernetes API"),
            Err(_) => debug!("no sign of life from the Kubernetes API within {PATIENCE:?}"),
        }
    }
}
