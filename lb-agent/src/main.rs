//! The agent's command line.

use std::{
    io::{self, IsTerminal as _},
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use lb_agent::{agent::Settings, commands, hook::HookChoice, pins, run, sbfd::Timing, source::SourceKind};
use tracing_subscriber::EnvFilter;

/// MetalLB's port for metrics.
const METRICS_PORT: u16 = 7472;

/// Has the kernel answer ARP and NDP for the virtual IPs that this node holds.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    /// Where maps, links and marks are pinned
    #[arg(long, global = true, default_value = pins::DEFAULT_PATH)]
    pin_dir: PathBuf,
    /// Where the running agent is asked; default: in /run/lb-agent, by the pin directory
    #[arg(long, global = true)]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node agent
    Run(Box<RunArguments>),
    /// Silence this node now, until undrained
    Drain,
    /// End a drain
    Undrain,
    /// Show the source and how good its view is, lease, hooks, VIPs and counters; needs no running agent
    Status {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Tell why a VIP is answered for by this node, or is not
    Explain {
        /// The VIP, or the Service as `namespace/name` or `name`; default: all, one line each
        about: Option<String>,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Remove every program and pin
    Cleanup {
        /// Remove the last state of the cluster from there as well
        #[arg(long)]
        state_dir: Option<PathBuf>,
        /// Go on until told to end, so that whatever started it (a DaemonSet) counts the node as done
        #[arg(long)]
        stay: bool,
    },
    /// Print the CustomResourceDefinitions as YAML, for `kubectl apply -f -`
    Crds,
}

/// How the node agent runs.
#[derive(Args)]
struct RunArguments {
    /// What names the VIPs
    #[arg(long, value_enum, default_value_t = SourceKind::File)]
    source: SourceKind,
    /// The configuration file, read again whenever it changes; with `--source kubernetes` there need be none
    #[arg(long)]
    config: Option<PathBuf>,
    /// The node's name; default: what the file says, else the host name
    #[arg(long, env = "LB_NODE")]
    node: Option<String>,
    /// The namespace of the agents, their pools and advertisements
    #[arg(long, env = "LB_NAMESPACE", default_value = "metallb-system")]
    namespace: String,
    /// Announce the Services of this load balancer class; default: those that have none
    #[arg(long)]
    lb_class: Option<String>,
    /// Where the last state of the cluster is kept, for a restart without its API
    #[arg(long, default_value = "/var/lib/lb-agent")]
    state_dir: PathBuf,
    /// Serve metrics there; default: [::]:7472 with `--source kubernetes`, else nowhere
    #[arg(long)]
    metrics_address: Option<SocketAddr>,
    /// Where on an interface the programs run
    #[arg(long, value_enum, default_value_t = HookChoice::Auto)]
    hook: HookChoice,
    /// How long the kernel goes on answering without the agent, in seconds (3 to 3600)
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(3..=3600))]
    lease_ttl: u64,
    /// Time between two S-BFD probes of a peer, in ms (5 to 10000)
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(5..=10_000))]
    sbfd_interval: u64,
    /// S-BFD probes in a row that may go without an answer before a peer counts as down (2 to 50)
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=50))]
    sbfd_multiplier: u8,
    /// Give the thread that probes peers real-time priority (needs CAP_SYS_NICE)
    #[arg(long)]
    sbfd_realtime: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lb-agent: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each said once: many messages name their cause already.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match () {
        () if told.is_empty() => cause,
        () if told.contains(&cause) => told,
        () => format!("{told}: {cause}"),
    })
}

fn execute(Arguments { pin_dir, socket, command }: Arguments) -> anyhow::Result<()> {
    let socket = socket.unwrap_or_else(|| commands::default_socket(&pin_dir));
    match command {
        Command::Run(arguments) => run_agent(*arguments, pin_dir, socket),
        Command::Drain => commands::drain(&pin_dir),
        Command::Undrain => commands::undrain(&pin_dir),
        Command::Status { output } => commands::status(&pin_dir, matches!(output, Output::Json)),
        Command::Cleanup { state_dir, stay } => {
            commands::cleanup(&pin_dir, &socket)?;
            state_dir.as_deref().map_or(Ok(()), commands::forget)?;
            if stay { commands::stay() } else { Ok(()) }
        }
        Command::Crds => commands::crds(),
        Command::Explain { about, output } => {
            commands::explain(&socket, about, matches!(output, Output::Json))
        }
    }
}

fn run_agent(arguments: RunArguments, pin_dir: PathBuf, socket: PathBuf) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("LB_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,kube=error,kube_runtime=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    // One thread: the decision loop itself renews the lease, and nothing outlives it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run::run(options(arguments, pin_dir, socket)?))
}

fn options(arguments: RunArguments, pin_dir: PathBuf, socket: PathBuf) -> anyhow::Result<run::Options> {
    let RunArguments {
        source,
        config,
        node,
        namespace,
        lb_class,
        state_dir,
        metrics_address,
        hook,
        lease_ttl,
        sbfd_interval,
        sbfd_multiplier,
        sbfd_realtime: realtime,
    } = arguments;
    let lease_ttl_ns = u64::try_from(Duration::from_secs(lease_ttl).as_nanos())?;
    let metrics_address = match source {
        SourceKind::Kubernetes => metrics_address.or(Some((Ipv6Addr::UNSPECIFIED, METRICS_PORT).into())),
        SourceKind::File => metrics_address,
    };
    Ok(run::Options {
        source,
        config,
        node,
        cluster: run::ClusterOptions { namespace, lb_class, state_dir },
        metrics_address,
        socket,
        pin_dir,
        timing: Timing { interval_ns: sbfd_interval * 1_000_000, detect_mult: sbfd_multiplier },
        realtime,
        settings: Settings { hook, lease_ttl_ns },
    })
}
