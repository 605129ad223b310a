//! Which agents are admitted: whose nodes may be candidates.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    cluster::{
        Cluster,
        objects::{AgentEndpoint, AgentSlice},
    },
    model::BoottimeNs,
};

/// An agent without an endpoint is admitted for so long. A new version of the DaemonSet takes the endpoint away for a while,
/// and the node's kernel answers on meanwhile: to exclude it would move its VIPs twice for nothing. Whether it really answers
/// its peers know sooner, by their probes. An agent that was taken off its node for good ends up here.
pub const ABSENT_FOR_NS: BoottimeNs = 300_000_000_000;

/// Since when agents that are admitted have been without an endpoint, by node.
#[derive(Debug, Default)]
pub struct Admission {
    absent_since: BTreeMap<String, BoottimeNs>,
}

impl Admission {
    /// The agents, given those of before. One is admitted by a ready endpoint, for as long as it has an endpoint and its Node
    /// is there.
    pub(super) fn judge(
        &mut self,
        cluster: &Cluster,
        now: BoottimeNs,
    ) -> BTreeMap<String, Arc<AgentEndpoint>> {
        let endpoints = endpoints(cluster.agent_slices.values().map(|slice| &**slice));
        let mut agents = BTreeMap::new();
        let mut absent_since = BTreeMap::new();
        for node in cluster.nodes.keys() {
            let before = cluster.agents.get(node);
            let was_admitted = before.is_some_and(|agent| agent.is_admitted);
            let is_ready = endpoints.get(node.as_str()).copied();
            let is_admitted = match is_ready {
                Some(is_ready) => is_ready || was_admitted,
                None if was_admitted => {
                    let since = self.absent_since.get(node).copied().unwrap_or(now);
                    let is_recent = now.saturating_sub(since) < ABSENT_FOR_NS;
                    if is_recent {
                        absent_since.insert(node.clone(), since);
                    }
                    is_recent
                }
                None => false,
            };
            if is_admitted || is_ready.is_some() {
                let told = cluster.agent_addresses.get(node);
                let addresses = told.map(|told| told.addresses.clone()).unwrap_or_default();
                let agent = AgentEndpoint { is_admitted, addresses };
                let same = before.filter(|before| ***before == agent).cloned();
                agents.insert(node.clone(), same.unwrap_or_else(|| Arc::new(agent)));
            }
        }
        self.absent_since = absent_since;
        agents
    }

    /// When the first of them has been absent for too long.
    pub(super) fn due(&self) -> Option<BoottimeNs> {
        self.absent_since.values().min().map(|since| since + ABSENT_FOR_NS)
    }
}

/// Whether one of the endpoints on each node is ready.
fn endpoints<'a>(slices: impl Iterator<Item = &'a AgentSlice>) -> BTreeMap<&'a str, bool> {
    let mut all = BTreeMap::new();
    for (node, is_ready) in slices.flat_map(|slice| &slice.nodes) {
        *all.entry(node.as_str()).or_default() |= *is_ready;
    }
    all
}
