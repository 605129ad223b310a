//! What the core costs on a large segment: 1 000 nodes, 10 000 VIPs. Run by `cargo xtask bench scale`.

mod segment;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use lb_agent::{
    choose::{Need, choose},
    election::NodeId,
    mirror::Mirror,
    sbfd::{Liveness, Timing},
};
use segment::{IFINDEX, NODES, Segment, UNITS};

/// The design computes about 110 sessions a node.
const MAX_SESSIONS: usize = 150;
/// The orders of all units: two bytes a node and unit, and a little.
const MAX_RANKS_BYTES: usize = 24 << 20;
/// From the verdict about a lost node to the writes for the kernel.
const MAX_RECOMPUTE: Duration = Duration::from_millis(50);
/// Nodes whose sessions are computed.
const SAMPLE: usize = 20;
/// Runs of a measurement, of which the slowest counts.
const RUNS: usize = 5;

/// One line of the table.
struct Line {
    what: &'static str,
    is: String,
    limit: String,
    ok: bool,
}

fn main() -> ExitCode {
    let begun = Instant::now();
    let segment = Segment::new();
    println!("{NODES} nodes, {UNITS} VIPs; orders computed in {} ms\n", begun.elapsed().as_millis());
    let mut lines = sessions(&segment);
    lines.push(memory(&segment));
    lines.push(recompute(&segment));
    println!("{:<58}  {:>14}  {:>14}  VERDICT", "WHAT", "IS", "LIMIT");
    for Line { what, is, limit, ok } in &lines {
        println!("{what:<58}  {is:>14}  {limit:>14}  {}", if *ok { "ok" } else { "MISSED" });
    }
    if lines.iter().all(|line| line.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sessions that a node has when every VIP is with the first in its order.
fn sessions(segment: &Segment) -> Vec<Line> {
    let counts: Vec<usize> = (0..SAMPLE)
        .map(|number| {
            let me = NodeId::try_from(number * NODES / SAMPLE).expect("a node");
            let holding = segment.settled(me, 0..UNITS);
            let needs: Vec<Need<'_>> = holding.needs(IFINDEX).collect();
            choose(&needs, |_| None, &Default::default()).len()
        })
        .collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let mean = counts.iter().sum::<usize>() / counts.len();
    // Between two probes lies seven eighths of the interval in the mean: up to a quarter is taken off at random.
    let per_second = |sessions: usize| sessions as u64 * 8_000_000_000 / (7 * Timing::default().interval_ns);
    vec![
        Line {
            what: "sessions a node, mean of a sample",
            is: mean.to_string(),
            limit: MAX_SESSIONS.to_string(),
            ok: mean <= MAX_SESSIONS,
        },
        Line {
            what: "sessions a node, most of a sample",
            is: most.to_string(),
            limit: MAX_SESSIONS.to_string(),
            ok: most <= MAX_SESSIONS,
        },
        Line {
            what: "probes sent a second and node at 50 ms x 3",
            is: per_second(most).to_string(),
            limit: per_second(MAX_SESSIONS).to_string(),
            ok: most <= MAX_SESSIONS,
        },
    ]
}

fn memory(segment: &Segment) -> Line {
    let bytes = segment.ranks_bytes();
    Line {
        what: "bytes of all orders, in each agent",
        is: bytes.to_string(),
        limit: MAX_RANKS_BYTES.to_string(),
        ok: bytes <= MAX_RANKS_BYTES,
    }
}

/// At the node that takes most when one is lost: from the verdict to the writes.
fn recompute(segment: &Segment) -> Line {
    let (lost, heir) = segment.worst_loss();
    let mut slowest = Duration::ZERO;
    let mut taken = 0;
    for _ in 0..RUNS {
        let mut holding = segment.settled(heir, 0..UNITS);
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
    println!("node {heir} takes {taken} VIPs when node {lost} is lost\n");
    Line {
        what: "from the verdict about a lost node to the map, slowest",
        is: format!("{} us", slowest.as_micros()),
        limit: format!("{} us", MAX_RECOMPUTE.as_micros()),
        ok: slowest <= MAX_RECOMPUTE,
    }
}
