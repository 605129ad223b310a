//! `cargo xtask demo`: a group of three nodes, a switch and a client on this machine, and what the client sees.

mod faults;
mod scenes;
mod timeline;

use std::{net::IpAddr, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    exec::workspace,
    testbed::{self, AgentOptions, Families, Group, Hosts, Segment, Unit, mac_text},
};

/// What the demo needs besides the agent.
const TOOLS: [Needed; 6] = [
    needed("ip", "iproute2"),
    needed("arping", "iputils-arping"),
    needed("bpftool", "bpftool"),
    needed("ndisc6", "ndisc6"),
    needed("nft", "nftables"),
    needed("ping", "iputils-ping"),
];

/// Short, so that its end can be waited for.
const LEASE_TTL: u64 = 3;
/// Short, so that each scene begins with the first in rank.
const FAILBACK: &str = "after 2s";

/// The VIPs that the faults befall: one of each family, which go together.
const PAIR: Unit = Families::Dual.vip(10);
/// All that are announced.
const UNITS: [Unit; 3] = [PAIR, Families::V4.vip(11), Families::V6.vip(12)];

/// One line of the summary.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// What was done.
    pub what: String,
    /// What has to come of it.
    pub expected: String,
    /// What came of it.
    pub seen: String,
    /// Whether that is it.
    pub ok: bool,
}

/// What the client saw of a fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultSeen {
    /// What was done to the holder.
    pub what: String,
    /// Longest time without an answer for each of the VIPs, IPv4 first, in ms.
    pub silence_ms: Vec<u128>,
    /// Who answered first.
    pub before: String,
    /// Who answered last.
    pub after: String,
    /// Requests that two nodes answered.
    pub double_answers: u64,
    /// Whether all that is as it should be.
    pub ok: bool,
    /// Who answered when: time in ms, and the node's name.
    #[serde(skip)]
    timeline: timeline::Lane,
}

/// Everything that the demo has to show.
#[derive(Clone, Debug, Default, Serialize)]
struct Summary {
    scenes: Vec<Scene>,
    faults: Vec<FaultSeen>,
}

/// Hosts, agents, and what has been seen so far.
struct Stage<'a> {
    hosts: &'a Hosts,
    group: Option<Group<'a>>,
    summary: Summary,
    is_quiet: bool,
}

/// Runs the demo. With `json`, only the summary is printed, for machines.
///
/// # Errors
/// When something cannot be set up, or a scene shows what it should not.
pub fn run(json: bool) -> anyhow::Result<()> {
    testbed::require_root("demo")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let hosts = Hosts::on(Segment::new()?, 3, Families::Dual)?;
    let mut stage = Stage { hosts: &hosts, group: None, summary: Summary::default(), is_quiet: json };
    stage.introduce();
    stage.play()?;
    stage.play_faults()?;
    let summary = std::mem::take(&mut stage.summary);
    drop(stage);
    let picture = workspace().join("target/demo/timeline.svg");
    timeline::write(&picture, &summary.faults)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print_summary(&summary);
        println!("\nWho answered when, as a picture: {}", picture.display());
    }
    let scenes = summary.scenes.iter().map(|scene| scene.ok);
    let all: Vec<bool> = scenes.chain(summary.faults.iter().map(|fault| fault.ok)).collect();
    let failed = all.iter().filter(|ok| !**ok).count();
    anyhow::ensure!(failed == 0, "{failed} of {} scenes did not show what they should", all.len());
    Ok(())
}

impl<'a> Stage<'a> {
    fn introduce(&self) {
        self.say("A group of three nodes and a client on one segment, each a network namespace:");
        for node in self.hosts.nodes.iter().chain([&self.hosts.client]) {
            let (ipv4, ipv6) = (node.address, node.ipv6);
            self.say(&format!("  {:<7} {ipv4}  {ipv6}  {}", node.name, mac_text(node.mac)));
        }
        self.say(&format!("VIPs, each to be announced by one of the nodes: {}", text(&UNITS)));
    }

    fn say(&self, text: &str) {
        if !self.is_quiet {
            println!("{text}");
        }
    }

    fn show(&mut self, what: &str, expected: impl Into<String>, seen: impl Into<String>, ok: bool) {
        let scene = Scene { what: what.to_owned(), expected: expected.into(), seen: seen.into(), ok };
        self.say(&format!("\n{}\n  expected  {}\n  seen      {}", scene.what, scene.expected, scene.seen));
        self.summary.scenes.push(scene);
    }

    fn group(&mut self) -> anyhow::Result<&mut Group<'a>> {
        self.group.as_mut().context("no agents yet")
    }

    fn node_of(&self, mac: &str) -> String {
        let node = self.hosts.nodes.iter().find(|node| mac_text(node.mac) == mac);
        node.map_or_else(|| mac.to_owned(), |node| node.name.clone())
    }

    /// The nodes that the client hears when it asks everyone.
    fn answerers(&self, vip: IpAddr) -> anyhow::Result<Vec<String>> {
        let stations = testbed::witness::stations(&self.hosts.client, vip)?;
        Ok(stations.iter().map(|mac| self.node_of(mac)).collect())
    }
}

/// Units for people.
fn text(units: &[Unit]) -> String {
    let unit = |unit: &Unit| unit.addresses().map(|vip| vip.to_string()).collect::<Vec<_>>().join(" with ");
    units.iter().map(unit).collect::<Vec<_>>().join(", ")
}

/// Silences for people.
fn silences(silence_ms: &[u128]) -> String {
    silence_ms.iter().map(|silence| format!("{silence} ms")).collect::<Vec<_>>().join(" / ")
}

fn options() -> AgentOptions {
    AgentOptions { lease_ttl: LEASE_TTL, ..AgentOptions::default() }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn print_summary(Summary { scenes, faults }: &Summary) {
    let verdict = |ok: bool| if ok { "ok  " } else { "FAIL" };
    let width = scenes.iter().map(|scene| scene.what.chars().count()).max().unwrap_or(0);
    println!("\nSummary");
    for Scene { what, expected: _, seen, ok } in scenes {
        println!("  {}  {what:<width$}  {seen}", verdict(*ok));
    }
    let width = faults.iter().map(|fault| fault.what.chars().count()).max().unwrap_or(0);
    println!(
        "\n        {:<width$}  {:>17}  {:<6}  {:<6}  DOUBLE ANSWERS",
        "FAULT", "SILENCE IPv4/IPv6", "BEFORE", "AFTER"
    );
    for FaultSeen { what, silence_ms, before, after, double_answers, ok, timeline: _ } in faults {
        let silence = silences(silence_ms);
        println!(
            "  {}  {what:<width$}  {silence:>17}  {before:<6}  {after:<6}  {double_answers}",
            verdict(*ok)
        );
    }
}
