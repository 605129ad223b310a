//! `cargo xtask bench failover`: the longest time without an answer that a client sees, asking every 2 ms, when a fault
//! befalls the holder of a VIP. keepalived runs on the same segment for comparison.

mod partition;
mod thousand;

use std::{net::Ipv4Addr, time::Duration};

use super::figures::{Figures, Limit, percentile};
use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed::{self, AgentOptions, Families, Fault, Group, Hosts, Keepalived, Prober, Report, Trial, Unit},
};

const TOOLS: [Needed; 4] = [
    needed("ip", "iproute2"),
    needed("bpftool", "bpftool"),
    needed("nft", "nftables"),
    needed("keepalived", "keepalived"),
];

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
/// How far the medians of the two families may be apart, in percent of the one of IPv4.
const APART: f64 = 10.0;
/// Time between two S-BFD probes, in ms: the default, and the fastest that is promised.
const SBFD_DEFAULT: u64 = 50;
const SBFD_FAST: u64 = 10;
/// Short, so that its end can be waited for, in seconds.
const LEASE_TTL: u64 = 3;

/// Measures, and prints each figure as it comes.
pub(super) fn run(rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench failover")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let mut hosts = Hosts::new(3)?;
    let few = rounds.div_ceil(10);
    let mut figures = Figures::new(json);
    figures.say(&format!("The holder's port is cut, {rounds} times for each family and detection time"));
    both_families(&mut hosts, rounds, SBFD_DEFAULT, (175.0, 210.0), &mut figures)?;
    both_families(&mut hosts, rounds, SBFD_FAST, (60.0, 60.0), &mut figures)?;
    figures.say(&format!("The same for keepalived, {few} times each"));
    rival(&hosts, few, 1_000, "keepalived, by default", &mut figures)?;
    rival(&hosts, few, 100, "keepalived, adverts each 100 ms", &mut figures)?;
    figures.say(&format!("Other faults, {few} times each"));
    other_faults(&hosts, few, &mut figures)?;
    figures.say("A node that holds a thousand VIPs is cut off, for each family");
    thousand::measure(&mut hosts, few, &mut figures)?;
    drop(hosts);
    figures.say("The segment is parted for 10 s and joined again, for each family");
    partition::measure(&mut figures)?;
    figures.conclude()
}

fn options(sbfd_interval: u64) -> AgentOptions {
    AgentOptions { lease_ttl: LEASE_TTL, sbfd_interval, ..AgentOptions::default() }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The silences of so many rounds, in ms, and how many requests were answered twice in all. Faults befall node `first`,
/// at times spread over the interval between two probes.
fn trials(
    group: &mut Group<'_>,
    unit: Unit,
    first: usize,
    fault: Fault,
    rounds: u32,
    after: Duration,
) -> anyhow::Result<(Vec<f64>, u64)> {
    let (mut silences, mut doubly_answered) = (Vec::new(), 0);
    for round in 0..rounds {
        let before = Duration::from_millis(200 + u64::from(round) * 7 % SBFD_DEFAULT);
        for report in (Trial { unit, first, before, after }).run(group, fault)? {
            silences.push(ms(report.longest_silence));
            doubly_answered += report.doubly_answered;
        }
    }
    Ok((silences, doubly_answered))
}

/// Port cuts for VIPs of IPv4 between nodes that know each other by IPv4, and then the same for IPv6.
fn both_families(
    hosts: &mut Hosts,
    rounds: u32,
    interval: u64,
    limits: (f64, f64),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut median = |families, name| {
        hosts.families = families;
        port_cuts(hosts, rounds, interval, &format!("{name} port cut, {interval} ms x 3"), limits, figures)
    };
    let (ipv4, ipv6) = (median(Families::V4, "IPv4")?, median(Families::V6, "IPv6")?);
    hosts.families = Families::V4;
    let apart = (ipv6 / ipv4 - 1.0).abs() * 100.0;
    let name = format!("{interval} ms x 3: how far the medians of the families are apart");
    figures.add(name, apart, "%", Limit::AtMost(APART));
    Ok(())
}

/// Gives the median.
fn port_cuts(
    hosts: &Hosts,
    rounds: u32,
    interval: u64,
    name: &str,
    (most, p99): (f64, f64),
    figures: &mut Figures,
) -> anyhow::Result<f64> {
    let unit = hosts.families.vip(10);
    let mut group = hosts.start(&[unit], "immediate", &options(interval))?;
    let first = group.wait_holder(unit)?;
    let (silences, doubly) =
        trials(&mut group, unit, first, Fault::PortCut, rounds, Duration::from_millis(600))?;
    let median = percentile(&silences, 50);
    figures.add(format!("{name}: median"), median, "ms", Limit::AtMost(most));
    figures.add(format!("{name}: 99th percentile"), percentile(&silences, 99), "ms", Limit::AtMost(p99));
    figures.add(format!("{name}: double answers"), as_f64(doubly), "", Limit::AtMost(0.0));
    Ok(median)
}

/// Counts are small.
fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn other_faults(hosts: &Hosts, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let mut group = hosts.start(&[VIP], "immediate", &options(SBFD_DEFAULT))?;
    let first = group.wait_holder(VIP)?;
    let second = Duration::from_secs(1);
    let lease = Duration::from_secs(LEASE_TTL) + second;
    let mut measure = |what: &str, fault, after, most: f64| -> anyhow::Result<u64> {
        let (silences, doubly) = trials(&mut group, VIP.into(), first, fault, rounds, after)?;
        let worst = percentile(&silences, 100);
        figures.add(format!("{what}: longest"), worst, "ms", Limit::AtMost(most));
        Ok(doubly)
    };
    measure("drained", Fault::Drained, second, 30.0)?;
    let doubly = measure("agent frozen, after the lease's end", Fault::Frozen, lease, 150.0)?;
    measure("holds but does not answer", Fault::Silent, 5 * second, 7_000.0)?;
    figures.add("agent frozen: double answers", as_f64(doubly), "", Limit::AtMost(0.0));
    Ok(())
}

/// keepalived on two of the nodes, cut off in the same way.
fn rival(
    hosts: &Hosts,
    rounds: u32,
    advert_ms: u32,
    name: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let [first, second, ..] = hosts.nodes.as_slice() else {
        anyhow::bail!("a segment of two nodes at least")
    };
    let _first = Keepalived::start(first, VIP, 200, advert_ms)?;
    let _second = Keepalived::start(second, VIP, 100, advert_ms)?;
    let mut silences = Vec::new();
    for round in 0..rounds {
        wait_for_answers_of(hosts, first.mac)?;
        let prober = Prober::start(&hosts.client, VIP, Duration::from_millis(2))?;
        std::thread::sleep(Duration::from_millis(200 + u64::from(round) * 7 % 50));
        hosts.segment.set_port(first, false)?;
        std::thread::sleep(Duration::from_millis(u64::from(advert_ms) * 4 + 1_000));
        silences.push(ms(prober.finish()?.longest_silence));
        hosts.segment.set_port(first, true)?;
    }
    figures.add(format!("{name}, port cut: median"), percentile(&silences, 50), "ms", Limit::None);
    figures.add(format!("{name}, port cut: longest"), percentile(&silences, 100), "ms", Limit::None);
    Ok(())
}

/// Until one station answers each request of a second, and it is this one.
fn wait_for_answers_of(hosts: &Hosts, mac: [u8; 6]) -> anyhow::Result<()> {
    for _ in 0..20 {
        let prober = Prober::start(&hosts.client, VIP, Duration::from_millis(20))?;
        std::thread::sleep(Duration::from_secs(1));
        let Report { answers, unanswered: 0, .. } = prober.finish()? else { continue };
        if answers.len() == 1 && answers.contains_key(&mac) {
            return Ok(());
        }
    }
    anyhow::bail!("the first node does not answer for {VIP}")
}
