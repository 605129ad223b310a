//! `lb-agent run`: waits for whatever may change the picture, and takes a turn.

use std::{
    future,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info, warn};

use crate::{
    agent::{Agent, Plan, Settings},
    attach::Programs,
    claims::Claims,
    clock,
    config::{self, Config},
    model::{BoottimeNs, Interface},
    netlink::{self, Monitor},
    pins::LockedPins,
    tables,
    watch::FileWatch,
    wire::Listener,
    wishes::Vips,
};

/// Between two renewals of the lease.
const TICK: Duration = Duration::from_secs(1);

/// What `run` is told on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Where pins lie.
    pub pin_dir: PathBuf,
    /// The rest.
    pub settings: Settings,
}

/// Runs until SIGTERM or SIGINT. The kernel goes on answering afterwards, for as long as the lease lasts.
///
/// # Errors
/// When the configuration is wrong at the start, another agent has the pins, or the kernel refuses the programs.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&options.config)?;
    let interfaces = netlink::interfaces()?;
    let config = file.load(&interfaces)?;
    let node = node_name(&config)?;
    file.node = Some(node.clone());
    let pins = LockedPins::open(&options.pin_dir, &node)?;
    pins.mark_stale(None)?;
    raise_memlock_limit();
    let (object, tables, events) = tables::load(&pins.maps())?;
    let mut agent = Agent::new(options.settings, pins, Programs::new(object), tables, clock::boottime_ns())?;
    info!(node, pin_dir = %options.pin_dir.display(), "agent started");
    agent.set_plan(plan(&config));
    file.config = config;
    file.tell_missing(&interfaces);
    agent.set_interfaces(interfaces);
    serve(agent, file, Claims::new(events).context("watch the ring buffer of claims")?).await
}

async fn serve(mut agent: Agent, mut file: ConfigFile, mut claims: Claims) -> anyhow::Result<()> {
    let monitor = Monitor::new()?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listener = None;
    loop {
        match (agent.is_listening(), &listener) {
            (true, None) => listener = Some(Listener::new().context("open a socket to hear answers")?),
            (false, Some(_)) => listener = None,
            _ => {}
        }
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = tick.tick() => { agent.tick(); continue }
            changed = monitor.changed() => {
                changed?;
                agent.set_interfaces(netlink::interfaces()?);
                file.tell_missing(agent.interfaces());
            }
            changed = file.watch.changed() => {
                changed.context("watch the configuration file")?;
                reload(&mut agent, &mut file);
            }
            waited = claims.wait() => {
                waited.context("wait for claims")?;
                let now = clock::boottime_ns();
                for (place, station) in claims.take() {
                    agent.claimed(place, station, now);
                }
            }
            waited = answers(listener.as_ref()) => {
                waited.context("wait for answers")?;
                let now = clock::boottime_ns();
                for (place, station) in listener.iter().flat_map(Listener::heard) {
                    agent.heard(place, station, now);
                }
            }
            () = until(agent.next_due()) => {}
        }
        agent.turn(clock::boottime_ns());
    }
    info!("agent stopped: the kernel answers on until the lease ends");
    Ok(())
}

async fn answers(listener: Option<&Listener>) -> std::io::Result<()> {
    match listener {
        Some(listener) => listener.wait().await,
        None => future::pending().await,
    }
}

/// Sleeps until a time of CLOCK_BOOTTIME. Tokio's clock stands still while the machine sleeps; the tick, which is
/// late then, makes up for it.
async fn until(due: Option<BoottimeNs>) {
    match due {
        Some(due) => {
            let wait = Duration::from_nanos(due.saturating_sub(clock::boottime_ns()));
            sleep_until(Instant::now() + wait).await;
        }
        None => future::pending().await,
    }
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
    Plan {
        interfaces: config.interface_names(),
        vips: Vips {
            announce: config.vips.addresses().collect(),
            suppress: config.suppress.addresses().collect(),
        },
    }
}

/// Before 5.11, BPF maps count against this limit. Where it cannot be raised, loading says so.
fn raise_memlock_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the struct is alive; the call changes nothing but the limit.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
