//! The agent on the wire: real frames between network namespaces, seen by programs that we did not write.
//!
//! Run by `cargo xtask test`, which builds the agent and names it in `LB_AGENT`. Needs root.

mod capabilities;
mod config;
mod explain;
mod frr;
mod group;
mod holding;
mod hooks;
mod hostile;
mod interfaces;
mod interop;
mod kubernetes;
mod lease;
mod leftovers;
mod lxc;
mod multicast;
mod pins;
mod raw;
mod shutdown;
mod traffic;
mod witnesses;

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use xtask::testbed::{
    Agent, AgentOptions, Families, Host, Probers, Report, Segment, Unit, Wiring, agent_binary, mac_text,
    require_root, witness,
};

const VIP: &str = "10.77.1.10";
const VIP_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
/// Between two requests of a prober: 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);

/// Makes a test of each function that is to hold for each family.
macro_rules! for_each_family {
    ($($test:ident)*) => {
        mod for_each_family {
            $(#[test] fn $test() -> anyhow::Result<()> { $crate::in_each_family(super::$test) })*
        }
    };
}
pub(crate) use for_each_family;

/// Runs a test for IPv4, for IPv6, and for VIPs of both that go together, on three segments at the same time: most of
/// it is waiting.
fn in_each_family(test: fn(Families) -> anyhow::Result<()>) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let all = [Families::V4, Families::V6, Families::Dual];
        let runs = all.map(|families| (families, scope.spawn(move || test(families))));
        for (families, run) in runs {
            let result = run.join().map_err(|_| anyhow::anyhow!("it panicked, see above"));
            result.and_then(|result| result).with_context(|| format!("for the families {families:?}"))?;
        }
        Ok(())
    })
}

/// A VIP of IPv4, one of IPv6, and one of each that go together.
const UNITS_OF_ALL_KINDS: [Unit; 3] = [Families::V4.vip(10), Families::V6.vip(10), Families::Dual.vip(11)];

/// A segment with one node and a client.
struct Bed {
    segment: Segment,
    node: Host,
    client: Host,
    /// What the node's agent announces.
    units: Vec<Unit>,
}

impl Bed {
    /// With one VIP of IPv4.
    fn new() -> anyhow::Result<Self> {
        Self::wired(Wiring::Veth)
    }

    fn wired(wiring: Wiring) -> anyhow::Result<Self> {
        Self::on(Segment::new()?, wiring, &[VIP_ADDRESS.into()])
    }

    /// With VIPs of both families, alone and together: what holds for one node holds for all of them at once.
    fn of_all_kinds() -> anyhow::Result<Self> {
        Self::on(Segment::new()?, Wiring::Veth, &UNITS_OF_ALL_KINDS)
    }

    fn on(mut segment: Segment, wiring: Wiring, units: &[Unit]) -> anyhow::Result<Self> {
        require_root("test")?;
        agent_binary()?;
        let node = segment.host_wired("node", wiring)?;
        let client = segment.host("client")?;
        Ok(Self { segment, node, client, units: units.to_vec() })
    }

    /// The configuration that announces the VIPs.
    fn config(&self) -> String {
        format!("vips: [{}]", self.units.iter().map(Unit::to_string).collect::<Vec<_>>().join(", "))
    }

    /// The node's agent, announcing the VIPs.
    fn agent(&self) -> anyhow::Result<Agent<'_>> {
        self.agent_with(AgentOptions::default())
    }

    fn agent_with(&self, options: AgentOptions) -> anyhow::Result<Agent<'_>> {
        let agent = Agent::start(&self.node, &self.config(), options)?;
        self.wait_role(&agent, "announce")?;
        Ok(agent)
    }

    fn vips(&self) -> impl Iterator<Item = IpAddr> {
        self.units.iter().copied().flat_map(Unit::addresses)
    }

    /// Waits until each VIP has a role.
    fn wait_role(&self, agent: &Agent<'_>, role: &str) -> anyhow::Result<()> {
        self.vips().try_for_each(|vip| agent.wait_role(vip, role))
    }

    /// A prober at the client for each VIP.
    fn probers(&self) -> anyhow::Result<Probers> {
        Probers::start(&self.client, self.vips(), INTERVAL)
    }

    /// The stations that answer for a VIP.
    fn answers(&self, vip: impl Into<IpAddr>) -> anyhow::Result<Vec<String>> {
        witness::stations(&self.client, vip.into())
    }

    /// Fails unless the node, and only the node, answers.
    fn assert_answered(&self) -> anyhow::Result<()> {
        self.assert_answered_by(&mac_text(self.node.mac))
    }

    /// Fails unless one station alone answers.
    fn assert_answered_by(&self, station: &str) -> anyhow::Result<()> {
        for (vip, answers) in witness::stations_of_all(&self.client, self.vips())? {
            anyhow::ensure!(
                answers == [station],
                "{vip} should be answered by {station} alone, but was by {answers:?}"
            );
        }
        Ok(())
    }

    /// Fails if anyone answers.
    fn assert_silent(&self) -> anyhow::Result<()> {
        for (vip, answers) in witness::stations_of_all(&self.client, self.vips())? {
            anyhow::ensure!(answers.is_empty(), "{vip} should be silent, but was answered by {answers:?}");
        }
        Ok(())
    }
}

/// A lease that a test can wait for.
fn short_lease() -> AgentOptions {
    AgentOptions { lease_ttl: 3, ..AgentOptions::default() }
}

/// Fails unless every request was answered, and by one station.
fn assert_seamless<'a>(reports: impl IntoIterator<Item = &'a Report>) {
    for report in reports {
        assert!(report.requests > 100, "{report:?}");
        assert_eq!((report.unanswered, report.doubly_answered), (0, 0), "{report:?}");
    }
}
