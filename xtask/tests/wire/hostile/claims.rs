//! A flood of forged claims on a VIP that is held: the holder goes on answering, and keeps its composure.

use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use lb_common::wire::ethernet::ETHERTYPE_ARP;
use xtask::testbed::{AgentOptions, Group, Host, Hosts, PacketSocket, Prober, mac_text, witness::Tcpdump};

use crate::{INTERVAL, VIP, VIP_ADDRESS};

const CLAIMS_PER_SECOND: u32 = 10_000;
const FLOOD: Duration = Duration::from_secs(5);
/// After this a holder announces once a minute only.
const ANNOUNCED: Duration = Duration::from_millis(5_700);
/// Of one core, over the flood.
const MOST_CPU: Duration = Duration::from_millis(500);
/// That an address is in conflict, and with whom; not each claim.
const MOST_LINES: usize = 3;

/// Requests of all nodes: the defence, and those of the next in line, three each 2.75 s when the holder's answers drown.
const MOST_REQUESTS: usize = 12;

/// An ARP packet by which `sha` says to everyone that it has the VIP (RFC 826).
fn claim(oper: u8, sha: [u8; 6], tpa: Ipv4Addr) -> Vec<u8> {
    let mut frame = [[0xff; 6], sha].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, oper]);
    frame.extend(sha);
    frame.extend(VIP_ADDRESS.octets());
    frame.extend([0; 6]);
    frame.extend(tpa.octets());
    frame.resize(60, 0);
    frame
}

/// A gratuitous announcement (RFC 5227, 3).
fn announcement(sha: [u8; 6]) -> Vec<u8> {
    claim(1, sha, VIP_ADDRESS)
}

/// An answer to a node, as if it had asked.
fn answer(sha: [u8; 6]) -> Vec<u8> {
    claim(2, sha, Ipv4Addr::new(10, 77, 0, 2))
}

/// Sends claims at an even rate for the time of the flood; says how many. A thread that was held up makes up for no more
/// than a few bursts, so that the segment itself loses nothing.
fn flood(forger: &Host, claim: impl Fn(u32) -> Vec<u8>) -> anyhow::Result<u32> {
    const BURST: u32 = 10;
    const MOST_LATE: Duration = Duration::from_millis(5);
    let socket = PacketSocket::open(forger, ETHERTYPE_ARP)?;
    let (begun, mut sent) = (Instant::now(), 0);
    let mut next = begun;
    while next < begun + FLOOD {
        for number in sent..sent + BURST {
            socket.send(&claim(number))?;
        }
        sent += BURST;
        let now = Instant::now();
        next = (next + Duration::from_secs(1) * BURST / CLAIMS_PER_SECOND).max(now - MOST_LATE);
        thread::sleep(next.saturating_duration_since(now));
    }
    Ok(sent)
}

/// Time that a process has had of all CPUs (proc(5): utime and stime, the 14th and 15th field of `stat`).
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.expect("a number of ticks");
    Ok(Duration::from_secs(ticks.iter().sum()) / u32::try_from(per_second)?)
}

/// What each agent has used and told so far.
fn footprints(group: &Group<'_>) -> anyhow::Result<Vec<(Duration, usize)>> {
    group.agents.iter().map(|agent| Ok((cpu_time(agent.pid()?)?, agent.log().lines().count()))).collect()
}

fn withstands(claim: impl Fn(u32) -> Vec<u8>) -> anyhow::Result<()> {
    let mut hosts = Hosts::new(3)?;
    let forger = hosts.segment.host("forger")?;
    let group = hosts.start(&[VIP_ADDRESS], "after 30s", &AgentOptions::default())?;
    let holder = group.wait_holder(VIP_ADDRESS)?;
    thread::sleep(ANNOUNCED);
    hosts.segment.block(&[(&forger, &hosts.client)])?; // so that the witnesses hear the nodes alone
    let before = footprints(&group)?;
    let prober = Prober::start(&hosts.client, VIP_ADDRESS, INTERVAL)?;
    // Requests of the nodes: the answers to the prober's are not among them.
    let nodes = Tcpdump::start(&hosts.client, "arp[6:2] = 1 and not arp src net 10.77.128.0/18")?;
    let sent = flood(&forger, claim)?;
    let frames = nodes.finish()?;
    let report = prober.finish()?;
    let after = footprints(&group)?;

    assert!(sent > 2 * CLAIMS_PER_SECOND, "{sent} claims only, in {FLOOD:?}");
    crate::assert_seamless([&report]);
    let mac = hosts.nodes[holder].mac;
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), [&mac], "\n{}", group.logs());
    assert_eq!(group.holders(VIP_ADDRESS), [holder]);
    // RFC 5227, 2.4: one defence in DEFEND_INTERVAL, which is longer than the flood.
    let is_defence = |frame: &&String| frame.contains(&format!("who-has {VIP} tell {VIP},"));
    let defences: Vec<&String> = frames.iter().filter(is_defence).collect();
    assert_eq!(defences.len(), 1, "{frames:#?}");
    assert!(defences[0].starts_with(&mac_text(mac)), "{defences:?}");
    assert!(frames.len() <= MOST_REQUESTS, "{frames:#?}");
    for (agent, ((cpu_before, lines_before), (cpu, lines))) in
        group.agents.iter().zip(before.into_iter().zip(after))
    {
        let name = &agent.host().name;
        println!(
            "{name}: {:?} of CPU time, {} lines told, of {sent} claims",
            cpu - cpu_before,
            lines - lines_before
        );
        assert!(cpu - cpu_before < MOST_CPU, "{name} used {:?}", cpu - cpu_before);
        assert!(lines - lines_before <= MOST_LINES, "{name} told too much:\n{}", agent.log());
    }
    assert!(group.agents[holder].log().contains("address conflict"), "{}", group.agents[holder].log());
    Ok(())
}

#[test]
fn a_flood_of_a_strangers_claims_moves_nothing() -> anyhow::Result<()> {
    withstands(|_| announcement([2, 0, 0, 0x66, 0, 1]))
}

#[test]
fn a_flood_of_claims_and_answers_from_ever_new_strangers_moves_nothing() -> anyhow::Result<()> {
    withstands(|number| {
        let [.., high, low] = number.to_be_bytes();
        let stranger = [2, 0, 0, 0x66, high, low];
        if number % 2 == 0 { announcement(stranger) } else { answer(stranger) }
    })
}
