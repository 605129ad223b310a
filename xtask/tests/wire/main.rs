//! The agent on the wire: real frames between network namespaces, seen by programs that we did not write.
//!
//! Run by `cargo xtask test`, which builds the agent and names it in `LB_AGENT`. Needs root.

mod config;
mod group;
mod hooks;
mod hostile;
mod interfaces;
mod interop;
mod lease;
mod leftovers;
mod lxc;
mod pins;
mod raw;
mod shutdown;

use std::{net::Ipv4Addr, time::Duration};

use xtask::testbed::{
    Agent, AgentOptions, Host, Report, Segment, Wiring, agent_binary, mac_text, require_root, witness,
};

const VIP: &str = "10.77.1.10";
const VIP_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
/// Between two requests of a prober: 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);

/// A segment with one node and a client.
struct Bed {
    segment: Segment,
    node: Host,
    client: Host,
}

impl Bed {
    fn new() -> anyhow::Result<Self> {
        Self::wired(Wiring::Veth)
    }

    fn wired(wiring: Wiring) -> anyhow::Result<Self> {
        require_root("test")?;
        agent_binary()?;
        let mut segment = Segment::new()?;
        let node = segment.host_wired("node", wiring)?;
        let client = segment.host("client")?;
        Ok(Self { segment, node, client })
    }

    /// The node's agent, announcing the one VIP.
    fn agent(&self) -> anyhow::Result<Agent<'_>> {
        self.agent_with(AgentOptions::default())
    }

    fn agent_with(&self, options: AgentOptions) -> anyhow::Result<Agent<'_>> {
        Agent::start(&self.node, &format!("vips: [{VIP}]"), options)
    }

    fn answers(&self) -> anyhow::Result<Vec<String>> {
        Ok(witness::arping(&self.client, VIP, 1)?.answers)
    }

    /// Fails unless the node, and only the node, answers.
    fn assert_answered(&self) -> anyhow::Result<()> {
        let (answers, node) = (self.answers()?, mac_text(self.node.mac));
        anyhow::ensure!(
            !answers.is_empty() && answers.iter().all(|mac| *mac == node),
            "{VIP} should be answered by {node} alone, but was by {answers:?}"
        );
        Ok(())
    }

    /// Fails if anyone answers.
    fn assert_silent(&self) -> anyhow::Result<()> {
        let answers = self.answers()?;
        anyhow::ensure!(answers.is_empty(), "{VIP} should be silent, but was answered by {answers:?}");
        Ok(())
    }
}

/// A lease that a test can wait for.
fn short_lease() -> AgentOptions {
    AgentOptions { lease_ttl: 3, ..AgentOptions::default() }
}

/// Fails unless every request was answered, and by one station.
fn assert_seamless(report: &Report) {
    assert!(report.requests > 100, "{report:?}");
    assert_eq!((report.unanswered, report.doubly_answered), (0, 0), "{report:?}");
}
