//! `cargo xtask demo`: three nodes, a switch and a client on this machine, and what the client sees.

mod scenes;

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed::{self, Agent, AgentOptions, Host, Segment, mac_text},
};

/// What the demo needs besides the agent.
const TOOLS: [Needed; 3] =
    [needed("ip", "iproute2"), needed("arping", "iputils-arping"), needed("ping", "iputils-ping")];

/// Short, so that its end can be waited for.
const LEASE_TTL: u64 = 5;

/// One VIP for each node.
const VIPS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 77, 1, 10), Ipv4Addr::new(10, 77, 1, 11), Ipv4Addr::new(10, 77, 1, 12)];

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

/// Nodes, client and agents.
struct Stage<'a> {
    nodes: &'a [Host],
    client: &'a Host,
    agents: Vec<Agent<'a>>,
    scenes: Vec<Scene>,
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
    let mut segment = Segment::new()?;
    let nodes =
        ["n1", "n2", "n3"].map(|name| segment.host(name)).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let client = segment.host("client")?;
    let mut stage =
        Stage { nodes: &nodes, client: &client, agents: Vec::new(), scenes: Vec::new(), is_quiet: json };
    stage.introduce();
    stage.play()?;
    let scenes = std::mem::take(&mut stage.scenes);
    drop(stage);
    if json {
        println!("{}", serde_json::to_string_pretty(&scenes)?);
    } else {
        print_summary(&scenes);
    }
    let failed = scenes.iter().filter(|scene| !scene.ok).count();
    anyhow::ensure!(failed == 0, "{failed} of {} scenes did not show what they should", scenes.len());
    Ok(())
}

impl Stage<'_> {
    fn introduce(&self) {
        self.say("Three nodes and a client on one segment, each a network namespace:");
        for (node, vip) in self.nodes.iter().zip(VIPS) {
            self.say(&format!(
                "  {}  {}  {}  is to announce {vip}",
                node.name,
                node.address,
                mac_text(node.mac)
            ));
        }
        self.say(&format!("  {}  {}", self.client.name, self.client.address));
    }

    fn say(&self, text: &str) {
        if !self.is_quiet {
            println!("{text}");
        }
    }

    fn show(&mut self, what: &str, expected: impl Into<String>, seen: impl Into<String>, ok: bool) {
        let scene = Scene { what: what.to_owned(), expected: expected.into(), seen: seen.into(), ok };
        self.say(&format!("\n{}\n  expected  {}\n  seen      {}", scene.what, scene.expected, scene.seen));
        self.scenes.push(scene);
    }

    fn node_of(&self, mac: &str) -> String {
        let node = self.nodes.iter().find(|node| mac_text(node.mac) == mac);
        node.map_or_else(|| mac.to_owned(), |node| node.name.clone())
    }

    /// The nodes that the client hears, by one broadcast request.
    fn answerers(&self, vip: Ipv4Addr) -> anyhow::Result<Vec<String>> {
        let arping = testbed::witness::arping(self.client, &vip.to_string(), 1)?;
        let mut names: Vec<String> = arping.answers.iter().map(|mac| self.node_of(mac)).collect();
        names.sort();
        Ok(names)
    }

    /// Answers for a VIP by a node's kernel, from its map.
    fn answers_in_kernel(&self, node: usize, vip: Ipv4Addr) -> anyhow::Result<u64> {
        self.agents[node].vip(&vip.to_string())?["answers"].as_u64().context("no counter")
    }
}

fn options() -> AgentOptions {
    AgentOptions { lease_ttl: LEASE_TTL, ..AgentOptions::default() }
}

/// The node announces its own VIP, and knows the others.
fn config(node: usize) -> String {
    let others: Vec<String> =
        VIPS.iter().enumerate().filter(|&(of, _)| of != node).map(|(_, vip)| vip.to_string()).collect();
    format!("vips: [{}]\nsuppress: [{}]", VIPS[node], others.join(", "))
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn print_summary(scenes: &[Scene]) {
    let width = scenes.iter().map(|scene| scene.what.chars().count()).max().unwrap_or(0);
    println!("\nSummary");
    for Scene { what, expected: _, seen, ok } in scenes {
        println!("  {}  {what:<width$}  {seen}", if *ok { "ok  " } else { "FAIL" });
    }
}
