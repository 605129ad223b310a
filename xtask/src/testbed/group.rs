//! A group of nodes with their agents, and a client: the setting of failover.

use std::{
    net::IpAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::{
    agent::{Agent, AgentOptions, role_in},
    families::{Families, Unit},
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
    /// By which addresses the nodes know each other.
    pub families: Families,
}

impl Hosts {
    /// So many nodes, `n1` and up, that know each other by IPv4 addresses, and a client.
    ///
    /// # Errors
    /// As [`Segment::host`].
    pub fn new(nodes: usize) -> anyhow::Result<Self> {
        Self::on(Segment::new()?, nodes, Families::V4)
    }

    /// The same on a segment that is there; the nodes know each other by their addresses of these families.
    ///
    /// # Errors
    /// As [`Segment::host`].
    pub fn on(mut segment: Segment, nodes: usize, families: Families) -> anyhow::Result<Self> {
        let nodes =
            (1..=nodes).map(|number| segment.host(&format!("n{number}"))).collect::<anyhow::Result<_>>()?;
        let client = segment.host("client")?;
        Ok(Self { segment, nodes, client, families })
    }

    /// The part of the configuration that all nodes share.
    #[must_use]
    pub fn config(&self, vips: &str, failback: &str) -> String {
        format!("nodes: [{}]\nvips: [{vips}]\nfailback: {failback}", self.list(&self.nodes))
    }

    /// Nodes as the configuration lists them.
    #[must_use]
    pub fn list<'a>(&self, nodes: impl IntoIterator<Item = &'a Host>) -> String {
        let addresses = |host: &Host| match self.families {
            Families::V4 => format!("address: {}", host.address),
            Families::V6 => format!("address: \"{}\"", host.ipv6),
            Families::Dual => format!("addresses: {}", self.families.of(host.address, host.ipv6)),
        };
        let node = |host: &Host| format!("{{name: {}, {}}}", host.name, addresses(host));
        nodes.into_iter().map(node).collect::<Vec<_>>().join(", ")
    }

    /// Starts an agent on each node, and waits until each of the units is announced by one of them.
    ///
    /// # Errors
    /// When they do not come so far.
    pub fn start(
        &self,
        vips: &[impl Into<Unit> + Copy],
        failback: &str,
        options: &AgentOptions,
    ) -> anyhow::Result<Group<'_>> {
        let text = vips.iter().map(|&unit| unit.into().to_string()).collect::<Vec<_>>().join(", ");
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
    /// The nodes whose maps say that they announce a unit, or a part of it.
    #[must_use]
    pub fn holders(&self, unit: impl Into<Unit>) -> Vec<usize> {
        self.announced(unit.into()).into_iter().map(|(node, _)| node).collect()
    }

    /// The node that announces all VIPs of a unit, if no other node announces any of them.
    fn holder(&self, unit: Unit) -> Option<usize> {
        match self.announced(unit).as_slice() {
            &[(node, vips)] if vips == unit.addresses().count() => Some(node),
            _ => None,
        }
    }

    /// The nodes that announce VIPs of a unit, and how many each.
    fn announced(&self, unit: Unit) -> Vec<(usize, usize)> {
        let vips: Vec<String> = unit.addresses().map(|vip| vip.to_string()).collect();
        let count = |agent: &Agent<'_>| {
            let status = agent.status().ok()?; // an agent that has just started has none yet
            Some(vips.iter().filter(|vip| role_in(&status, vip) == "announce").count())
        };
        let counts = self.agents.iter().map(|agent| count(agent).unwrap_or(0)).enumerate();
        counts.filter(|&(_, vips)| vips > 0).collect()
    }

    /// Waits until exactly one node announces the VIPs of a unit, all of them, and says which.
    ///
    /// # Errors
    /// When it does not come to that, with the logs.
    pub fn wait_holder(&self, unit: impl Into<Unit>) -> anyhow::Result<usize> {
        let unit = unit.into();
        self.wait(&format!("one holder of {unit}"), |group| group.holder(unit))
    }

    /// Waits until a node, and no other, announces the VIPs of a unit.
    ///
    /// # Errors
    /// When it does not come to that, with the logs.
    pub fn wait_held_by(&self, unit: impl Into<Unit>, node: usize) -> anyhow::Result<()> {
        let unit = unit.into();
        let what = format!("{unit} held by {}", self.hosts.nodes[node].name);
        self.wait(&what, |group| (group.holder(unit) == Some(node)).then_some(()))
    }

    fn wait<T>(&self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(value) = condition(self) {
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
    pub fn remove_entry(&self, node: usize, vip: IpAddr) -> anyhow::Result<()> {
        let (map, address) = match vip {
            IpAddr::V4(vip) => ("LB_VIPS_V4", vip.octets().to_vec()),
            IpAddr::V6(vip) => ("LB_VIPS_V6", vip.octets().to_vec()),
        };
        let map = self.agents[node].maps()?.join(map);
        let ifindex = self.hosts.nodes[node].ifindex.to_ne_bytes();
        let key = ifindex.iter().chain(&address).map(u8::to_string).collect::<Vec<_>>();
        let mut bpftool = Command::new("bpftool");
        exec(bpftool.args(["map", "delete", "pinned"]).arg(map).arg("key").args(key))
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
