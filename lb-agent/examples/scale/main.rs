//! What the core costs on a large segment: 1 000 nodes, 10 000 VIPs. `cargo xtask bench scale` runs it, and judges what it
//! prints: one JSON object, in times of ns and sizes of bytes.

mod rack;
mod segment;

use std::time::{Duration, Instant};

use lb_agent::{
    choose::{Need, choose},
    election::NodeId,
    mirror::Mirror,
    sbfd::{Liveness, Timing},
};
use segment::{IFINDEX, NODES, Segment, UNITS, UP};
use serde_json::json;

/// Nodes whose sessions are computed.
const SAMPLE: usize = 20;
/// Runs of a measurement, of which the slowest counts.
const RUNS: usize = 5;

fn main() {
    let begun = Instant::now();
    let segment = Segment::new();
    let orders_ns = nanoseconds(begun.elapsed());
    let sessions = sessions(&segment);
    let most = sessions.iter().copied().max().unwrap_or(0);
    let (recompute, taken) = recompute(&segment);
    let rack::Outcome { vips, nodes, takings, not_served, served_ns, quiet_ns } = rack::lose(&segment);
    let figures = json!({
        "orders_ns": orders_ns,
        "ranks_bytes": segment.ranks_bytes(),
        "sessions_mean": sessions.iter().sum::<usize>() / sessions.len(),
        "sessions_most": most,
        "probes_a_second": probes_a_second(most),
        "recompute_ns": nanoseconds(recompute),
        "recompute_vips": taken,
        "rack_vips": vips,
        "rack_nodes": nodes,
        "rack_takings": takings,
        "rack_not_served": not_served,
        "rack_served_ns": served_ns,
        "rack_quiet_ns": quiet_ns,
    });
    println!("{figures}");
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How many sessions some nodes have when every VIP is with the first in its order.
fn sessions(segment: &Segment) -> Vec<usize> {
    let all: Vec<usize> = (0..UNITS).collect();
    let count = |number: usize| {
        let me = NodeId::try_from(number * NODES / SAMPLE).expect("a node");
        let holding = segment.settled(me, &all, Some(UP));
        let needs: Vec<Need<'_>> = holding.needs(IFINDEX).collect();
        choose(&needs, |_| None, &Default::default()).len()
    };
    (0..SAMPLE).map(count).collect()
}

/// Between two probes lies seven eighths of the interval in the mean: up to a quarter is taken off at random.
fn probes_a_second(sessions: usize) -> u64 {
    sessions as u64 * 8_000_000_000 / (7 * Timing::default().interval_ns)
}

/// At the node that takes most when one is lost: from the verdict to the writes, and how many VIPs it takes.
fn recompute(segment: &Segment) -> (Duration, usize) {
    let (lost, heir) = segment.worst_loss();
    let all: Vec<usize> = (0..UNITS).collect();
    let mut slowest = Duration::ZERO;
    let mut taken = 0;
    for _ in 0..RUNS {
        let mut holding = segment.settled(heir, &all, Some(UP));
        let mut mirror = Mirror::default();
        let write = |ops: &mut usize| {
            *ops += 1;
            Ok::<(), ()>(())
        };
        let mut before = 0;
        let _ = mirror.write(&mut holding, |_| write(&mut before), segment::NOW);
        let (begun, mut ops) = (Instant::now(), 0);
        holding.liveness_changed(IFINDEX, lost, Some(Liveness::Down), segment::NOW);
        let messages = holding.due(segment::NOW, usize::MAX);
        let _ = mirror.write(&mut holding, |_| write(&mut ops), segment::NOW);
        slowest = slowest.max(begun.elapsed());
        assert!(ops > 0 && messages.len() >= ops, "the heir takes over");
        taken = ops;
    }
    (slowest, taken)
}
