//! Nodes with several interfaces: VIPs on another one than that of the Node's address.

use std::{net::Ipv4Addr, thread, time::Duration};

use serde_json::{Value, json};
use xtask::testbed::{LoadBalancer, Nic, Probers, SYSTEM, Segment, mac_text, witness};

use super::{Cluster, FAILOVER, assert_answered, on_each_api};
use crate::INTERVAL;

on_each_api! {
    for IPv4 {
        a_cut_port_of_the_interface_that_carries_the_vips_is_followed_by_a_standby
    }
}

/// Agents that may use both interfaces.
const CONFIG: &str = "interfaces: [eth0, eth1]\nfailback: after 2s\n";
/// The number of the second segment, and a VIP there.
const SECOND: u8 = 78;
const VIP: Ipv4Addr = Ipv4Addr::new(10, SECOND, 1, 10);

fn a_cut_port_of_the_interface_that_carries_the_vips_is_followed_by_a_standby(
    cluster: &Cluster,
) -> anyhow::Result<()> {
    let mut second = Segment::numbered(SECOND)?;
    let plug = |node| second.plug_also(node, "eth1");
    let nics = cluster.hosts.nodes.iter().map(plug).collect::<anyhow::Result<Vec<Nic>>>()?;
    let client = second.host("second-client")?;
    // The Nodes tell their addresses on eth0 alone.
    cluster.plane.add_pool("second", &["10.78.1.0/24"])?;
    cluster.plane.set_advertisement(&json!({"ipAddressPools": ["all"]}))?;
    let on_eth1 = json!({"ipAddressPools": ["second"], "interfaces": ["eth1"]});
    cluster.plane.add_advertisement("second", &on_eth1)?;
    let kube = cluster.start()?;
    kube.group.agents.iter().try_for_each(|agent| agent.write_whole_config(CONFIG))?;
    kube.wait_for("each agent's word of its address on eth1", |_| {
        let states = cluster.plane.client().list("metallb.io/v1beta1", "ConfigurationState", SYSTEM);
        let told = |nic: &Nic| {
            let mut states = states.iter().flatten();
            let tells = |state: &Value| state["metadata"]["annotations"]["lb.metallb.io/addresses"].clone();
            states.any(|state| {
                tells(state).as_str().is_some_and(|text| text.contains(&nic.address.to_string()))
            })
        };
        nics.iter().all(told)
    })?;
    cluster.plane.set_service(&LoadBalancer::new("web", VIP))?;
    let holder = kube.group.wait_holder(VIP)?;
    let answers = |expected: usize| -> anyhow::Result<()> {
        let stations = witness::stations(&client, VIP.into())?;
        assert_eq!(stations, [mac_text(nics[expected].mac)], "\n{}", kube.group.logs());
        Ok(())
    };
    answers(holder)?;
    // Who waits probes those before it there, by what their agents have told.
    let up = r#"lb_sessions{interface="eth1",state="up"}"#;
    let is_watched = |node: usize| kube.metric(node, up).is_ok_and(|sessions| sessions >= Some(1.0));
    kube.wait_for("sessions on eth1", |_| (0..3).all(|node| node == holder || is_watched(node)))?;
    let probers = Probers::start(&client, [VIP.into()], INTERVAL)?;
    thread::sleep(Duration::from_millis(300));
    second.set_port_of(&nics[holder], false)?;
    thread::sleep(Duration::from_secs(2));
    let report = probers.finish()?;
    assert_answered(&report, FAILOVER, Duration::ZERO, &kube);
    let next = report[0].timeline.last().map(|(_, mac)| *mac);
    assert!(nics.iter().any(|nic| Some(nic.mac) == next && nic.mac != nics[holder].mac), "{next:?}");
    // Its eth0 is as it was: it is only there that it is lost.
    let log = kube.group.logs();
    assert!(!log.contains("interface=\"eth0\" node is down"), "{log}");
    second.set_port_of(&nics[holder], true)?;
    kube.group.wait_held_by(VIP, holder)?;
    answers(holder)?;
    cluster.plane.assert_nothing_refused();
    Ok(())
}
