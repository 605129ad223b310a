//! `lb-agent run`: waits for whatever may change the picture, and takes a turn.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{error, info, warn};

use crate::{
    agent::{Agent, Settings},
    alarm::Alarm,
    attach::Programs,
    claims::Claims,
    clock,
    explain::{
        Answer,
        socket::{Asked, Questions},
    },
    health::Health,
    http,
    metrics::{Kernel, Metrics},
    model::{BoottimeNs, Interface},
    netlink::{self, Monitor},
    pins::{LockedPins, Pins},
    plan::Plan,
    report::Report,
    sbfd::{Timing, probing::Probing},
    shutdown::Shutdowns,
    source::{ClusterSource, FileSource, Marker, News, Source, SourceKind, node_name},
    tables,
};

/// Between two signs of life to the kernel.
pub const TICK_NS: u64 = 200_000_000;
/// How long the first asks wait for the link-layer addresses of the peers.
const RESOLVE_FOR: Duration = Duration::from_millis(100);

/// What `run` is told on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// What tells the agent what to do.
    pub source: SourceKind,
    /// The configuration file; beside a cluster there need be none.
    pub config: Option<PathBuf>,
    /// The node's name, where the host name or the file does not say it.
    pub node: Option<String>,
    /// What only a cluster is followed by.
    pub cluster: ClusterOptions,
    /// Where metrics are served; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Where `lb-agent explain` asks.
    pub socket: PathBuf,
    /// Where pins lie.
    pub pin_dir: PathBuf,
    /// How peers are probed.
    pub timing: Timing,
    /// Whether the thread that probes gets real-time priority.
    pub realtime: bool,
    /// The rest.
    pub settings: Settings,
}

/// How a cluster is followed.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The namespace of agents, pools and advertisements.
    pub namespace: String,
    /// The class of the Services that are announced; `None`: those without one.
    pub lb_class: Option<String>,
    /// Where the last state of the cluster is kept.
    pub state_dir: PathBuf,
}

/// Runs until SIGTERM or SIGINT. The kernel goes on answering afterwards, for as long as the lease lasts.
///
/// # Errors
/// When the configuration is wrong at the start, another agent has the pins, or the kernel refuses the programs.
pub async fn run(options: Options) -> anyhow::Result<()> {
    // Before the first look, so that no change falls between.
    let monitor = Monitor::new()?;
    let mut interfaces = netlink::interfaces()?;
    let (metrics, health) = (Metrics::new(), Arc::new(Health::default()));
    if let Some(address) = options.metrics_address {
        metrics.add_kernel(Kernel::new(Pins::at(&options.pin_dir)));
        http::serve(address, metrics.clone(), Arc::clone(&health))?;
    }
    let (reports, reported) = watch::channel(Arc::default());
    let (source, plan, node) = open(&options, &interfaces, &metrics, reported).await?;
    health.knows();
    let pins = LockedPins::open(&options.pin_dir, &node)?;
    pins.mark_stale(None)?;
    let mut marker = Marker::new(Pins::at(&options.pin_dir));
    marker.follow(source.followed(clock::boottime_ns()))?;
    raise_memlock_limit();
    let (object, tables, events) = tables::load(&pins.maps())?;
    let programs = Programs::new(object);
    let mut agent = Agent::new(options.settings, &node, pins, programs, tables, clock::boottime_ns())?;
    info!(node, pin_dir = %options.pin_dir.display(), "agent started");
    agent.set_counters(metrics.agent.clone());
    agent.set_plan(plan);
    if matches!(source, Source::Cluster(_)) {
        interfaces = netlink::interfaces()?; // its first word may have taken a while
    }
    agent.set_interfaces(interfaces);
    resolve_peers(&mut agent).await;
    let claims = Claims::new(events).context("watch the ring buffer of claims")?;
    let probing =
        Probing::start(options.timing, options.realtime).context("start the thread that probes peers")?;
    let questions = Questions::listen(&options.socket);
    if let Err(error) = &questions {
        let socket = options.socket.display();
        warn!(%socket, %error, "`lb-agent explain` cannot ask this agent: name a place for its socket by --socket");
    }
    let ends = Ends { monitor, claims, probing, questions: questions.ok(), reports, marker };
    serve(agent, source, ends, &health).await
}

/// What the loop is connected to.
struct Ends {
    monitor: Monitor,
    claims: Claims,
    probing: Probing,
    questions: Option<Questions>,
    /// Without anybody who reads them, no reports are made.
    reports: watch::Sender<Arc<Report>>,
    marker: Marker,
}

/// The next question; without a socket there is none.
async fn next_question(questions: &mut Option<Questions>) -> Option<Asked> {
    match questions {
        Some(questions) => questions.next().await,
        None => std::future::pending().await,
    }
}

/// Publishes what outputs have to know, if it is not what they know.
fn publish(agent: &mut Agent, reports: &watch::Sender<Arc<Report>>, now: BoottimeNs) {
    if let Some(report) = agent.new_report(now) {
        reports.send_if_modified(|known| {
            let is_new = **known != report;
            if is_new {
                *known = Arc::new(report);
            }
            is_new
        });
    }
}

fn answer(agent: &Agent, source: &Source, (question, reply): Asked) {
    let now = clock::boottime_ns();
    let answer = match question.about {
        Some(about) => match source.find(&about, now) {
            Ok(subjects) => agent.explain(subjects, now),
            Err(why) => Answer::Unknown(why),
        },
        None => agent.summary(source.survey(now), now),
    };
    // Whoever asked may have gone.
    let _ = reply.send(answer);
}

/// The source, with its first plan, and the node's name.
async fn open(
    options: &Options,
    interfaces: &[Interface],
    metrics: &Metrics,
    reported: watch::Receiver<Arc<Report>>,
) -> anyhow::Result<(Source, Arc<Plan>, String)> {
    match options.source {
        SourceKind::File => {
            let path = options.config.as_deref();
            let path =
                path.context("no file names the VIPs; give one by --config, or --source kubernetes")?;
            let mut file = FileSource::open(path, options.node.clone())?;
            let (plan, node) = file.first(interfaces)?;
            file.tell_missing(interfaces);
            Ok((Source::File(Box::new(file)), Arc::new(plan), node))
        }
        SourceKind::Kubernetes => {
            let node = node_name(options.node.as_deref(), None)?;
            let config = options.config.as_deref();
            let cluster = &options.cluster;
            let mut cluster = ClusterSource::start(node.clone(), config, cluster, metrics, reported).await?;
            metrics.add_view(cluster.view(Pins::at(&options.pin_dir)));
            let plan = cluster.first().await?;
            Ok((Source::Cluster(Box::new(cluster)), plan, node))
        }
    }
}

/// Peers are known by their link-layer addresses: an answer of theirs must not be taken for a stranger's.
async fn resolve_peers(agent: &mut Agent) {
    let begun = Instant::now();
    while !agent.resolve_peers() && begun.elapsed() < RESOLVE_FOR {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn serve(mut agent: Agent, mut source: Source, ends: Ends, health: &Health) -> anyhow::Result<()> {
    let Ends { monitor, mut claims, mut probing, mut questions, reports, mut marker } = ends;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut shutdowns = Shutdowns::listen();
    let (mut tick, mut due) = (Alarm::new()?, Alarm::new()?);
    let mut next_tick = clock::boottime_ns();
    loop {
        let mut is_tick = false;
        let mut verdict = None;
        tick.set(Some(next_tick))?;
        due.set(agent.next_due())?;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            rung = tick.rings() => {
                rung.context("wait for the next tick")?;
                is_tick = true;
                next_tick = clock::boottime_ns() + TICK_NS;
            }
            changed = monitor.changed() => {
                changed?;
                agent.set_interfaces(netlink::interfaces()?);
                source.tell_missing(agent.interfaces());
            }
            changed = source.changed() => {
                changed?;
                follow(&mut agent, &mut source);
            }
            waited = claims.wait() => waited.context("wait for claims")?,
            changed = probing.changed() => verdict = Some(changed.context("the thread that probes peers has ended")?),
            Some(asked) = next_question(&mut questions) => answer(&agent, &source, asked),
            shutdown = shutdowns.next() => agent.shutting_down(shutdown),
            rung = due.rings() => rung.context("wait for what is due")?,
        }
        // Whatever the reason to wake up: what has been heard comes before what is decided.
        let now = clock::boottime_ns();
        claims.take().iter().for_each(|heard| agent.heard(heard, now));
        let verdicts = verdict.into_iter().chain(std::iter::from_fn(|| probing.try_changed()));
        verdicts.for_each(|(key, liveness)| agent.judged(key, liveness, now));
        if is_tick {
            agent.tick()
        } else {
            agent.turn(now)
        }
        if let Some(seen) = source.carried_out() {
            agent.counters().mapped(seen, clock::boottime_ns());
        }
        // After the turn: a view that came with the first word has been followed by now.
        agent.set_view_stale(source.is_stale(now), now);
        if let Err(error) = marker.follow(source.followed(now)) {
            error!("`lb-agent status` cannot tell how good the view is: {error}");
        }
        if is_tick && reports.receiver_count() > 0 {
            publish(&mut agent, &reports, now);
        }
        if let Some(sessions) = agent.new_sessions(clock::boottime_ns()) {
            probing.set_sessions(sessions);
        }
        health.turned(clock::boottime_ns(), agent.valid_until(), agent.is_attached());
    }
    info!("agent stopped: the kernel answers on until the lease ends");
    Ok(())
}

/// Follows what the source says now.
fn follow(agent: &mut Agent, source: &mut Source) {
    match source.take(agent.interfaces()) {
        News::Nothing => return,
        News::Settings => {}
        News::Plan(plan) => {
            agent.set_plan(plan);
            source.tell_missing(agent.interfaces());
        }
        News::Wrong(problem) => {
            error!("the configuration on disk is not taken, the last valid one stays:\n{problem}");
        }
    }
    if let Err(error) = agent.set_config_problem(source.problem().map(str::to_owned)) {
        error!("{error}");
    }
}

/// Before 5.11, BPF maps count against this limit. Where it cannot be raised, loading says so.
fn raise_memlock_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the struct is alive; the call changes nothing but the limit.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
