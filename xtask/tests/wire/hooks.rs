//! Each hook answers, and what is not ours passes.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use lb_common::wire::{arp::Frame, ethernet::ETHERTYPE_ARP};
use xtask::testbed::{AgentOptions, PacketSocket, Segment, Wiring, mac_text, witness::Tcpdump};

use crate::{Bed, VIP, VIP_ADDRESS};

/// What `status` calls tc on the kernel that runs: tcx came with 6.6.
pub fn tc_ingress() -> &'static str {
    if has_tcx() { "tcx-ingress" } else { "clsact-ingress" }
}

fn has_tcx() -> bool {
    let release = nix::sys::utsname::uname().expect("uname").release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

/// The lines that `tcpdump` prints of an answer, by the link-layer addresses of the node and the client.
type Printed = fn(&str, &str) -> Vec<String>;

/// A VIP of each family.
const VIPS: [(IpAddr, Printed); 2] =
    [(IpAddr::V4(VIP_ADDRESS), arp_reply), (IpAddr::V6(VIP_V6), advertisement)];
const VIP_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, 0x10);

/// 60 bytes, with the node's address in Ethernet header and ARP packet.
fn arp_reply(node: &str, client: &str) -> Vec<String> {
    vec![format!(
        "{node} > {client}, ethertype ARP (0x0806), length 60: Ethernet (len 6), IPv4 (len 4), \
         Reply {VIP} is-at {node}, length 46"
    )]
}

/// To the link-local address that `ndisc6` asks from, with the flags and the option of an answer (RFC 4861, 7.2.4).
fn advertisement(node: &str, client: &str) -> Vec<String> {
    let last = client.rsplit(':').next().unwrap_or_default().trim_start_matches('0');
    vec![
        format!(
            "{node} > {client}, ethertype IPv6 (0x86dd), length 86: (hlim 255, next-header ICMPv6 (58) payload \
             length: 32) {VIP_V6} > fe80::ff:fe4d:{last}: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, \
             tgt is {VIP_V6}, Flags [solicited, override]"
        ),
        format!("\t  destination link-address option (2), length 8 (1): {node}"),
    ]
}

/// Questions by ARP and by NDP are answered from one hook.
fn answers_by(hook: &'static str, wiring: Wiring, expected_hook: &str) -> anyhow::Result<()> {
    let bed = Bed::on(Segment::new()?, wiring, &VIPS.map(|(vip, _)| vip.into()))?;
    let agent = bed.agent_with(AgentOptions { hook, ..AgentOptions::default() })?;
    let tcpdump = Tcpdump::start_verbose(&bed.client, "arp or icmp6")?;
    bed.assert_answered()?;
    let lines = tcpdump.finish()?;
    for (vip, answer) in VIPS {
        let expected = answer(&mac_text(bed.node.mac), &mac_text(bed.client.mac));
        let is_there = lines.windows(expected.len()).any(|window| window == expected);
        assert!(is_there, "{vip}: no {expected:#?} among\n{}", lines.join("\n"));
    }
    let status = agent.status()?;
    assert_eq!(status["hooks"][0]["hook"], expected_hook, "{status:#}");
    assert!(status["frames"]["answered"].as_u64() >= Some(2), "{status:#}");
    Ok(())
}

#[test]
fn native_xdp_answers() -> anyhow::Result<()> {
    answers_by("xdp", Wiring::VethWithXdpPeer, "xdp")
}

#[test]
fn generic_xdp_answers() -> anyhow::Result<()> {
    answers_by("xdp-generic", Wiring::Veth, "xdp-generic")
}

#[test]
fn tc_answers() -> anyhow::Result<()> {
    answers_by("tc", Wiring::Veth, tc_ingress())
}

#[test]
fn auto_takes_tc_on_veth_and_says_why() -> anyhow::Result<()> {
    answers_by("auto", Wiring::Veth, tc_ingress())?;
    let bed = Bed::new()?;
    let log = bed.agent()?.log();
    assert!(log.contains("hook=tc") && log.contains("veth"), "{log}");
    Ok(())
}

#[test]
fn a_request_of_a_vlan_above_is_left_to_it() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let mut tagged =
        Frame::request(bed.client.mac, bed.client.address.octets(), [10, 77, 1, 10]).as_bytes().to_vec();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let socket = PacketSocket::open(&bed.client, ETHERTYPE_ARP)?;
    let tcpdump = Tcpdump::start(&bed.client, "ether proto 0x0806 and ether src 02:00:00:4d:00:01")?;
    socket.send(&tagged)?;
    agent.wait_for("the frame counted", |agent| {
        agent.status().is_ok_and(|status| status["frames"]["vlan_tagged"] == 1)
    })?;
    // Replies to everyone are announcements.
    let is_answer = |line: &String| line.contains("Reply") && !line.contains("ff:ff:ff:ff:ff:ff");
    let replies: Vec<String> = tcpdump.finish()?.into_iter().filter(is_answer).collect();
    assert_eq!(replies, Vec::<String>::new());
    Ok(())
}

#[test]
fn jumbo_frames_pass_tc() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    bed.segment.set_mtu(9_000)?;
    for host in [&bed.node, &bed.client] {
        bed.segment.set_host_mtu(host, 9_000)?;
    }
    let agent = bed.agent()?;
    let mut ping = bed.client.netns.command("ping");
    ping.args(["-c", "3", "-i", "0.2", "-M", "do", "-s", "8900", &bed.node.address.to_string()]);
    let output = ping.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(agent.status()?["hooks"][0]["hook"], tc_ingress());
    Ok(())
}

#[test]
fn a_program_that_is_taken_off_comes_back() -> anyhow::Result<()> {
    for (hook, wiring) in
        [("tc", Wiring::Veth), ("xdp", Wiring::VethWithXdpPeer), ("xdp-generic", Wiring::Veth)]
    {
        let bed = Bed::wired(wiring)?;
        let agent = bed.agent_with(AgentOptions { hook, ..AgentOptions::default() })?;
        let is_back = |log: &str| log.contains("taken off the interface by someone else");
        let links = agent.pin_dir().join("links");
        let pin = std::fs::read_dir(&links)?.next().expect("a pinned link")?.path();
        let is_link = hook != "tc" || has_tcx();
        let mut detach = bed.node.netns.command(if is_link { "bpftool" } else { "tc" });
        match is_link {
            true => detach.args(["link", "detach", "pinned"]).arg(&pin),
            false => detach.args(["filter", "delete", "dev", "eth0", "ingress"]),
        };
        let detached = detach.output()?;
        assert!(detached.status.success(), "{hook}: {}", String::from_utf8_lossy(&detached.stderr));
        agent.wait_for("the program detached noticed", |agent| is_back(&agent.log()))?;
        bed.assert_answered()?;
        if !is_link {
            continue; // nothing hangs on the mark of a filter
        }
        std::fs::remove_file(&pin)?; // which destroys the link
        agent
            .wait_for("the pin removed noticed", |agent| agent.log().matches("someone else").count() == 2)?;
        bed.assert_answered()?;
    }
    Ok(())
}

#[test]
fn nothing_is_sent_or_logged_without_a_change() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    std::thread::sleep(Duration::from_secs(6)); // the announcements of the first five seconds
    let (tcpdump, log) = (Tcpdump::start(&bed.client, "arp")?, agent.log());
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(tcpdump.finish()?, Vec::<String>::new());
    assert_eq!(agent.log(), log);
    Ok(())
}
