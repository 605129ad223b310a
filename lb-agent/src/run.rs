//! `lb-agent run`: waits for whatever may change the picture, and takes a turn.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};
use tracing::{error, info, warn};

use crate::{
    agent::{Agent, Settings},
    alarm::Alarm,
    attach::Programs,
    claims::Claims,
    clock,
    config::{self, Config},
    election,
    model::Interface,
    netlink::{self, Monitor},
    pins::LockedPins,
    plan::{Interfaces, Plan, PlannedUnit},
    sbfd::{Timing, probing::Probing},
    shutdown::Shutdowns,
    tables,
    watch::FileWatch,
};

/// Between two signs of life to the kernel.
pub const TICK_NS: u64 = 200_000_000;
/// How long the first asks wait for the link-layer addresses of the peers.
const RESOLVE_FOR: Duration = Duration::from_millis(100);

/// What `run` is told on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Where pins lie.
    pub pin_dir: PathBuf,
    /// How peers are probed.
    pub timing: Timing,
    /// Whether the thread that probes gets real-time priority.
    pub realtime: bool,
    /// The rest.
    pub settings: Settings,
}

/// Runs until SIGTERM or SIGINT. The kernel goes on answering afterwards, for as long as the lease lasts.
///
/// # Errors
/// When the configuration is wrong at the start, another agent has the pins, or the kernel refuses the programs.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&options.config)?;
    // Before the first look, so that no change falls between.
    let monitor = Monitor::new()?;
    let interfaces = netlink::interfaces()?;
    let config = file.load(&interfaces)?;
    info!(file = %options.config.display(), vips = config.vips.addresses().count(), "configuration read");
    let node = node_name(&config)?;
    file.node = Some(node.clone());
    let pins = LockedPins::open(&options.pin_dir, &node)?;
    pins.mark_stale(None)?;
    raise_memlock_limit();
    let (object, tables, events) = tables::load(&pins.maps())?;
    let programs = Programs::new(object);
    let mut agent = Agent::new(options.settings, &node, pins, programs, tables, clock::boottime_ns())?;
    info!(node, pin_dir = %options.pin_dir.display(), "agent started");
    agent.set_plan(plan(&config));
    file.config = config;
    file.tell_missing(&interfaces);
    agent.set_interfaces(interfaces);
    resolve_peers(&mut agent).await;
    let claims = Claims::new(events).context("watch the ring buffer of claims")?;
    let probing =
        Probing::start(options.timing, options.realtime).context("start the thread that probes peers")?;
    serve(agent, file, monitor, claims, probing).await
}

/// Peers are known by their link-layer addresses: an answer of theirs must not be taken for a stranger's.
async fn resolve_peers(agent: &mut Agent) {
    let begun = Instant::now();
    while !agent.resolve_peers() && begun.elapsed() < RESOLVE_FOR {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn serve(
    mut agent: Agent,
    mut file: ConfigFile,
    monitor: Monitor,
    mut claims: Claims,
    mut probing: Probing,
) -> anyhow::Result<()> {
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
                file.tell_missing(agent.interfaces());
            }
            changed = file.watch.changed() => {
                changed.context("watch the configuration file")?;
                reload(&mut agent, &mut file);
            }
            waited = claims.wait() => waited.context("wait for claims")?,
            changed = probing.changed() => verdict = Some(changed.context("the thread that probes peers has ended")?),
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
        if let Some(sessions) = agent.new_sessions(clock::boottime_ns()) {
            probing.set_sessions(sessions);
        }
    }
    info!("agent stopped: the kernel answers on until the lease ends");
    Ok(())
}

fn reload(agent: &mut Agent, file: &mut ConfigFile) {
    let result = match file.load_if_changed(agent.interfaces()) {
        Ok(None) => return,
        Ok(Some(config)) => {
            info!(file = %file.path.display(), "configuration reloaded");
            agent.set_plan(plan(&config));
            file.config = config;
            file.tell_missing(agent.interfaces());
            agent.pins().mark_stale(None)
        }
        Err(problem) => {
            let problem = format!("{problem:#}");
            error!("the configuration on disk is not taken, the last valid one stays:\n{problem}");
            agent.pins().mark_stale(Some(&problem))
        }
    };
    if let Err(error) = result {
        error!("{error}");
    }
}

/// The configuration file, and what was last read from it.
struct ConfigFile {
    path: PathBuf,
    watch: FileWatch,
    /// The node's name, once it is settled: it cannot change while the agent runs.
    node: Option<String>,
    /// The text last looked at, whether it was taken or not.
    seen: Option<String>,
    /// The last valid configuration.
    config: Config,
    /// What was last told of interfaces that are not there.
    missing: Option<String>,
}

impl ConfigFile {
    /// Begins to watch before the first read, so that no change falls between.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let watch = FileWatch::new(path)
            .with_context(|| format!("watch the directory of the configuration file {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            watch,
            node: None,
            seen: None,
            config: Config::default(),
            missing: None,
        })
    }

    fn load(&mut self, interfaces: &[Interface]) -> anyhow::Result<Config> {
        self.seen = None;
        let text = config::read(&self.path)?;
        let name = self.path.display().to_string();
        self.seen = Some(text.clone());
        let config = Config::parse(&name, &text)?;
        config.check(&name, interfaces, netlink::default_route_interface().as_deref())?;
        if let (Some(node), Ok(new)) = (&self.node, node_name(&config))
            && *node != new
        {
            anyhow::bail!("{name}: the node's name changes from {node} to {new}; restart the agent for that");
        }
        Ok(config)
    }

    /// Says which interfaces of the configuration are not there, once.
    fn tell_missing(&mut self, interfaces: &[Interface]) {
        let name = self.path.display().to_string();
        let missing = match self.config.missing_interfaces(&name, interfaces) {
            None if self.config.interfaces.is_none() && netlink::default_route_interface().is_none() => {
                Some(format!(
                    "{name}: there is no default route to take the interface from; name one in `interfaces`"
                ))
            }
            missing => missing.map(|problems| problems.to_string()),
        };
        if let Some(missing) = missing.as_ref().filter(|_| missing != self.missing) {
            warn!("{missing}");
        }
        self.missing = missing;
    }

    /// `None` when the text is the one that was looked at last.
    fn load_if_changed(&mut self, interfaces: &[Interface]) -> anyhow::Result<Option<Config>> {
        if self.seen.is_some() && config::read(&self.path).ok() == self.seen {
            return Ok(None);
        }
        self.load(interfaces).map(Some)
    }
}

fn node_name(config: &Config) -> anyhow::Result<String> {
    match &config.node {
        Some(node) => Ok(node.clone()),
        None => {
            let name = nix::unistd::gethostname().context("read the host name")?;
            name.into_string().ok().context("the host name is not UTF-8; set `node` in the configuration")
        }
    }
}

fn plan(config: &Config) -> Plan {
    let nodes = config.nodes.as_ref();
    Plan {
        interfaces: config.interface_names().map_or(Interfaces::OfDefaultRoute, Interfaces::Named),
        nodes: nodes.map(|nodes| nodes.iter().map(|(node, _)| node.clone()).collect()),
        units: config.vips.units().into_iter().filter_map(planned_unit).collect(),
        suppress: config.suppress.addresses().collect(),
        failback: config.failback,
    }
}

/// A unit that each node of the file may announce, wherever the file says.
fn planned_unit(addresses: Arc<[IpAddr]>) -> Option<Arc<PlannedUnit>> {
    let key = election::key(&addresses)?;
    Some(Arc::new(PlannedUnit { addresses, key, candidates: None, interfaces: None }))
}

/// Before 5.11, BPF maps count against this limit. Where it cannot be raised, loading says so.
fn raise_memlock_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the struct is alive; the call changes nothing but the limit.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
