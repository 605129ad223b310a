//! Agents that follow a Kubernetes API: from its objects to the answers on the wire.
//!
//! Scenarios are functions of a cluster, and run twice ([`on_each_api`]): on the stand-in, and, by TLS and HTTP/2, on a real API
//! server where `KUBEBUILDER_ASSETS` names its programs. What needs a fault of the server itself runs on the stand-in alone.

mod bad_input;
mod discovery;
mod explain;
mod faults;
mod moves;
mod outages;
mod outputs;
mod rules;
mod services;
mod several_nics;
mod split;

use std::{
    fs,
    io::{self, Write as _},
    thread,
    time::Duration,
};

use xtask::testbed::{
    AgentOptions, ControlPlane, Families, Host, Hosts, KubeGroup, LoadBalancer, Probers, Report, Segment,
    Unit, agent_binary, mac_text, require_root, witness,
};

use crate::INTERVAL;

/// Two answers while views differ for a moment.
const VIEWS_DIFFER: Duration = Duration::from_millis(1_200);
/// No answer in a planned move: the claimer asks first, which takes 150 ms, while the holder answers on.
const PLANNED: Duration = Duration::from_millis(100);
/// Detection at 50 ms x 3 takes up to 200 ms, what follows up to 50; the rest is for a busy machine.
const FAILOVER: Duration = Duration::from_millis(400);

/// Makes two tests of each scenario, one for each API server.
///
/// Those that are to hold for each family do so on the stand-in. On a real server they run for both families at once: to it,
/// addresses are texts.
macro_rules! on_each_api {
    (for IPv4 { $($ipv4:ident)* } $(for each family { $($each:ident)* })?) => {
        mod on_the_stand_in {
            use $crate::kubernetes::{Families, on_the_stand_in as run};
            $(#[test] fn $ipv4() -> anyhow::Result<()> { run(super::$ipv4, Families::V4) })*
            $($(#[test] fn $each() -> anyhow::Result<()> {
                $crate::in_each_family(|families| run(super::$each, families))
            })*)?
        }
        mod on_a_real_server {
            use $crate::kubernetes::{Families, on_a_real_server as run};
            $(#[test] fn $ipv4() -> anyhow::Result<()> {
                run(super::$ipv4, Families::V4, concat!(module_path!(), "::", stringify!($ipv4)))
            })*
            $($(#[test] fn $each() -> anyhow::Result<()> {
                run(super::$each, Families::Dual, concat!(module_path!(), "::", stringify!($each)))
            })*)?
        }
    };
}
use on_each_api;

/// What happens in a cluster, and has to be seen of it.
type Scenario = fn(&Cluster) -> anyhow::Result<()>;

fn on_the_stand_in(scenario: Scenario, families: Families) -> anyhow::Result<()> {
    scenario(&Cluster::new(families)?)
}

/// Where there is no real server, it says so past the harness, which keeps to itself what a test that passes prints.
fn on_a_real_server(scenario: Scenario, families: Families, test: &str) -> anyhow::Result<()> {
    match Cluster::real(families)? {
        Some(cluster) => scenario(&cluster),
        None => {
            let why = "KUBEBUILDER_ASSETS names no folder with etcd, kube-apiserver and kubectl";
            Ok(writeln!(io::stderr().lock(), "SKIPPED {test}: {why}")?)
        }
    }
}

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
        self.start_with(&[])
    }

    /// The same, with further arguments.
    fn start_with(&self, arguments: &[&str]) -> anyhow::Result<KubeGroup<'_>> {
        let arguments = arguments.iter().map(Into::into).collect();
        KubeGroup::start(&self.hosts, &self.plane, &AgentOptions { arguments, ..AgentOptions::default() })
    }

    /// Waits until what each node keeps for a restart tells of a VIP: it is written behind the decisions.
    fn wait_kept(&self, kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<()> {
        let vips: Vec<String> = unit.addresses().map(|vip| vip.to_string()).collect();
        let is_kept = |node: &Host| {
            let files = fs::read_dir(self.plane.state_directory(&node.name)).into_iter().flatten();
            let mut texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
            texts.any(|text| vips.iter().all(|vip| text.contains(vip)))
        };
        kube.wait_for("the VIP in the state that is kept", |_| self.hosts.nodes.iter().all(is_kept))
    }

    /// What `web` says of its families.
    fn web(&self) -> (Unit, LoadBalancer) {
        web(self.hosts.families)
    }

    /// The VIP, or VIPs, of this number.
    fn vip(&self, number: u8) -> Unit {
        self.hosts.families.vip(number)
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
        let longest = report.longest_unanswered;
        assert!(longest <= silence, "{longest:?} without an answer\n{}", kube.group.logs());
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

/// Fails unless nobody answers for the VIPs of a unit, within a moment.
fn assert_falls_silent(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<()> {
    kube.wait_for(&format!("silence about {unit}"), |kube| kube.group.holders(unit).is_empty())?;
    assert_silent(kube, unit)
}

fn assert_silent(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<()> {
    for (vip, answers) in witness::stations_of_all(&kube.group.hosts.client, unit.addresses())? {
        assert!(answers.is_empty(), "{vip} is answered by {answers:?}\n{}", kube.group.logs());
    }
    Ok(())
}

/// Fails unless the node that announces the VIPs, and only it, answers for them; says which it is.
fn assert_answered_by_holder(kube: &KubeGroup<'_>, unit: Unit) -> anyhow::Result<usize> {
    let holder = kube.group.wait_holder(unit)?;
    let expected = [mac_text(kube.group.hosts.nodes[holder].mac)];
    for (vip, answers) in witness::stations_of_all(&kube.group.hosts.client, unit.addresses())? {
        assert_eq!(answers, expected, "{vip}\n{}", kube.group.logs());
    }
    Ok(holder)
}
