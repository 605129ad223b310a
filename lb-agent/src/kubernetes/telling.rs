//! Has the API say what this node holds, what happened to it, and what it makes of the configuration, for as long as the API does
//! not say so.
//!
//! What is to be written follows from what was last seen (`teller`), and is picked in portions: what is overtaken meanwhile is
//! not written. An agent that ends takes nothing back: the kernel answers on, and the next agent finds what stands there.

mod ledger;
mod orphans;
mod standing;
mod teller;

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};
use kube::{Api, Client};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep},
};
use tracing::{debug, error, info, warn};

use self::{
    ledger::Change,
    orphans::Search,
    standing::States,
    teller::{Sight, Teller},
};
use super::{
    backoff::Backoff,
    keeper::Published,
    story::{Story, causes},
    watching::pause,
    writing::{Outcome, Writer, rule},
};
use crate::{
    clock,
    cluster::{selection::Selection, trim},
    crds::{ConfigurationState, ServiceL2Status},
    metrics::ApiCounters,
    outputs::{Write, l2_status},
    report::Report,
};

/// What belongs together comes together: longer than the loop takes from a selection to its report.
const SETTLE: Duration = Duration::from_millis(300);
/// So many writes, and then it is seen what is still to be written.
const PORTION: usize = 64;
/// Before the next portion: the API server has others to serve, and this node's CPUs have more to do.
const PAUSE: Duration = Duration::from_millis(200);
/// So many of them at the same time.
const AT_ONCE: usize = 2;

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
    statuses: mpsc::Receiver<Change>,
    states: States,
    changed: Arc<Notify>,
    backoff: Backoff,
    /// Tells when the API answers again.
    returns: watch::Receiver<()>,
    is_failing: bool,
    counters: ApiCounters,
    /// What was told of refusals.
    refused: BTreeSet<String>,
    /// What was told of agents of the same name.
    namesakes: Option<String>,
}

/// What it tells from.
struct Seen {
    selection: Arc<Selection>,
    report: Arc<Report>,
}

/// What a portion came to.
enum Portion {
    /// All that is to be written now stands there.
    Empty,
    /// There may be more.
    Written,
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
            statuses: standing::watch_statuses(&client, namespace, labels, story),
            states: States::watch(&client, namespace, object, story, &changed),
            client,
            namespace: namespace.to_owned(),
            changed,
            backoff: Backoff::default(),
            returns: story.returns(),
            is_failing: false,
            counters,
            refused: BTreeSet::new(),
            namesakes: None,
        }
    }

    /// Runs until the loop, or the watches, have ended.
    pub async fn run(mut self) {
        // What was there before the first report says nothing.
        let is_begun = self.ends.reports.changed().await.is_ok();
        if !is_begun || !self.are_statuses_listed().await || !self.states.are_listed().await {
            return;
        }
        loop {
            sleep(SETTLE).await;
            match self.round().await {
                Ok(()) if !self.news().await => return,
                Ok(()) => {}
                Err(why) => {
                    match why {
                        Some(why) if !std::mem::replace(&mut self.is_failing, true) => {
                            warn!("not written to the Kubernetes API, it is tried again: {why}");
                        }
                        Some(why) => debug!("still not written: {why}"),
                        None => {}
                    }
                    pause(&mut self.backoff, &mut self.returns, clock::boottime_ns()).await;
                }
            }
        }
    }

    /// Waits until they are known; `false`: they will not be.
    async fn are_statuses_listed(&mut self) -> bool {
        while let Some(change) = self.statuses.recv().await {
            let is_list = matches!(change, Change::Listed(_));
            self.teller.take(change);
            if is_list {
                return true;
            }
        }
        false
    }

    /// Waits until there may be something to write; `false`: there will not be.
    async fn news(&mut self) -> bool {
        let due = self.teller.due().map(|due| {
            Duration::from_nanos(due.saturating_sub(clock::boottime_ns())) + Duration::from_millis(1)
        });
        tokio::select! {
            changed = self.ends.published.changed() => changed.is_ok(),
            changed = self.ends.reports.changed() => changed.is_ok(),
            change = self.statuses.recv() => change.map(|change| self.teller.take(change)).is_some(),
            () = self.changed.notified() => true,
            () = async { match due { Some(due) => sleep(due).await, None => future::pending().await } } => true,
        }
    }

    /// Writes a portion after the other, until all stands there, or something has to wait: why.
    async fn round(&mut self) -> Result<(), Option<String>> {
        let Some(mut seen) = self.see() else { return Ok(()) };
        let mut noticed: Option<Instant> = None;
        loop {
            match self.portion(&seen).await {
                Portion::Empty => return Ok(()),
                Portion::Written => {
                    self.backoff.succeeded();
                    if std::mem::take(&mut self.is_failing) {
                        info!("written to the Kubernetes API again");
                    }
                }
                Portion::Later(why) => return Err(why),
            }
            sleep(PAUSE).await;
            // There may be enough to write for minutes. What is new meanwhile settles, too.
            if self.has_news() && noticed.get_or_insert_with(Instant::now).elapsed() >= SETTLE {
                noticed = None;
                match self.see() {
                    Some(new) => seen = new,
                    None => return Ok(()),
                }
            }
        }
    }

    fn has_news(&self) -> bool {
        let Ends { published, reports } = &self.ends;
        published.has_changed().unwrap_or(false) || reports.has_changed().unwrap_or(false)
    }

    /// What there is to tell from, if that is any reason to tell something.
    fn see(&mut self) -> Option<Seen> {
        // What an earlier agent has left on disk is no reason to change what is told.
        let published = self.ends.published.borrow_and_update().clone();
        let selection = published.filter(|published| !published.is_from_disk)?.selection;
        Some(Seen { selection, report: Arc::clone(&self.ends.reports.borrow_and_update()) })
    }

    async fn portion(&mut self, Seen { selection, report }: &Seen) -> Portion {
        if let Some(search) = self.teller.search(selection) {
            match self.find(&search).await {
                Ok(found) => self.teller.found(search, found),
                Err(error) => {
                    return Portion::Later(Some(format!("list servicel2statuses: {}", causes(&error))));
                }
            }
        }
        while let Ok(change) = self.statuses.try_recv() {
            self.teller.take(change);
        }
        let (now, time, state) = (clock::boottime_ns(), Timestamp::now(), self.states.own());
        let sight = Sight { selection, report, state: state.as_deref() };
        let writes = self.teller.writes(sight, now, &Time(time), PORTION);
        self.tell_namesakes();
        if writes.is_empty() {
            return Portion::Empty;
        }
        self.write(writes, MicroTime(time), state.as_deref()).await
    }

    /// Writes some at a time. Once one has no answer, no other is begun.
    async fn write(
        &mut self,
        writes: Vec<Write>,
        time: MicroTime,
        state: Option<&ConfigurationState>,
    ) -> Portion {
        let mut writes = writes.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut portion = Portion::Written;
        let mut is_answered = true;
        loop {
            while is_answered && under_way.len() < AT_ONCE {
                let Some(write) = writes.next() else { break };
                let (writer, time) = (self.writer.clone(), time.clone());
                under_way.push(async move {
                    let outcome = writer.write(&write, time).await;
                    (write, outcome)
                });
            }
            let Some((write, outcome)) = under_way.next().await else { return portion };
            self.counters.wrote(rule(&write).1, outcome.label());
            self.teller.wrote(&write, &outcome, state, clock::boottime_ns());
            match outcome {
                Outcome::Done => {}
                Outcome::Forbidden(why) | Outcome::Refused(why) => self.tell_refusal(why),
                Outcome::Overtaken if matches!(portion, Portion::Written) => portion = Portion::Later(None),
                Outcome::Overtaken => {}
                Outcome::Later(why) => portion = Portion::Later(Some(why)),
                Outcome::Unanswered(why) => {
                    is_answered = false;
                    portion = Portion::Later(Some(why));
                }
            }
        }
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
