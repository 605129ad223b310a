//! A node is lost that holds half of the VIPs, with the API at hand and without it.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    Figures, Limit,
    bed::{Bed, Map, all, open, settled},
    cluster::SERVICES,
    ms, percentile,
};
use crate::testbed::{Agent, Probers, api::Reach};

/// VIPs that a client asks for, and how often it does.
const ASKED_FOR: usize = 4;
const ASK_INTERVAL: Duration = Duration::from_millis(2);
/// How long the API is away before a node is lost, and after that.
const HALF_OF_OUTAGE: Duration = Duration::from_secs(30);
/// From the detection on, until the other node is programmed to answer for all VIPs.
const PROGRAMMED_WITHIN: Limit = Limit::AtMost(100.0);
/// The same on top of the detection: three probes, 50 ms apart, the last of them given its full time.
const ANSWERED_WITHIN: Limit = Limit::AtMost(200.0 + 100.0);
const DETECTED_WITHIN: Duration = Duration::from_secs(5);

/// Measures with the agent of the first node, which stays, and one on the second node, which is lost.
pub(super) fn measure(
    bed: &Bed,
    stays: &Agent<'_>,
    rounds: u32,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut lost = bed.agent(1)?;
    lost.spawn()?;
    let mut maps = [open(stays)?, open(&lost)?];
    let [_, of_lost] = settled(&mut maps).with_context(|| format!("{}\n{}", stays.log(), lost.log()))?;
    figures.say(&format!("{rounds} times a node is cut off that holds {of_lost} of {SERVICES} VIPs"));
    let (mut programmed, mut silences) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let loss = lose(bed, stays, &mut maps)?;
        programmed.push(ms(loss.programmed));
        silences.push(ms(loss.silence));
        restore(bed, &mut maps)?;
    }
    let what = "from the detection until all are programmed, longest";
    figures.add(what, percentile(&programmed, 100), "ms", PROGRAMMED_WITHIN);
    figures.add("longest time without an answer", percentile(&silences, 100), "ms", ANSWERED_WITHIN);
    figures.say("The same in the middle of 60 s without the API");
    bed.plane.set_reach_of_all(Reach::Hanging)?;
    thread::sleep(HALF_OF_OUTAGE);
    let loss = lose(bed, stays, &mut maps)?;
    thread::sleep(HALF_OF_OUTAGE);
    bed.plane.set_reach_of_all(Reach::Open)?;
    restore(bed, &mut maps)?;
    figures.add("from the detection until all are programmed", ms(loss.programmed), "ms", PROGRAMMED_WITHIN);
    figures.add("time without an answer", ms(loss.silence), "ms", ANSWERED_WITHIN);
    Ok(())
}

struct Loss {
    /// From the detection on.
    programmed: Duration,
    /// The longest that a client sees.
    silence: Duration,
}

/// Cuts off the second node.
fn lose(bed: &Bed, stays: &Agent<'_>, maps: &mut [Map; 2]) -> anyhow::Result<Loss> {
    let lost = &bed.hosts.nodes[1];
    let asked_for = bed.some_of(1, &maps[1], ASKED_FOR)?.into_iter().map(IpAddr::from);
    let logged = stays.log().len();
    let probers = Probers::start(&bed.hosts.client, asked_for, ASK_INTERVAL)?;
    thread::sleep(Duration::from_millis(500));
    bed.hosts.segment.set_port(lost, false)?;
    all(|| maps[0].announced()).with_context(|| stays.log())?;
    let programmed_at = SystemTime::now();
    thread::sleep(Duration::from_millis(300));
    let reports = probers.finish()?;
    ensure!(reports.iter().all(|report| report.requests > 100), "the client has hardly asked: {reports:?}");
    let silence = reports.iter().map(|report| report.longest_silence).max().unwrap_or_default();
    let detected_at = detection(stays, logged, &lost.name)?;
    let programmed =
        programmed_at.duration_since(detected_at).context("taken before the detection was logged")?;
    Ok(Loss { programmed, silence })
}

fn restore(bed: &Bed, maps: &mut [Map; 2]) -> anyhow::Result<()> {
    bed.hosts.segment.set_port(&bed.hosts.nodes[1], true)?;
    settled(maps).map(drop)
}

/// When the agent logged that a node is down.
fn detection(agent: &Agent<'_>, logged: usize, node: &str) -> anyhow::Result<SystemTime> {
    let deadline = Instant::now() + DETECTED_WITHIN;
    while Instant::now() < deadline {
        let log = agent.log();
        let of_node = format!("node=\"{node}\"");
        let is_it = |line: &&str| line.contains("node is down") && line.contains(&of_node);
        if let Some(line) = log[logged..].lines().find(is_it) {
            let stamp = line.split_whitespace().next().context("an empty line in the log")?;
            return humantime::parse_rfc3339(stamp)
                .with_context(|| format!("read a time of the log: {stamp}"));
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("{node} is not down by the log:\n{}", &agent.log()[logged..])
}
