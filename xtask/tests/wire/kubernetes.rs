//! Agents that follow a Kubernetes API, the stand-in: from its objects to the answers on the wire.

mod faults;
mod moves;
mod outages;
mod outputs;
mod real;
mod services;

use std::{thread, time::Duration};

use xtask::testbed::{
    AgentOptions, ControlPlane, Families, Hosts, KubeGroup, LoadBalancer, Probers, Report, Segment, Unit,
    agent_binary, require_root,
};

use crate::INTERVAL;

/// Two answers while views differ for a moment.
const VIEWS_DIFFER: Duration = Duration::from_millis(1_200);
/// No answer in a planned move: the claimer asks first, which takes 150 ms, while the holder answers on.
const PLANNED: Duration = Duration::from_millis(100);
/// Detection at 50 ms x 3 takes up to 200 ms, what follows up to 50; the rest is for a busy machine.
const FAILOVER: Duration = Duration::from_millis(400);

/// Three nodes and their control plane.
struct Cluster {
    hosts: Hosts,
    plane: ControlPlane,
}

impl Cluster {
    fn new(families: Families) -> anyhow::Result<Self> {
        require_root("test")?;
        agent_binary()?;
        let hosts = Hosts::on(Segment::new()?, 3, families)?;
        let plane = ControlPlane::start(&hosts)?;
        Ok(Self { hosts, plane })
    }

    /// The same with a real API server, where there is one.
    fn real(families: Families) -> anyhow::Result<Option<Self>> {
        require_root("test")?;
        agent_binary()?;
        let hosts = Hosts::on(Segment::new()?, 3, families)?;
        let plane = ControlPlane::start_real(&hosts)?;
        Ok(plane.map(|plane| Self { hosts, plane }))
    }

    /// With an agent on each node.
    fn start(&self) -> anyhow::Result<KubeGroup<'_>> {
        KubeGroup::start(&self.hosts, &self.plane, &AgentOptions::default())
    }
}

/// The VIP, or VIPs, of most tests, and their Service.
fn web(families: Families) -> (Unit, LoadBalancer) {
    let unit = families.vip(10);
    (unit, LoadBalancer::new("web", unit))
}

/// Probes while `during` happens, and for `after` more: a report for each VIP.
fn probe(
    kube: &KubeGroup<'_>,
    unit: Unit,
    after: Duration,
    during: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Report>> {
    let probers = Probers::start(&kube.group.hosts.client, unit.addresses(), INTERVAL)?;
    thread::sleep(Duration::from_millis(300));
    during()?;
    thread::sleep(after);
    probers.finish()
}

/// Fails unless somebody answered but for `silence` at most, and two at once for `double` at most.
fn assert_answered(reports: &[Report], silence: Duration, double: Duration, kube: &KubeGroup<'_>) {
    for report in reports {
        // A client that got all its answers was late itself.
        if report.unanswered > 0 {
            let longest = report.longest_silence;
            assert!(longest <= silence, "{longest:?} without an answer\n{}", kube.group.logs());
        }
        let doubly = u128::from(report.doubly_answered) * INTERVAL.as_millis();
        assert!(doubly <= double.as_millis(), "two answers for {doubly} ms\n{}", kube.group.logs());
    }
}

/// Fails unless every request was answered, and by one station.
fn assert_seamless(reports: &[Report], kube: &KubeGroup<'_>) {
    for report in reports {
        assert!(report.requests > 100, "{report:?}");
        let seen = (report.unanswered, report.doubly_answered);
        assert_eq!(seen, (0, 0), "of {}; the logs:\n{}", report.requests, kube.group.logs());
    }
}

/// Which node gave the last answer for all VIPs of a unit.
fn last(reports: &[Report], kube: &KubeGroup<'_>) -> anyhow::Result<usize> {
    let node = |report: &Report| kube.group.node_of(report.timeline.last().expect("answers").1);
    let nodes = reports.iter().map(node).collect::<anyhow::Result<Vec<_>>>()?;
    assert!(nodes.iter().all(|node| *node == nodes[0]), "not together: {nodes:?}\n{}", kube.group.logs());
    Ok(nodes[0])
}
