//! `cargo xtask bench`: the figures that the project states, each measured against its limit.

mod answers;
mod failover;
mod figures;
mod reconcile;
mod scale;
mod start;
mod tax;

use answers::Protocol;
use clap::{Args, Subcommand};

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// What an ARP answer costs, the kernel's own ARP beside it (root; about a minute)
    Arp {
        /// How to measure
        #[command(flatten)]
        options: Options,
    },
    /// What an NDP answer costs, the kernel's own NDP beside it (root; about a minute)
    Ndp {
        /// How to measure
        #[command(flatten)]
        options: Options,
    },
    /// What the agent takes with 10 000 VIPs: time, memory, wake-ups (root; about a minute)
    Start {
        /// How to measure
        #[command(flatten)]
        options: Options,
    },
    /// What the programs cost traffic that is none of theirs (root; about a minute)
    Tax {
        /// How to measure
        #[command(flatten)]
        options: Options,
    },
    /// How long a client goes without an answer when the holder fails, keepalived beside it (root; about 15 minutes)
    Failover {
        /// How often the holder's port is cut for each detection time; the other faults come a tenth as often
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Print the figures as JSON, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// How the agent follows a large cluster: first sync, one change, a lost node, idleness (root; about 5 minutes)
    Reconcile {
        /// How often an agent is started, and a node cut off
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Print the figures as JSON, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// What the core costs with 1 000 nodes and 10 000 VIPs, and how they fare when a rack is lost (about a minute)
    Scale {
        /// Print the figures as JSON, and nothing else
        #[arg(long)]
        json: bool,
    },
}

/// What the shorter benches are told.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// How often each thing is measured, in turn; figures are medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(7..))]
    rounds: u32,
    /// Print the figures as JSON, and nothing else
    #[arg(long)]
    json: bool,
}

/// Measures.
///
/// # Errors
/// When something cannot be set up, or a figure misses its limit.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    match *bench {
        Bench::Arp { options: Options { rounds, json } } => answers::run(Protocol::Arp, rounds, json),
        Bench::Ndp { options: Options { rounds, json } } => answers::run(Protocol::Ndp, rounds, json),
        Bench::Start { options: Options { rounds, json } } => start::run(rounds, json),
        Bench::Tax { options: Options { rounds, json } } => tax::run(rounds, json),
        Bench::Failover { rounds, json } => failover::run(rounds, json),
        Bench::Reconcile { rounds, json } => reconcile::run(rounds, json),
        Bench::Scale { json } => scale::run(json),
    }
}
