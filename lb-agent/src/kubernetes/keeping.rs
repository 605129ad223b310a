//! Takes the changes as they come, and publishes what follows at once.

use std::{future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::info;

use super::{
    keeper::{Keeper, Published},
    saving,
    watching::Change,
    word::Word,
};
use crate::{clock, cluster::selection::Options, model::BoottimeNs};

/// What this task is connected to.
pub struct Ends {
    /// What the watches tell.
    pub changes: mpsc::Receiver<Change>,
    /// What the operator sets.
    pub options: watch::Receiver<Options>,
    /// Whether the API is heard.
    pub word: Arc<Word>,
    /// Where selections go.
    pub published: watch::Sender<Option<Published>>,
    /// Where the cluster is asked for, to be saved.
    pub saves: mpsc::Receiver<saving::Request>,
}

/// Runs until the watches, or the decision loop, have ended.
pub async fn keep(mut keeper: Keeper, mut ends: Ends) {
    let mut was_complete = false;
    loop {
        let now = clock::boottime_ns();
        if let Some(published) = keeper.publish(!ends.word.is_stale(now), now) {
            tell_first(&published, &mut was_complete);
            ends.published.send_replace(Some(published));
        }
        tokio::select! {
            // Changes come before all else: somebody waits for what they lead to.
            biased;
            change = ends.changes.recv() => match change {
                Some(change) => keeper.take(change),
                None => return,
            },
            changed = ends.options.changed() => match changed {
                Ok(()) => keeper.set_options(ends.options.borrow_and_update().clone()),
                Err(_) => return,
            },
            request = ends.saves.recv(), if keeper.is_unsaved() => match request {
                Some(request) => _ = request.send(keeper.save()),
                None => return,
            },
            () = until(keeper.due()) => {}
        }
        // What has arrived together is selected together.
        while let Ok(change) = ends.changes.try_recv() {
            keeper.take(change);
        }
    }
}

fn tell_first(published: &Published, was_complete: &mut bool) {
    if !published.is_from_disk && !std::mem::replace(was_complete, true) {
        let selection = &published.selection;
        info!(
            services = selection.services.len(),
            units = selection.plan.units.len(),
            nodes = selection.nodes.len(),
            "the Kubernetes API has told everything"
        );
    }
}

/// Waits for a time that need not be met exactly.
async fn until(due: Option<BoottimeNs>) {
    match due {
        // At least a second: what is due but has to wait, for word from the API, is looked at again now and then.
        Some(due) => {
            let left = Duration::from_nanos(due.saturating_sub(clock::boottime_ns()));
            sleep(left.max(Duration::from_secs(1))).await;
        }
        None => future::pending().await,
    }
}
