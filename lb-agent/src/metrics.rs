//! What can be counted of the agent, for Prometheus.
//!
//! What the kernel counts is read when it is asked for (`kernel`); what the agent counts is kept here. Dashboards for MetalLB go
//! on working: what MetalLB counts too has its name, everything else begins with `lb_`.

mod cluster;
mod kernel;
mod sample;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

pub use self::{cluster::View, kernel::Kernel};
use crate::{
    holding::{Cause, Change},
    model::BoottimeNs,
    sbfd::Liveness,
};

/// Content type of what [`Metrics::text`] returns.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// From a change's arrival to the kernel's map, in s.
const EVENT_BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Everything that is counted. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What is heard from the API, and said to it.
    pub api: ApiCounters,
    /// What the decision loop does.
    pub agent: AgentCounters,
    registry: Arc<Mutex<Registry>>,
}

/// What is heard from the API, and said to it.
#[derive(Clone, Debug, Default)]
pub struct ApiCounters {
    /// Changes and lists.
    pub updates: Counter,
    /// Lists and watches that failed.
    pub update_errors: Counter,
    /// What was written, by kind of object and by what became of it.
    pub writes: Family<WriteLabels, Counter>,
}

/// A kind of object, and what became of a write.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct WriteLabels {
    /// Plural of the kind.
    pub kind: &'static str,
    /// `ok`, `retried` or `refused`.
    pub result: &'static str,
}

/// What the decision loop does.
#[derive(Clone, Debug)]
pub struct AgentCounters {
    event_to_map: Histogram,
    takeovers: Family<CauseLabel, Counter>,
    conflicts: Counter,
    announcements: Family<IpLabel, Gauge<u64, std::sync::atomic::AtomicU64>>,
    sessions: Family<SessionLabels, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IpLabel {
    ip: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SessionLabels {
    interface: String,
    state: &'static str,
}

impl Default for AgentCounters {
    fn default() -> Self {
        Self {
            event_to_map: Histogram::new(EVENT_BUCKETS),
            takeovers: Family::default(),
            conflicts: Counter::default(),
            announcements: Family::default(),
            sessions: Family::default(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing has been counted yet.
    #[must_use]
    pub fn new() -> Self {
        let (api, agent) = (ApiCounters::default(), AgentCounters::default());
        let mut registry = Registry::default();
        api.register(&mut registry);
        agent.register(&mut registry);
        Self { api, agent, registry: Arc::new(Mutex::new(registry)) }
    }

    /// Has what the kernel counts read with the rest.
    pub fn add_kernel(&self, kernel: Kernel) {
        self.locked(|registry| registry.register_collector(Box::new(kernel)));
    }

    /// Has the view of the cluster read with the rest.
    pub fn add_view(&self, view: View) {
        self.locked(|registry| registry.register_collector(Box::new(view)));
    }

    /// All of it, in Prometheus' text format.
    ///
    /// # Errors
    /// When something has no text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        self.locked(|registry| prometheus_text::encode(&mut text, registry))?;
        Ok(text)
    }

    fn locked<T>(&self, f: impl FnOnce(&mut Registry) -> T) -> T {
        f(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ApiCounters {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "metallb_k8s_client_updates",
            "Changes and lists from the Kubernetes API",
            self.updates.clone(),
        );
        let help = "Watches and lists of the Kubernetes API that failed";
        registry.register("metallb_k8s_client_update_errors", help, self.update_errors.clone());
        registry.register("lb_api_writes", "Objects written to the Kubernetes API", self.writes.clone());
    }

    /// Something has been written, or not.
    pub fn wrote(&self, kind: &'static str, result: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, result }).inc();
    }
}

impl AgentCounters {
    fn register(&self, registry: &mut Registry) {
        let Self { event_to_map, takeovers, conflicts, announcements, sessions } = self;
        let help = "Time from a change of the cluster to the kernel's map";
        registry.register("lb_event_to_map_seconds", help, event_to_map.clone());
        registry.register("lb_takeovers", "VIPs taken on an interface, by cause", takeovers.clone());
        registry.register("lb_conflicts", "Claims by strangers of VIPs announced here", conflicts.clone());
        let help = "Announcements sent (gratuitous ARP, unsolicited advertisements)";
        registry.register("metallb_layer2_gratuitous_sent", help, announcements.clone());
        registry.register("lb_sessions", "Peers that are probed, by state", sessions.clone());
    }

    /// The maps follow a change that was heard of at `seen`.
    pub fn mapped(&self, seen: BoottimeNs, now: BoottimeNs) {
        let waited = std::time::Duration::from_nanos(now.saturating_sub(seen));
        self.event_to_map.observe(waited.as_secs_f64());
    }

    /// Something has changed about a VIP on an interface.
    pub fn changed(&self, change: Change) {
        match change {
            Change::Taken(cause) => self.taken(cause),
            Change::Conflict(_) => self.conflict(),
            Change::Released | Change::Yielded(_) | Change::Contested(_) | Change::SplitSegment(..) => {}
        }
    }

    fn taken(&self, cause: Cause) {
        let cause = match cause {
            Cause::Unanswered => "unanswered",
            Cause::Unasked => "unasked",
            Cause::PeersGone => "peers_gone",
            Cause::Silent(_) => "holder_silent",
            Cause::Failback(_) => "failback",
            Cause::GivenBack(_) => "given_back",
            Cause::Moved(_) => "moved",
        };
        self.takeovers.get_or_create(&CauseLabel { cause }).inc();
    }

    fn conflict(&self) {
        self.conflicts.inc();
    }

    /// A VIP was announced on an interface.
    pub fn announced(&self, vip: IpAddr) {
        self.announcements.get_or_create(&IpLabel { ip: vip.to_string() }).inc();
    }

    /// These are the peers' states, by interface name.
    pub fn set_sessions<'a>(&self, sessions: impl IntoIterator<Item = (&'a str, Option<Liveness>)>) {
        let mut counts = std::collections::BTreeMap::<(&str, &'static str), i64>::new();
        for (interface, liveness) in sessions {
            let state = match liveness {
                None => "unknown",
                Some(Liveness::Up { .. }) => "up",
                Some(Liveness::Down) => "down",
                Some(Liveness::AdminDown) => "admin_down",
            };
            *counts.entry((interface, state)).or_default() += 1;
        }
        self.sessions.clear();
        for ((interface, state), count) in counts {
            self.sessions.get_or_create(&SessionLabels { interface: interface.to_owned(), state }).set(count);
        }
    }
}

#[cfg(test)]
mod tests;
