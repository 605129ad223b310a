//! Has the API say what this node holds, what happened to it, and what it makes of the configuration, for as long as the API does
//! not say so.
//!
//! What is to be written is found anew at each look (`teller`), so nothing is queued that may be overtaken. An agent that ends
//! takes nothing back: the kernel answers on, and the next agent finds what stands there.

mod orphans;
mod standing;
mod teller;

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{Api, Client};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tracing::{debug, error, info, warn};

use self::{
    orphans::Search,
    standing::{States, Statuses},
    teller::{Sight, Teller},
};
use super::{
    backoff::Backoff,
    keeper::Published,
    story::{Story, causes},
    writing::{Outcome, Writer, rule},
};
use crate::{
    clock, cluster::trim, crds::ServiceL2Status, metrics::ApiCounters, outputs::l2_status, report::Report,
};

/// What belongs together comes together: longer than the loop takes from a selection to its report.
const SETTLE: Duration = Duration::from_millis(300);
/// So many writes, and then another look: what has changed meanwhile need not be written.
const BATCH: usize = 64;
/// So many of them at the same time.
const AT_ONCE: usize = 4;

/// Who tells, and by what name.
pub struct Identity<'a> {
    /// This node's name.
    pub node: &'a str,
    /// The system namespace.
    pub namespace: &'a str,
    /// The machine that the agent runs on.
    pub machine: String,
}

/// What this task is connected to.
pub struct Ends {
    /// What follows from the cluster.
    pub published: watch::Receiver<Option<Published>>,
    /// What the loop holds.
    pub reports: watch::Receiver<Arc<Report>>,
}

/// Tells the API.
pub struct Telling {
    ends: Ends,
    teller: Teller,
    writer: Writer,
    client: Client,
    namespace: String,
    statuses: Statuses,
    states: States,
    changed: Arc<Notify>,
    counters: ApiCounters,
    /// What was told of refusals.
    refused: BTreeSet<String>,
    /// What was told of agents of the same name.
    namesakes: Option<String>,
}

/// What a look came to.
enum Round {
    /// All that is to be written now stands there.
    Idle,
    /// There may be more.
    More,
    /// Something has to wait; why, where that is worth a word.
    Later(Option<String>),
}

impl Telling {
    /// Begins to watch what stands in the API.
    pub fn new(
        client: Client,
        Identity { node, namespace, machine }: Identity<'_>,
        ends: Ends,
        story: &Arc<Story>,
        counters: ApiCounters,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let labels = format!("{}={node}", l2_status::NODE);
        let object = format!("metadata.name={}{node}", trim::STATE_PREFIX);
        Self {
            ends,
            teller: Teller::new(node, machine, fastrand::f64()),
            writer: Writer::new(client.clone(), namespace, node),
            statuses: Statuses::watch(&client, namespace, labels, story, &changed),
            states: States::watch(&client, namespace, object, story, &changed),
            client,
            namespace: namespace.to_owned(),
            changed,
            counters,
            refused: BTreeSet::new(),
            namesakes: None,
        }
    }

    /// Runs until the loop, or the watches, have ended.
    pub async fn run(mut self) {
        // What was there before the first report says nothing.
        let is_begun = self.ends.reports.changed().await.is_ok();
        if !is_begun || !self.statuses.are_listed().await || !self.states.are_listed().await {
            return;
        }
        let mut backoff = Backoff::default();
        let mut is_failing = false;
        loop {
            sleep(SETTLE).await;
            match self.round().await {
                Round::Idle if !self.news().await => return,
                Round::Idle => {}
                Round::More => {
                    backoff.succeeded();
                    if std::mem::take(&mut is_failing) {
                        info!("written to the Kubernetes API again");
                    }
                }
                Round::Later(why) => {
                    match why {
                        Some(why) if !std::mem::replace(&mut is_failing, true) => {
                            warn!("not written to the Kubernetes API, it is tried again: {why}");
                        }
                        Some(why) => debug!("still not written: {why}"),
                        None => {}
                    }
                    let now = Duration::from_nanos(clock::boottime_ns());
                    sleep(backoff.failed(now, fastrand::f64())).await;
                }
            }
        }
    }

    /// Waits until there may be something to write; `false`: there will not be.
    async fn news(&mut self) -> bool {
        let due = self.teller.due().map(|due| {
            Duration::from_nanos(due.saturating_sub(clock::boottime_ns())) + Duration::from_millis(1)
        });
        tokio::select! {
            changed = self.ends.published.changed() => changed.is_ok(),
            changed = self.ends.reports.changed() => changed.is_ok(),
            () = self.changed.notified() => true,
            () = async { match due { Some(due) => sleep(due).await, None => future::pending().await } } => true,
        }
    }

    async fn round(&mut self) -> Round {
        // What an earlier agent has left on disk is no reason to change what is told.
        let published = self.ends.published.borrow_and_update().clone();
        let Some(published) = published.filter(|published| !published.is_from_disk) else {
            return Round::Idle;
        };
        let report = Arc::clone(&self.ends.reports.borrow_and_update());
        let selection = &*published.selection;
        if let Some(search) = self.teller.search(selection) {
            match self.find(&search).await {
                Ok(found) => self.teller.found(search, found),
                Err(error) => {
                    return Round::Later(Some(format!("list servicel2statuses: {}", causes(&error))));
                }
            }
        }
        let (now, time) = (clock::boottime_ns(), Timestamp::now());
        let (statuses, state) = (self.statuses.existing(), self.states.own());
        let sight = Sight { selection, report: &report, statuses: &statuses, state: state.as_deref() };
        let mut writes = self.teller.writes(&sight, now, &Time(time));
        self.tell_namesakes();
        if writes.is_empty() {
            return Round::Idle;
        }
        writes.truncate(BATCH);
        let writer = &self.writer;
        let writing = |write| async move {
            let outcome = writer.write(&write, MicroTime(time)).await;
            (write, outcome)
        };
        let written: Vec<_> = stream::iter(writes).map(writing).buffer_unordered(AT_ONCE).collect().await;
        let mut round = Round::More;
        for (write, outcome) in written {
            self.counters.wrote(rule(&write).1, outcome.label());
            self.teller.wrote(&write, &outcome, state.as_deref(), clock::boottime_ns());
            match outcome {
                Outcome::Done => {}
                Outcome::Forbidden(why) | Outcome::Refused(why) => self.tell_refusal(why),
                Outcome::Overtaken if matches!(round, Round::More) => round = Round::Later(None),
                Outcome::Overtaken => {}
                Outcome::Later(why) => round = Round::Later(Some(why)),
            }
        }
        round
    }

    /// A page after the other.
    async fn find(&self, search: &Search) -> kube::Result<BTreeMap<String, l2_status::Existing>> {
        let statuses: Api<ServiceL2Status> = Api::namespaced(self.client.clone(), &self.namespace);
        standing::list(&statuses, search.labels.as_deref()).await
    }

    fn tell_namesakes(&mut self) {
        let namesakes = self.teller.namesakes();
        if self.namesakes == namesakes {
            return;
        }
        match &namesakes {
            Some(problem) => error!("{problem}"),
            None => info!("no other agent calls itself by this node's name any more"),
        }
        self.namesakes = namesakes;
    }

    fn tell_refusal(&mut self, why: String) {
        if !self.refused.contains(&why) {
            warn!("{why}");
            self.refused.insert(why);
        }
    }
}
