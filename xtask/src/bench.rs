//! `cargo xtask bench`: the figures that the project states, each measured against its limit.

mod failover;
mod figures;

use clap::Subcommand;

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// How long a client goes without an answer when the holder fails, keepalived beside it (root; about 15 minutes)
    Failover {
        /// How often the holder's port is cut for each detection time; the other faults come a tenth as often
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Print the figures as JSON, and nothing else
        #[arg(long)]
        json: bool,
    },
}

/// Measures.
///
/// # Errors
/// When something cannot be set up, or a figure misses its limit.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    match *bench {
        Bench::Failover { rounds, json } => failover::run(rounds, json),
    }
}
