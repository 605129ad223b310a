//! The traffic behind the answer: a client reaches a Service through a VIP, by the entry in its own neighbour cache,
//! before and after a failover.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::ensure;
use xtask::testbed::{
    AgentOptions, Families, Group, Hosts, Segment, Unit, agent_binary, mac_text, require_root,
    service::{Answer, Callers, Calls, Policy, Proxy, TIMEOUT, serve},
    witness,
};

use crate::for_each_family;

for_each_family! {
    policy_cluster_by_iptables
    policy_cluster_by_nftables
    policy_local_by_iptables
    policy_local_by_nftables
}

/// As for a failover without traffic, and the last call before it, which has to be given up first.
const FAILOVER: Duration = Duration::from_millis(400).saturating_add(TIMEOUT);

fn policy_cluster_by_iptables(families: Families) -> anyhow::Result<()> {
    cluster(families, Proxy::Iptables)
}

fn policy_cluster_by_nftables(families: Families) -> anyhow::Result<()> {
    cluster(families, Proxy::Nftables)
}

fn policy_local_by_iptables(families: Families) -> anyhow::Result<()> {
    local(families, Proxy::Iptables)
}

fn policy_local_by_nftables(families: Families) -> anyhow::Result<()> {
    local(families, Proxy::Nftables)
}

/// The pod is on the node that is to take over: before, each packet goes on to that one.
fn cluster(families: Families, proxy: Proxy) -> anyhow::Result<()> {
    let (hosts, unit) = hosts(families)?;
    let group = hosts.start(&[unit], "after 30s", &AgentOptions::default())?;
    let holder = group.wait_holder(unit)?;
    let (first, second) = (&hosts.nodes[holder], &hosts.nodes[1 - holder]);
    let pods = serve(&hosts, unit, &[1 - holder], Policy::Cluster, proxy)?;
    let pod_sees = |source| Answer { node: second.name.clone(), source };
    fail_over(&group, unit, holder, |calls| {
        let of_first = if calls.vip.is_ipv4() { first.address.into() } else { first.ipv6.into() };
        [pod_sees(of_first), pod_sees(pods[0].gateway(calls.vip))]
    })
}

/// Each node has a pod of its own, which sees the client.
fn local(families: Families, proxy: Proxy) -> anyhow::Result<()> {
    let (hosts, unit) = hosts(families)?;
    let group = hosts.start(&[unit], "after 30s", &AgentOptions::default())?;
    let holder = group.wait_holder(unit)?;
    let _pods = serve(&hosts, unit, &[0, 1], Policy::Local, proxy)?;
    fail_over(&group, unit, holder, |calls| {
        let client = &hosts.client;
        let source = if calls.vip.is_ipv4() { client.address.into() } else { client.ipv6.into() };
        [holder, 1 - holder].map(|node| Answer { node: hosts.nodes[node].name.clone(), source })
    })
}

fn hosts(families: Families) -> anyhow::Result<(Hosts, Unit)> {
    require_root("test")?;
    agent_binary()?;
    Ok((Hosts::on(Segment::new()?, 2, families)?, families.vip(10)))
}

/// Cuts the holder off while the client calls; fails unless the calls are answered as `expected` has it, by the first
/// before and by the second after, and the client's neighbour cache followed by itself.
fn fail_over(
    group: &Group<'_>,
    unit: Unit,
    holder: usize,
    expected: impl Fn(&Calls) -> [Answer; 2],
) -> anyhow::Result<()> {
    let Hosts { segment, nodes, client, .. } = group.hosts;
    let calm = call_while(group, unit, || Ok(()))?;
    for calls in &calm {
        let [before, _] = expected(calls);
        assert_eq!(BTreeSet::from_iter(&calls.answers), [&before].into(), "{:?} {}", calls.call, calls.vip);
        assert_eq!(calls.failed, 0, "{:?} {}", calls.call, calls.vip);
    }
    assert_neighbours(group, unit, holder)?;

    let cut = call_while(group, unit, || segment.set_port(&nodes[holder], false))?;
    for calls in &cut {
        let (what, silence) = (format!("{:?} {}", calls.call, calls.vip), calls.longest_silence);
        ensure!(silence <= FAILOVER, "{what}: {silence:?} without an answer\n{}", group.logs());
        let mut answers = calls.answers.clone();
        answers.dedup();
        assert_eq!(answers, expected(calls), "{what}, of {}", client.name);
    }
    assert_neighbours(group, unit, 1 - holder)
}

fn call_while(
    group: &Group<'_>,
    unit: Unit,
    during: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Calls>> {
    let callers = Callers::start(&group.hosts.client, unit)?;
    thread::sleep(Duration::from_millis(500));
    during()?;
    thread::sleep(Duration::from_millis(1_500));
    callers.finish()
}

/// Fails unless the client's own cache has the VIPs at this node.
fn assert_neighbours(group: &Group<'_>, unit: Unit, node: usize) -> anyhow::Result<()> {
    for vip in unit.addresses() {
        let cached = witness::neighbour(&group.hosts.client, vip)?;
        assert_eq!(cached, Some(mac_text(group.hosts.nodes[node].mac)), "{vip}\n{}", group.logs());
    }
    Ok(())
}
