//! Switches that look at MLD (RFC 4541) send a solicitation only where its group has been joined.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use lb_common::wire::{
    ethernet::{ETHERTYPE_IPV6, Mac},
    icmpv6::ndp,
};
use nix::sys::signal::Signal;
use xtask::testbed::{
    Agent, AgentOptions, Families, Host, Hosts, PacketSocket, Probers, Segment, Wiring, agent_binary,
    mac_text, require_root, witness,
};

use crate::{Bed, INTERVAL, UNITS_OF_ALL_KINDS, assert_seamless};

const VIP: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, 0x10);
/// The group of [`VIP`] and [`NAMESAKE`].
const GROUP: &str = "ff02::1:ff01:10";
/// Has the same last 24 bits.
const NAMESAKE: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 3, 1, 0x10);
/// Longer than the switch remembers a group that nobody reports.
const FORGOTTEN: Duration = Duration::from_millis(4_500);

/// On a switch that looks at MLD.
fn bed() -> anyhow::Result<Bed> {
    Bed::on(Segment::with_snooping()?, Wiring::Veth, &[IpAddr::V6(VIP).into()])
}

fn answers(bed: &Bed, vip: Ipv6Addr) -> anyhow::Result<Vec<String>> {
    witness::stations(&bed.client, vip.into())
}

/// Waits until a node has joined the group of the VIP, by its own kernel, or is in it no more.
fn wait_group(agent: &Agent<'_>, joined: bool) -> anyhow::Result<()> {
    let what = format!("{GROUP} {}", if joined { "joined" } else { "left" });
    agent.wait_for(&what, |agent| {
        witness::groups(agent.host()).is_ok_and(|groups| groups.iter().any(|group| group == GROUP) == joined)
    })
}

#[test]
fn a_vip_is_found_after_the_switch_has_forgotten_what_nobody_joined() -> anyhow::Result<()> {
    let bed = bed()?;
    let agent = bed.agent()?;
    wait_group(&agent, true)?;
    thread::sleep(FORGOTTEN);
    bed.assert_answered()?;
    let listeners = bed.segment.listeners(GROUP)?;
    assert_eq!(listeners, [bed.node.port()], "the ports that the switch knows listeners of {GROUP} behind");
    Ok(())
}

/// Answers solicitations for an address by the byte, and joins nothing.
fn respond(socket: &PacketSocket, mac: Mac, address: Ipv6Addr, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut buffer = [0; 256];
    while !stop.load(Ordering::Relaxed) {
        let Some(bytes) = socket.receive(&mut buffer, Duration::from_millis(50))? else { continue };
        if let Ok((head, message)) = ndp::parse(bytes)
            && message.kind == ndp::Kind::Solicitation
            && head.target_address == address.octets()
        {
            socket.send(head.answer_from(mac).as_bytes())?;
        }
    }
    Ok(())
}

/// The control: this switch is one on which it matters.
#[test]
fn a_responder_that_has_not_joined_is_not_asked() -> anyhow::Result<()> {
    let mut bed = bed()?;
    let unjoined = bed.segment.host("unjoined")?;
    let socket = PacketSocket::open(&unjoined, ETHERTYPE_IPV6)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let responder = scope.spawn(|| respond(&socket, unjoined.mac, VIP, &stop));
        let judge = || -> anyhow::Result<()> {
            thread::sleep(FORGOTTEN);
            assert_eq!(answers(&bed, VIP)?, [""; 0], "nobody has joined {GROUP}");
            bed.segment.set_snooping(false)?;
            assert_eq!(answers(&bed, VIP)?, [mac_text(unjoined.mac)], "any other switch forwards to all");
            Ok(())
        };
        let judged = judge();
        stop.store(true, Ordering::Relaxed);
        responder.join().map_err(|_| anyhow::anyhow!("the responder panicked"))??;
        judged
    })
}

#[test]
fn a_group_that_two_vips_share_is_left_with_the_last_of_them() -> anyhow::Result<()> {
    let bed = bed()?;
    let agent = bed.agent()?;
    agent.write_config(&format!("vips: [\"{VIP}\", \"{NAMESAKE}\"]"))?;
    agent.wait_role(NAMESAKE, "announce")?;
    agent.write_config(&format!("vips: [\"{NAMESAKE}\"]"))?;
    agent.wait_role(VIP, "absent")?;
    wait_group(&agent, true)?;
    thread::sleep(FORGOTTEN);
    assert_eq!(answers(&bed, NAMESAKE)?, [mac_text(bed.node.mac)]);
    agent.write_config("vips: []")?;
    wait_group(&agent, false)
}

#[test]
fn a_group_is_joined_again_after_a_flap_and_after_ipv6_was_off() -> anyhow::Result<()> {
    let bed = bed()?;
    let agent = bed.agent()?;
    bed.node.netns.ip("link set eth0 down")?;
    bed.node.netns.ip("link set eth0 up")?;
    bed.wait_role(&agent, "announce")?;
    wait_group(&agent, true)?;
    thread::sleep(FORGOTTEN);
    bed.assert_answered()?;

    let switch_off = |off: &'static str| {
        bed.node.netns.run(move || fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", off))
    };
    switch_off("1")??;
    switch_off("0")??;
    bed.node.netns.ip(&format!("address replace {}/64 dev eth0", bed.node.ipv6))?;
    bed.wait_role(&agent, "announce")?;
    wait_group(&agent, true)?;
    thread::sleep(FORGOTTEN);
    bed.assert_answered()
}

#[test]
fn an_interface_without_ipv6_holds_no_vip_of_ipv6_alone_and_says_so_once() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let switch_off = |off: &'static str| {
        bed.node.netns.run(move || fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", off))
    };
    switch_off("1")??;
    let agent = Agent::start(&bed.node, &bed.config(), AgentOptions::default())?;
    let [ipv4, ipv6, both] = UNITS_OF_ALL_KINDS;
    for vip in ipv4.addresses().chain(both.addresses()) {
        agent.wait_role(vip, "announce")?;
    }
    assert_eq!(agent.role(VIP)?, "suppress");
    assert_eq!(answers(&bed, VIP)?, [""; 0]);
    agent.write_config(&format!("vips: [{ipv4}, {ipv6}, {both}, 10.77.1.99]"))?;
    agent.wait_role("10.77.1.99", "announce")?;
    let log = agent.log();
    assert_eq!(log.matches("look at net.ipv6.conf.eth0.disable_ipv6").count(), 1, "{log}");

    switch_off("0")??;
    bed.node.netns.ip(&format!("address replace {}/64 dev eth0", bed.node.ipv6))?;
    bed.wait_role(&agent, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_standby_has_joined_before_it_is_needed() -> anyhow::Result<()> {
    require_root("test")?;
    agent_binary()?;
    let hosts = Hosts::on(Segment::with_snooping()?, 2, Families::V6)?;
    let unit = Families::V6.vip(10);
    let group = hosts.start(&[unit], "after 30s", &AgentOptions::default())?;
    let holder = group.wait_holder(unit)?;
    thread::sleep(FORGOTTEN);
    let mut ports: Vec<&str> = hosts.nodes.iter().map(Host::port).collect();
    ports.sort_unstable();
    assert_eq!(hosts.segment.listeners(GROUP)?, ports);
    let probers = Probers::start(&hosts.client, unit.addresses(), INTERVAL)?;
    thread::sleep(Duration::from_millis(300));
    hosts.segment.set_port(&hosts.nodes[holder], false)?;
    thread::sleep(Duration::from_secs(1));
    let reports = probers.finish()?;
    let silence = reports[0].longest_silence;
    assert!(silence < Duration::from_millis(400), "{silence:?} without an answer\n{}", group.logs());
    assert_eq!(reports[0].timeline.last().map(|last| last.1), Some(hosts.nodes[1 - holder].mac));
    Ok(())
}

/// The switch forgets at once what is left, and soon what nobody reports: only a kernel that stays in the group is asked on.
#[test]
fn a_restart_loses_no_question_on_a_switch_that_looks_at_mld() -> anyhow::Result<()> {
    let bed = bed()?;
    bed.segment.set_fast_leave(&bed.node)?;
    let mut agent = bed.agent()?;
    wait_group(&agent, true)?;
    let probers = bed.probers()?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        agent.end(signal)?;
        thread::sleep(FORGOTTEN);
        agent.spawn()?;
        bed.wait_role(&agent, "announce")?;
        thread::sleep(Duration::from_secs(1));
    }
    assert_seamless(&probers.finish()?);
    Ok(())
}

#[test]
fn what_an_agent_before_has_joined_is_left_when_it_is_wanted_no_more() -> anyhow::Result<()> {
    let bed = bed()?;
    let mut agent = bed.agent()?;
    wait_group(&agent, true)?;
    agent.end(Signal::SIGTERM)?;
    agent.write_config("vips: []")?;
    agent.spawn()?;
    wait_group(&agent, false)?;
    agent.write_config(&bed.config())?;
    wait_group(&agent, true)?;
    agent.end(Signal::SIGTERM)?;
    agent.succeed("cleanup")?;
    wait_group(&agent, false)
}

/// The kernel is in the groups as a proxy (RFC 4861, 7.2.8), but for none of the VIPs.
#[test]
fn a_node_that_proxies_by_itself_does_not_begin_to_answer_for_vips() -> anyhow::Result<()> {
    let bed = bed()?;
    bed.node.netns.run(|| {
        let settings = ["all/forwarding", "all/proxy_ndp", "eth0/proxy_ndp"];
        settings.into_iter().try_for_each(|name| fs::write(format!("/proc/sys/net/ipv6/conf/{name}"), "1"))
    })??;
    let agent = bed.agent()?;
    agent.write_config(&format!("vips: [\"{NAMESAKE}\"]"))?;
    agent.wait_role(VIP, "absent")?;
    agent.wait_role(NAMESAKE, "announce")?;
    wait_group(&agent, true)?;
    thread::sleep(FORGOTTEN);
    assert_eq!(answers(&bed, NAMESAKE)?, [mac_text(bed.node.mac)]);
    bed.assert_silent()
}
