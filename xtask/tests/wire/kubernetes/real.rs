//! The same on a real API server, by TLS and HTTP/2, where `KUBEBUILDER_ASSETS` names its programs.

use std::time::Duration;

use xtask::testbed::{AgentOptions, Families, KubeGroup, api::Reach};

use super::{Cluster, FAILOVER, PLANNED, VIEWS_DIFFER, assert_answered, last, probe, web};

/// Keeps a node from announcing.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

#[test]
fn services_are_answered_moved_and_withdrawn_as_a_real_api_server_tells() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::real(Families::Dual)? else {
        eprintln!("SKIPPED: KUBEBUILDER_ASSETS names no API server to run the agents with");
        return Ok(());
    };
    let kube = KubeGroup::start(&cluster.hosts, &cluster.plane, &AgentOptions::default())?;
    let (unit, web) = web(Families::Dual);
    cluster.plane.set_service(&web)?;
    let holder = kube.group.wait_holder(unit)?;
    let labelled =
        probe(&kube, unit, Duration::from_secs(3), || cluster.plane.label_node(holder, EXCLUDED, Some("")))?;
    assert_answered(&labelled, PLANNED, VIEWS_DIFFER, &kube);
    let next = last(&labelled, &kube)?;
    assert_ne!(next, holder, "\n{}", kube.group.logs());
    cluster.plane.label_node(holder, EXCLUDED, None)?;
    kube.group.wait_held_by(unit, holder)?;
    // Without the API a cut port is followed as fast.
    cluster.plane.set_reach_of_all(Reach::Refused)?;
    let cut = probe(&kube, unit, Duration::from_secs(2), || {
        cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], false)
    })?;
    assert_answered(&cut, FAILOVER, Duration::ZERO, &kube);
    assert_ne!(last(&cut, &kube)?, holder, "\n{}", kube.group.logs());
    cluster.hosts.segment.set_port(&cluster.hosts.nodes[holder], true)?;
    cluster.plane.set_service(&web.clone().unready())?;
    cluster.plane.set_reach_of_all(Reach::Open)?;
    kube.wait_for("silence", |kube| kube.group.holders(unit).is_empty())?;
    cluster.plane.set_service(&web)?;
    kube.group.wait_holder(unit)?;
    assert!(!kube.group.logs().contains("orbidden"), "{}", kube.group.logs());
    Ok(())
}
