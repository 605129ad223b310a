//! `cargo xtask bench start`: what the agent takes: time to fill the map, time to follow a change, memory, wake-ups.

mod idle;

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use lb_common::maps::VipKey;
use nix::sys::signal::Signal;

use super::figures::{Figures, Limit, percentile};
use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed::{self, Agent, AgentOptions, Host, Prober, VipMap, cabled},
};
pub(super) use idle::resident_mb;

const TOOLS: [Needed; 2] = [needed("ip", "iproute2"), needed("bpftool", "bpftool")];

const COUNT: u32 = 10_000;
const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 64, 0);
const PATIENCE: Duration = Duration::from_secs(20);
/// The agent says this once it has read its file.
const READ: &str = "configuration read";

pub(super) fn run(rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench start")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let [client, node] = cabled(["client", "node"])?;
    let mut figures = Figures::new(json);
    figures.say(&format!(
        "{rounds} starts with {COUNT} VIPs, each a line of the file, and {rounds} changes of one VIP"
    ));
    let (mut loads, mut announces) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (_agent, load, announce) = start(&node)?;
        loads.push(ms(load));
        announces.push(ms(announce));
    }
    figures.add(
        "from the file parsed to the last entry in the map",
        percentile(&loads, 50),
        "ms",
        Limit::AtMost(200.0),
    );
    let what = "from the file parsed to the last VIP announced, asks included";
    figures.add(what, percentile(&announces, 50), "ms", Limit::None);
    let (mut agent, ..) = start(&node)?;
    changes(&agent, rounds, &mut figures)?;
    figures.add("memory, resident", resident_mb(agent.pid()?)?, "MB", Limit::AtMost(30.0));
    idle::measure(&agent, &mut figures)?;
    restart(&mut agent, &client, &mut figures)?;
    figures.conclude()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn vip(at: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_VIP.to_bits() + at)
}

/// How a file names its VIPs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// As ranges, a thousand addresses each.
    Ranges,
    /// Each on a line of its own.
    Lines,
}

/// A configuration of so many VIPs.
fn config(form: Form, count: u32) -> String {
    let step = if form == Form::Ranges { 1_000 } else { 1 };
    let item = |first: u32| match (first + step).min(count) - 1 {
        last if last == first => format!("  - {}", vip(first)),
        last => format!("  - {}-{}", vip(first), vip(last)),
    };
    let items: Vec<String> = (0..count).step_by(step as usize).map(item).collect();
    format!("vips:\n{}", items.join("\n"))
}

/// A new agent, and how long it took from its file being parsed until all VIPs were in the map, and announced.
fn start(node: &Host) -> anyhow::Result<(Agent<'_>, Duration, Duration)> {
    let mut agent = Agent::prepare(node, &config(Form::Lines, COUNT), AgentOptions::default())?;
    agent.spawn()?;
    let count = COUNT as usize;
    let deadline = Instant::now() + PATIENCE;
    let mut map = loop {
        match agent.maps().and_then(|maps| VipMap::<[u8; 4]>::open(&maps)) {
            Ok(map) => break map,
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_micros(500)),
            Err(error) => return Err(error.context(agent.log())),
        }
    };
    let loaded = poll(|| Ok((map.entries()? >= count).then(time_of_day)))?;
    let announced = poll(|| Ok((map.announced()? >= count).then(time_of_day)))?;
    let read = read_at(&agent.log()).with_context(|| format!("no line {READ:?} in\n{}", agent.log()))?;
    Ok((agent, since(read, loaded), since(read, announced)))
}

/// One VIP more each time, in either form of the file in turn.
fn changes(agent: &Agent<'_>, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for (at, (form, took)) in [Form::Ranges, Form::Lines].into_iter().zip(&mut took).enumerate() {
            took.push(change(agent, form, COUNT + 2 * round + u32::try_from(at)?)?);
        }
    }
    let [ranges, lines] = took;
    let what = "from the rename of a file of ranges to a new VIP in the map";
    figures.add(what, percentile(&ranges, 50), "ms", Limit::AtMost(20.0));
    let what = "the same for a file with a line for each VIP";
    figures.add(what, percentile(&lines, 50), "ms", Limit::None);
    Ok(())
}

/// Adds VIP number `new` to the file; how long, in ms, until the map has it.
fn change(agent: &Agent<'_>, form: Form, new: u32) -> anyhow::Result<f64> {
    thread::sleep(Duration::from_millis(300));
    let map = VipMap::open(&agent.maps()?)?;
    let key = VipKey { ifindex: agent.host().ifindex, address: vip(new).octets() };
    agent.write_config(&config(form, new + 1))?;
    let begun = Instant::now();
    poll(|| Ok(map.get(key)?.map(|_| ms(begun.elapsed()))))
}

/// Asks until there is an answer.
fn poll<T>(mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        thread::sleep(Duration::from_micros(200));
    }
    bail!("the map has not got there within {PATIENCE:?}")
}

/// Since midnight, UTC: what the agent's log can be compared with.
fn time_of_day() -> Duration {
    const DAY_S: u64 = 24 * 3_600;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::new(now.as_secs() % DAY_S, now.subsec_nanos())
}

fn since(begin: Duration, end: Duration) -> Duration {
    end.checked_sub(begin).unwrap_or(end + Duration::from_secs(24 * 3_600) - begin)
}

/// When the agent said that its file is read, since midnight. Lines begin with `2026-01-31T12:34:56.123456Z`.
fn read_at(log: &str) -> Option<Duration> {
    let line = log.lines().find(|line| line.contains(READ))?;
    let time = line.split_once('T')?.1.split_once('Z')?.0;
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    let seconds = parts.next()?.parse::<f64>().ok()?;
    Some(Duration::from_secs(u64::from(hours * 3_600 + minutes * 60)) + Duration::from_secs_f64(seconds))
}

/// Requests for one VIP, 500 a second, while the agent ends and another one takes over.
fn restart(agent: &mut Agent<'_>, client: &Host, figures: &mut Figures) -> anyhow::Result<()> {
    figures.say("The agent is restarted under 500 requests a second");
    let prober = Prober::start(client, FIRST_VIP, Duration::from_millis(2))?;
    thread::sleep(Duration::from_millis(500));
    agent.end(Signal::SIGTERM)?;
    agent.spawn()?;
    agent.wait_for("the VIPs adopted", |agent| agent.log().contains("went on with the VIPs"))?;
    thread::sleep(Duration::from_secs(2));
    let report = prober.finish()?;
    let count = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    figures.add("requests", count(report.requests), "", Limit::AtLeast(1_000.0));
    figures.add("requests without an answer", count(report.unanswered), "", Limit::AtMost(0.0));
    figures.add("requests answered twice", count(report.doubly_answered), "", Limit::AtMost(0.0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_log_line_is_read() {
        let log = "2026-11-25T23:03:20.000001Z  INFO other\n2026-11-25T23:03:20.995576Z  INFO configuration read vips=3\n";
        let expected = Duration::from_secs(23 * 3_600 + 3 * 60 + 20) + Duration::from_micros(995_576);
        assert_eq!(read_at(log).map(|at| at.as_micros()), Some(expected.as_micros()));
        assert_eq!(read_at("no such line"), None);
    }

    #[test]
    fn both_forms_name_the_same_addresses() {
        assert_eq!(config(Form::Lines, 2), "vips:\n  - 10.77.64.0\n  - 10.77.64.1");
        assert_eq!(config(Form::Ranges, 1_001), "vips:\n  - 10.77.64.0-10.77.67.231\n  - 10.77.67.232");
    }

    #[test]
    fn midnight_may_lie_between() {
        let (before, after) = (Duration::from_secs(24 * 3_600 - 1), Duration::from_secs(2));
        assert_eq!(since(before, after), Duration::from_secs(3));
        assert_eq!(since(after, before), before - after);
    }
}
