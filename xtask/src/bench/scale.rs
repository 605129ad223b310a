//! `cargo xtask bench scale`: the core on a large segment. It runs in a program of lb-agent's own, which needs the BPF
//! object to be there.

use anyhow::Context as _;
use serde::Deserialize;

use super::figures::{Figures, Limit};
use crate::{
    ebpf,
    exec::{cargo, output},
};

/// The design computes about 110 sessions a node.
const MAX_SESSIONS: f64 = 150.0;
/// The orders of all VIPs: two bytes a node and VIP, and a little.
const MAX_RANKS_MIB: f64 = 24.0;
/// From the verdict about a lost node to the writes for the kernel.
const MAX_RECOMPUTE_MS: f64 = 50.0;
/// Detection takes 200 ms at most by default; a predecessor that was lost too and not probed so far takes 150 ms more,
/// and each node that takes over 50 ms.
const MAX_SERVED_MS: f64 = 400.0;
/// Nothing is in dispute once each VIP has its holder.
const MAX_QUIET_MS: f64 = MAX_SERVED_MS;

/// What the program prints: times in ns, sizes in bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    orders_ns: f64,
    ranks_bytes: f64,
    sessions_mean: f64,
    sessions_most: f64,
    probes_a_second: f64,
    recompute_ns: f64,
    recompute_vips: f64,
    rack_vips: f64,
    rack_nodes: f64,
    rack_takings: f64,
    rack_not_served: f64,
    rack_served_ns: f64,
    rack_quiet_ns: f64,
}

/// Builds and runs it, and judges each figure.
///
/// # Errors
/// When it does not build, or a limit is missed.
pub(super) fn run(json: bool) -> anyhow::Result<()> {
    ebpf::build(false)?;
    let mut figures = Figures::new(json);
    figures.say("1 000 nodes, 10 000 VIPs: the core of one node");
    let printed =
        output(cargo().args(["run", "--quiet", "--release", "--package", "lb-agent", "--example", "scale"]))?;
    let measured = serde_json::from_str(&printed).context("read what the example `scale` prints")?;
    judge(&measured, &mut figures);
    figures.conclude()
}

fn judge(measured: &Measured, figures: &mut Figures) {
    let ms = |ns: f64| ns / 1e6;
    let Measured { orders_ns, ranks_bytes, sessions_mean, sessions_most, probes_a_second, .. } = *measured;
    figures.add("orders of all VIPs computed", ms(orders_ns), "ms", Limit::None);
    figures.add(
        "orders of all VIPs kept",
        ranks_bytes / f64::from(1 << 20),
        "MiB",
        Limit::AtMost(MAX_RANKS_MIB),
    );
    figures.add("sessions a node, mean of 20 nodes", sessions_mean, "", Limit::AtMost(MAX_SESSIONS));
    figures.add("sessions a node, most of 20 nodes", sessions_most, "", Limit::AtMost(MAX_SESSIONS));
    figures.add("probes a second and node, most of 20 nodes", probes_a_second, "", Limit::None);
    let Measured { recompute_ns, recompute_vips, .. } = *measured;
    figures.add(
        format!("from a verdict to the map, {recompute_vips} VIPs taken, slowest of 5"),
        ms(recompute_ns),
        "ms",
        Limit::AtMost(MAX_RECOMPUTE_MS),
    );
    let Measured { rack_vips, rack_nodes, rack_takings, rack_not_served, .. } = *measured;
    figures
        .say(&format!("A rack of 40 nodes is lost with {rack_vips} VIPs; {rack_nodes} nodes are simulated"));
    figures.add("VIPs without exactly one holder in the end", rack_not_served, "", Limit::AtMost(0.0));
    figures.add("times that a VIP was taken, for each VIP", rack_takings / rack_vips, "", Limit::None);
    let Measured { rack_served_ns, rack_quiet_ns, .. } = *measured;
    figures.add(
        "until each VIP has one holder for good",
        ms(rack_served_ns),
        "ms",
        Limit::AtMost(MAX_SERVED_MS),
    );
    figures.add(
        "until nothing is said beyond the schedule of a gain",
        ms(rack_quiet_ns),
        "ms",
        Limit::AtMost(MAX_QUIET_MS),
    );
}
