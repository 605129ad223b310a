//! The source of the cluster over real connections.

mod fake;
mod telling;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use fake::Fake;
use kube::Config;
use lb_agent::{
    clock,
    cluster::selection::Options,
    kubernetes::{Settings, Source, keeper::Published},
    metrics::Metrics,
    report::Report,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch::Receiver;

const SERVICES: &str = "/api/v1/services";
const NODES: &str = "/api/v1/nodes";
const POOLS: &str = "/apis/metallb.io/v1beta1/ipaddresspools";
/// Longer than any wait between two attempts that a test provokes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A source with its server and its disk.
struct Bed {
    api: Fake,
    disk: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { api: Fake::start(), disk: tempfile::tempdir().expect("a directory"), runtime }
    }

    fn source(&self) -> Source {
        let (_, reports) = tokio::sync::watch::channel(Arc::default());
        self.source_with(reports)
    }

    /// With what the decision loop reports.
    fn source_with(&self, reports: Receiver<Arc<Report>>) -> Source {
        let url = format!("http://{}", self.api.address).parse().expect("a URL");
        let options = Options { me: "n1".to_owned(), ..Options::default() };
        let settings =
            Settings { namespace: "lb".to_owned(), state_dir: self.disk.path().to_owned(), options };
        Source::start(Config::new(url), settings, &Metrics::new(), reports).expect("a source")
    }

    /// Waits until what is published meets a condition.
    fn wait(&self, source: &mut Source, what: &str, is_met: impl Fn(&Published) -> bool) -> Published {
        self.runtime.block_on(async {
            let found = tokio::time::timeout(PATIENCE, async {
                loop {
                    if let Some(published) = source.take().filter(&is_met) {
                        return published;
                    }
                    source.changed().await.expect("the thread lives");
                }
            });
            found.await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
        })
    }

    /// Whether nothing is published within this time.
    fn is_quiet_for(&self, source: &mut Source, time: Duration) -> bool {
        self.runtime.block_on(async { tokio::time::timeout(time, source.changed()).await.is_err() })
    }
}

fn service(number: u8, name: &str) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name, "uid": name},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": format!("10.0.0.{number}")}]}},
    })
}

fn node(name: &str, heartbeat: u32) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": format!("2026-01-01T00:00:{heartbeat:02}Z")}]},
    })
}

fn addresses(published: &Published) -> Vec<IpAddr> {
    let verdicts = published.selection.services.values();
    verdicts.flat_map(|verdict| verdict.addresses.iter().map(|verdict| verdict.address)).collect()
}

fn is_from_api(published: &Published) -> bool {
    !published.is_from_disk
}

#[test]
fn lists_come_by_pages_and_count_when_all_of_them_have_come() {
    let bed = Bed::new();
    bed.api.put_all(SERVICES, (0..1_200).map(|number| service(1, &format!("s{number}"))));
    let mut source = bed.source();
    let first = bed.wait(&mut source, "the first selection", |_| true);
    assert_eq!((first.is_from_disk, first.selection.services.len()), (false, 1_200));
    let lists: Vec<String> =
        bed.api.take_requests(SERVICES).into_iter().filter(|r| !r.contains("watch=")).collect();
    let pages = lists.iter().filter(|request| request.contains("limit=500")).count();
    let selected =
        lists.iter().filter(|request| request.contains("fieldSelector=spec.type%3DLoadBalancer")).count();
    assert_eq!((pages, selected), (3, 3), "{lists:?}");
}

#[test]
fn a_change_is_published_at_once_and_a_heartbeat_is_not() {
    let bed = Bed::new();
    bed.api.put(NODES, node("n1", 0));
    let mut source = bed.source();
    bed.wait(&mut source, "the first selection", is_from_api);
    bed.api.put(SERVICES, service(1, "web"));
    let begun = Instant::now();
    let published = bed.wait(&mut source, "the Service", |published| !addresses(published).is_empty());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(addresses(&published), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    (1..20).for_each(|heartbeat| bed.api.put(NODES, node("n1", heartbeat)));
    assert!(bed.is_quiet_for(&mut source, Duration::from_millis(500)));
}

#[test]
fn a_watch_that_breaks_off_goes_on_from_there() {
    let bed = Bed::new();
    let mut source = bed.source();
    bed.wait(&mut source, "the first selection", is_from_api);
    bed.api.put(SERVICES, service(1, "web"));
    bed.wait(&mut source, "the first Service", |published| published.selection.services.len() == 1);
    bed.api.take_requests("");
    bed.api.cut();
    bed.api.put(SERVICES, service(2, "db"));
    bed.wait(&mut source, "the second Service", |published| published.selection.services.len() == 2);
    let requests = bed.api.take_requests(SERVICES);
    assert!(requests.iter().all(|request| request.contains("watch=")), "{requests:?}");
}

#[test]
fn what_the_server_has_forgotten_is_listed_anew() {
    let bed = Bed::new();
    let mut source = bed.source();
    bed.wait(&mut source, "the first selection", is_from_api);
    bed.api.cut();
    bed.api.put(SERVICES, service(1, "web"));
    bed.api.compact();
    let published = bed.wait(&mut source, "the Service", |published| !addresses(published).is_empty());
    assert_eq!(published.selection.services.len(), 1);
}

#[test]
fn the_last_state_holds_while_the_api_is_away_and_over_a_restart() {
    let bed = Bed::new();
    bed.api.put(SERVICES, service(1, "web"));
    let mut source = bed.source();
    bed.wait(&mut source, "the first selection", is_from_api);
    bed.api.set_down(true);
    assert!(bed.is_quiet_for(&mut source, Duration::from_millis(1_500)));
    let now = clock::boottime_ns();
    let in_11_s = now + 11_000_000_000;
    assert_eq!((source.is_stale(now), source.is_stale(in_11_s)), (false, true));

    let mut restarted = bed.source();
    let known = bed.wait(&mut restarted, "what is on disk", |_| true);
    assert_eq!((known.is_from_disk, addresses(&known)), (true, vec!["10.0.0.1".parse::<IpAddr>().unwrap()]));
    assert!(restarted.is_stale(clock::boottime_ns()));

    bed.api.put(SERVICES, service(2, "db"));
    bed.api.set_down(false);
    let published = bed.wait(&mut restarted, "the API", is_from_api);
    assert_eq!(published.selection.services.len(), 2);
    assert!(!restarted.is_stale(clock::boottime_ns()));
}

#[test]
fn an_object_that_cannot_be_read_keeps_no_other_from_its_work() {
    let bed = Bed::new();
    let pool = |name: &str, addresses: Value| json!({"metadata": {"namespace": "lb", "name": name}, "spec": {"addresses": addresses}});
    bed.api.put(POOLS, pool("broken", json!(5)));
    bed.api.put(POOLS, pool("good", json!(["10.0.0.0/24"])));
    bed.api.put(SERVICES, service(1, "web"));
    let mut source = bed.source();
    let published = bed.wait(&mut source, "the first selection", is_from_api);
    let pools: Vec<_> = published
        .selection
        .services
        .values()
        .flat_map(|v| v.addresses.iter().map(|a| a.pool.clone()))
        .collect();
    assert_eq!(pools, [Some("good".into())]);
    let problems: Vec<&str> = published.selection.problems.iter().map(|problem| &*problem.name).collect();
    assert_eq!(problems, ["broken"]);
}

/// Waits until the view is stale, or not; says how long that took.
fn becomes_stale(source: &Source, is_stale: bool) -> Duration {
    let begun = Instant::now();
    while source.is_stale(clock::boottime_ns()) != is_stale {
        assert!(begun.elapsed() < PATIENCE, "is stale: {}, after {PATIENCE:?}", !is_stale);
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

#[test]
fn a_quiet_api_is_word_and_one_that_hangs_is_none() {
    let bed = Bed::new();
    let mut source = bed.source();
    bed.wait(&mut source, "the first selection", is_from_api);
    // Longer than the view may be without word.
    let quiet_until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < quiet_until {
        assert!(!source.is_stale(clock::boottime_ns()), "quiet, and not dead");
        std::thread::sleep(Duration::from_millis(100));
    }
    bed.api.mute();
    let took = becomes_stale(&source, true);
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(11), "{took:?}");
}
