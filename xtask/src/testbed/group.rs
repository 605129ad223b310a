//! A group of nodes with their agents, and a client: the setting of failover.

use std::{
    net::Ipv4Addr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::{
    agent::{Agent, AgentOptions},
    segment::{Host, Segment, mac_text},
};
use crate::exec::exec;

/// How long a group may take to settle: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The hosts of a group.
#[derive(Debug)]
pub struct Hosts {
    /// What joins them.
    pub segment: Segment,
    /// The nodes.
    pub nodes: Vec<Host>,
    /// The client.
    pub client: Host,
}

impl Hosts {
    /// So many nodes, `n1` and up, and a client.
    ///
    /// # Errors
    /// As [`Segment::host`].
    pub fn new(nodes: usize) -> anyhow::Result<Self> {
        let mut segment = Segment::new()?;
        let nodes =
            (1..=nodes).map(|number| segment.host(&format!("n{number}"))).collect::<anyhow::Result<_>>()?;
        let client = segment.host("client")?;
        Ok(Self { segment, nodes, client })
    }

    /// The part of the configuration that all nodes share.
    #[must_use]
    pub fn config(&self, vips: &str, failback: &str) -> String {
        let node = |host: &Host| format!("{{name: {}, address: {}}}", host.name, host.address);
        let nodes: Vec<String> = self.nodes.iter().map(node).collect();
        format!("nodes: [{}]\nvips: [{vips}]\nfailback: {failback}", nodes.join(", "))
    }

    /// Starts an agent on each node, and waits until each of `vips` is announced by one of them.
    ///
    /// # Errors
    /// When they do not come so far.
    pub fn start(
        &self,
        vips: &[Ipv4Addr],
        failback: &str,
        options: &AgentOptions,
    ) -> anyhow::Result<Group<'_>> {
        let text = vips.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(", ");
        let config = self.config(&text, failback);
        let mut agents = Vec::new();
        for node in &self.nodes {
            let mut agent = Agent::prepare(node, &config, options.clone())?;
            agent.spawn()?;
            agents.push(agent);
        }
        let group = Group { hosts: self, agents };
        for &vip in vips {
            group.wait_holder(vip)?;
        }
        Ok(group)
    }
}

/// A group at work.
#[derive(Debug)]
pub struct Group<'a> {
    /// The hosts.
    pub hosts: &'a Hosts,
    /// The agents, in the order of the nodes.
    pub agents: Vec<Agent<'a>>,
}

impl Group<'_> {
    /// The nodes whose maps say that they announce a VIP.
    ///
    /// # Errors
    /// When a status cannot be had.
    pub fn holders(&self, vip: Ipv4Addr) -> anyhow::Result<Vec<usize>> {
        let vip = vip.to_string();
        let mut holders = Vec::new();
        for (number, agent) in self.agents.iter().enumerate() {
            if agent.status().is_ok() && agent.role(&vip)? == "announce" {
                holders.push(number);
            }
        }
        Ok(holders)
    }

    /// Waits until exactly one node announces a VIP, and says which.
    ///
    /// # Errors
    /// When it does not come to that, with the logs.
    pub fn wait_holder(&self, vip: Ipv4Addr) -> anyhow::Result<usize> {
        self.wait(&format!("one holder of {vip}"), |group| match group.holders(vip)?.as_slice() {
            [holder] => Ok(Some(*holder)),
            _ => Ok(None),
        })
    }

    /// Waits until a node, and no other, announces a VIP.
    ///
    /// # Errors
    /// When it does not come to that, with the logs.
    pub fn wait_held_by(&self, vip: Ipv4Addr, node: usize) -> anyhow::Result<()> {
        let what = format!("{vip} held by {}", self.hosts.nodes[node].name);
        self.wait(&what, |group| Ok((group.holders(vip)? == [node]).then_some(())))
    }

    fn wait<T>(
        &self,
        what: &str,
        mut condition: impl FnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(value) = condition(self)? {
                return Ok(value);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("waited in vain for {what}; the logs:\n{}", self.logs())
    }

    /// Takes a VIP out of a node's map behind its agent's back.
    ///
    /// # Errors
    /// Without bpftool, or when the VIP is not there.
    pub fn remove_entry(&self, node: usize, vip: Ipv4Addr) -> anyhow::Result<()> {
        let maps = self.agents[node].maps()?;
        let ifindex = self.hosts.nodes[node].ifindex.to_ne_bytes();
        let key = ifindex.iter().chain(&vip.octets()).map(u8::to_string).collect::<Vec<_>>();
        let mut bpftool = Command::new("bpftool");
        exec(bpftool.args(["map", "delete", "pinned"]).arg(maps.join("LB_VIPS_V4")).arg("key").args(key))
    }

    /// What all agents have logged.
    #[must_use]
    pub fn logs(&self) -> String {
        let log = |agent: &Agent<'_>| format!("--- {}\n{}", agent.host().name, agent.log());
        self.agents.iter().map(log).collect()
    }

    /// The node with a link-layer address, by its number.
    ///
    /// # Errors
    /// When it is no node's.
    pub fn node_of(&self, mac: [u8; 6]) -> anyhow::Result<usize> {
        let nodes = &self.hosts.nodes;
        let found = nodes.iter().position(|node| node.mac == mac);
        found.with_context(|| format!("{} is no node's address", mac_text(mac)))
    }
}
