//! A node that starts: it asks before it announces, and leaves to a stranger what that one answers for.

use std::{net::IpAddr, thread, time::Duration};

use xtask::testbed::{Agent, AgentOptions, Host, mac_text, witness::Tcpdump};

use crate::Bed;

/// By which a node asks everyone for a VIP, as tcpdump writes it.
fn ask(vip: IpAddr, node: &Host) -> String {
    match vip {
        IpAddr::V4(_) => format!("Request who-has {vip} tell {},", node.address),
        IpAddr::V6(_) => format!("ICMP6, neighbor solicitation, who has {vip},"),
    }
}

/// By which a node tells everyone that it has a VIP.
fn announcement(vip: IpAddr) -> String {
    match vip {
        IpAddr::V4(_) => format!("Request who-has {vip} tell {vip},"),
        IpAddr::V6(_) => format!("{vip} > ff02::1: ICMP6, neighbor advertisement, tgt is {vip},"),
    }
}

#[test]
fn each_vip_is_asked_for_three_times_before_it_is_announced() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let tcpdump = Tcpdump::start(&bed.client, "arp or icmp6")?;
    let _agent = bed.agent()?;
    let lines = tcpdump.finish()?;
    let sent: Vec<&String> = lines.iter().filter(|line| line.starts_with(&mac_text(bed.node.mac))).collect();
    for vip in bed.vips() {
        let first = sent.iter().position(|line| line.contains(&announcement(vip)));
        let first = first.unwrap_or_else(|| panic!("{vip} is not announced: {sent:#?}"));
        let asks =
            |lines: &[&String]| lines.iter().filter(|line| line.contains(&ask(vip, &bed.node))).count();
        assert_eq!((asks(&sent[..first]), asks(&sent[first..])), (3, 0), "{vip}: {sent:#?}");
    }
    Ok(())
}

#[test]
fn solicitations_of_the_node_come_from_its_own_address_and_go_to_the_group() -> anyhow::Result<()> {
    let bed = Bed::of_all_kinds()?;
    let tcpdump = Tcpdump::start(&bed.client, "icmp6 and ip6[40] = 135")?;
    let _agent = bed.agent()?;
    let (mac, own) = (mac_text(bed.node.mac), bed.node.ipv6);
    let lines = tcpdump.finish()?;
    let expected = format!(
        "{mac} > 33:33:ff:01:00:10, ethertype IPv6 (0x86dd), length 86: {own} > ff02::1:ff01:10: \
         ICMP6, neighbor solicitation, who has fd77::1:10, length 32"
    );
    assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    Ok(())
}

#[test]
fn what_a_stranger_answers_for_is_left_to_it_and_taken_when_it_falls_silent() -> anyhow::Result<()> {
    let mut bed = Bed::of_all_kinds()?;
    let stranger = bed.segment.host("stranger")?;
    let change = |what: &str| {
        bed.vips().try_for_each(|vip| stranger.netns.ip(&format!("address {what} {vip} dev eth0")))
    };
    change("add")?;
    let mut agent = Agent::prepare(&bed.node, &bed.config(), AgentOptions::default())?;
    agent.spawn()?;
    bed.wait_role(&agent, "contested")?;
    for vip in bed.vips() {
        assert_eq!(agent.vip(vip)?["mac"], mac_text(stranger.mac));
    }
    bed.assert_answered_by(&mac_text(stranger.mac))?;
    change("delete")?;
    bed.wait_role(&agent, "announce")?;
    bed.assert_answered()
}

#[test]
fn a_stranger_that_stops_leaves_a_gap_of_three_seconds_at_most() -> anyhow::Result<()> {
    /// The next ask within 2 s, three in a row within 750 ms, the newcomer's three within 150 ms; the rest is for a busy machine.
    const GAP: Duration = Duration::from_millis(3_500);
    let mut bed = Bed::of_all_kinds()?;
    let stranger = bed.segment.host("stranger")?;
    let change = |what: &str| {
        bed.vips().try_for_each(|vip| stranger.netns.ip(&format!("address {what} {vip} dev eth0")))
    };
    let mut gaps = Vec::new();
    for round in 0..4 {
        change("add")?;
        let mut agent = Agent::prepare(&bed.node, &bed.config(), AgentOptions::default())?;
        agent.spawn()?;
        bed.wait_role(&agent, "contested")?;
        let probers = bed.probers()?;
        thread::sleep(Duration::from_millis(300 + 500 * round)); // somewhere between two asks
        change("delete")?;
        bed.wait_role(&agent, "announce")?;
        bed.assert_answered()?;
        for (vip, report) in bed.vips().zip(probers.finish()?) {
            println!("{vip}: {:?} without an answer", report.longest_silence);
            assert_eq!(report.answers.len(), 2, "{report:?}");
            gaps.push(report.longest_silence);
        }
    }
    let (least, most) = (gaps.iter().min().expect("gaps"), gaps.iter().max().expect("gaps"));
    println!("from {least:?} to {most:?}");
    assert!(*most < GAP, "{most:?} without an answer");
    Ok(())
}
