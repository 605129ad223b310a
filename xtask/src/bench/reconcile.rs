//! `cargo xtask bench reconcile`: how the agent follows a large cluster. The API is the stand-in, on the same machine; of
//! the cluster's Nodes two are real, and on all others no agent answers.

mod bed;
mod cluster;
mod cpu;
mod events;
mod idle;
mod loss;
mod sync;

use std::time::Duration;

use super::figures::{Figures, Limit, percentile};
use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed,
};
use bed::Bed;
use cluster::{ADVERTISEMENTS, NODES, SERVICES};

const TOOLS: [Needed; 1] = [needed("ip", "iproute2")];

/// Measures, and prints each figure as it comes.
pub(super) fn run(rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench reconcile")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let mut figures = Figures::new(json);
    figures.say(&format!("{SERVICES} Services, {NODES} Nodes, {ADVERTISEMENTS} advertisements"));
    let bed = Bed::new()?;
    let agent = sync::measure(&bed, rounds, &mut figures)?;
    events::measure(&bed, &agent, &mut figures)?;
    idle::measure(&bed, &agent, &mut figures)?;
    loss::measure(&bed, &agent, rounds, &mut figures)?;
    figures.conclude()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
