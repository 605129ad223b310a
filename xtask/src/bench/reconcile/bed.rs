//! Nodes with agents, and the cluster that these follow.

use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use lb_common::maps::{Role, VipKey};

use super::cluster::{SERVICES, objects, vip};
use crate::testbed::{
    Agent, AgentOptions, ControlPlane, Hosts, KubeGroup, VipMap,
    api::{Api, Record},
};

/// Time for the nodes to settle: ten thousand VIPs are asked for three times, ten thousand frames a second.
const PATIENCE: Duration = Duration::from_secs(90);
/// Without a write for this long, all has been written.
const QUIET: Duration = Duration::from_secs(3);
/// Time for that: each VIP has a status that says who announces it.
const WRITTEN_WITHIN: Duration = Duration::from_mins(10);
const CONFIG: &str = "interfaces: [eth0]\nfailback: immediate\n";

/// Two nodes that are real, and an API.
pub(super) struct Bed {
    pub(super) hosts: Hosts,
    pub(super) plane: ControlPlane,
}

impl Bed {
    pub(super) fn new() -> anyhow::Result<Self> {
        let hosts = Hosts::new(2)?;
        let plane = ControlPlane::start(&hosts)?;
        plane.stand_in()?.seed(objects(&hosts))?;
        Ok(Self { hosts, plane })
    }

    pub(super) fn api(&self) -> anyhow::Result<&Api> {
        self.plane.stand_in()
    }

    /// An agent that knows nothing of the cluster, to be started.
    pub(super) fn agent(&self, node: usize) -> anyhow::Result<Agent<'_>> {
        let directory = self.plane.state_directory(&self.hosts.nodes[node].name);
        if directory.exists() {
            fs::remove_dir_all(directory).context("remove what an earlier agent has kept")?;
        }
        let agent = KubeGroup::prepare(&self.hosts, &self.plane, node, &AgentOptions::default())?;
        agent.write_whole_config(CONFIG)?;
        Ok(agent)
    }

    /// The key of a VIP in the map of a node.
    pub(super) fn key(&self, node: usize, address: Ipv4Addr) -> VipKey<[u8; 4]> {
        VipKey { ifindex: self.hosts.nodes[node].ifindex, address: address.octets() }
    }

    /// Some of the Services' VIPs that a node announces.
    pub(super) fn some_of(&self, node: usize, map: &Map, count: usize) -> anyhow::Result<Vec<Ipv4Addr>> {
        let mut found = Vec::new();
        for address in (0..SERVICES).rev().map(vip) {
            let entry = map.get(self.key(node, address))?;
            if entry.is_some_and(|entry| entry.role() == Some(Role::Announce)) {
                found.push(address);
            }
            if found.len() == count {
                return Ok(found);
            }
        }
        bail!("node {} announces {} VIPs, not {count}", self.hosts.nodes[node].name, found.len())
    }

    /// Waits until the agents write nothing to the API any more.
    pub(super) fn wait_quiet(&self) -> anyhow::Result<()> {
        let api = self.api()?;
        let deadline = Instant::now() + WRITTEN_WITHIN;
        while Instant::now() < deadline {
            api.forget_requests();
            thread::sleep(QUIET);
            if api.requests_where(Record::is_write).is_empty() {
                return Ok(());
            }
        }
        bail!("the agents go on writing to the API after {WRITTEN_WITHIN:?}")
    }
}

/// The map of a node's VIPs.
pub(super) type Map = VipMap<[u8; 4]>;

/// Waits for the map of an agent that has just been started.
pub(super) fn open(agent: &Agent<'_>) -> anyhow::Result<Map> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match agent.maps().and_then(|maps| Map::open(&maps)) {
            Ok(map) => return Ok(map),
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.context(agent.log())),
        }
    }
}

/// Waits until a count of entries is that of the Services, and says when that was.
pub(super) fn all(mut count: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = 0;
    while Instant::now() < deadline {
        last = count()?;
        if last == SERVICES as usize {
            return Ok(Instant::now());
        }
        thread::sleep(Duration::from_millis(1));
    }
    bail!("the map has got to {last} of {SERVICES} VIPs within {PATIENCE:?}")
}

/// Waits until each VIP is announced by one of two nodes, and each of them announces its share; says how many.
pub(super) fn settled(maps: &mut [Map; 2]) -> anyhow::Result<[usize; 2]> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = [0, 0];
    let least = SERVICES as usize / 4;
    while Instant::now() < deadline {
        thread::sleep(Duration::from_secs(1));
        let now = [maps[0].announced()?, maps[1].announced()?];
        let is_shared = now.iter().all(|&count| count >= least);
        if now == last && is_shared && now.iter().sum::<usize>() == SERVICES as usize {
            return Ok(now);
        }
        last = now;
    }
    bail!("the VIPs do not settle: {last:?} of {SERVICES} on the two nodes")
}
