//! Forged replies towards the initiator: a live peer is not taken for gone, nor a dead one for alive.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lb_common::wire::ethernet::ETHERTYPE_IPV4;
use xtask::testbed::{AgentOptions, Group, Host, Hosts, PacketSocket, Prober};

use crate::{
    INTERVAL, VIP_ADDRESS,
    raw::{self, ADMIN_DOWN, DEMAND, DOWN, PORT, UP, VERSION_1, at, get, put},
};

/// Between two rounds of forgeries: several of each kind within a detection time.
const ROUND: Duration = Duration::from_millis(10);
/// In each round: so many that one would come before each probe.
const UNREACHABLES: usize = 30;
const SEEN: Duration = Duration::from_secs(2);
const FAILOVER: Duration = Duration::from_millis(400);

/// One thing that is wrong with a reply that is right otherwise, down to port and discriminators of the session.
type Flaw = (&'static str, fn(&mut Vec<u8>));

const FLAWS: [Flaw; 11] = [
    ("another initiator's discriminator", |frame| frame[at::YOUR_DISCRIMINATOR] ^= 1),
    ("another reflector's discriminator", |frame| frame[at::MY_DISCRIMINATOR] ^= 1),
    ("no discriminator", |frame| put(frame, at::YOUR_DISCRIMINATOR, [0; 4])),
    ("another source port", |frame| put(frame, at::SOURCE_PORT, (PORT + 1).to_be_bytes())),
    ("another destination port", |frame| frame[at::DESTINATION_PORT + 1] ^= 1),
    ("the forger's own address", |frame| put(frame, at::SOURCE, FORGER.octets())),
    ("TTL 254", |frame| frame[at::TTL] = 254),
    ("the D bit", |frame| frame[at::STATE_FLAGS] |= DEMAND),
    ("version 2", |frame| frame[at::VERSION_DIAG] = 0x40),
    ("a Control length of 25", |frame| frame[at::LENGTH] = 25),
    ("cut by one byte", cut),
];

/// The address of the host that is plugged in after three nodes and a client.
const FORGER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 5);

/// Short by one byte, and right about that in each header.
fn cut(frame: &mut Vec<u8>) {
    frame.pop();
    put(frame, at::TOTAL_LEN, [0, 51]);
    put(frame, at::UDP_LEN, [0, 31]);
}

/// The holder's last answer to a probe of `initiator`, as a third host would send it: from its own link-layer address.
fn template(initiator: &Host, holder: &Host, forger: &Host) -> anyhow::Result<Vec<u8>> {
    let socket = PacketSocket::open(initiator, ETHERTYPE_IPV4)?;
    let deadline = Instant::now() + SEEN;
    while Instant::now() < deadline {
        let Some(mut reply) = raw::next_reply(&socket, SEEN)? else { continue };
        if get::<4>(&reply, at::SOURCE) == holder.address.octets() {
            put(&mut reply, 6, forger.mac);
            return Ok(reply);
        }
    }
    anyhow::bail!("{} does not probe {}", initiator.name, holder.name)
}

/// A reply in this state (with the diagnostic code that goes with it).
fn saying(state: u8, template: &[u8]) -> Vec<u8> {
    let mut reply = template.to_vec();
    let diag = if state == ADMIN_DOWN { 7 } else { 0 };
    put(&mut reply, at::VERSION_DIAG, [VERSION_1 | diag, state]);
    raw::mend(&mut reply);
    reply
}

/// What is sent of one reply: each flaw alone.
fn flawed(reply: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    FLAWS.into_iter().map(move |(_, spoil)| {
        let mut forged = reply.to_vec();
        spoil(&mut forged);
        raw::mend(&mut forged);
        forged
    })
}

/// An ICMP error for the probe that a reply answers: Destination Unreachable, port unreachable (RFC 792), as if from the
/// peer.
fn unreachable(reply: &[u8]) -> Vec<u8> {
    let mut probe = reply.to_vec();
    raw::swap::<4>(&mut probe, at::SOURCE, at::DESTINATION);
    raw::swap::<2>(&mut probe, at::SOURCE_PORT, at::DESTINATION_PORT);
    raw::mend(&mut probe);
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend(&probe[at::IP..at::VERSION_DIAG]);
    let checksum = raw::checksum(&message);
    put(&mut message, 2, checksum);

    let mut frame = reply[..at::SOURCE_PORT].to_vec();
    frame[at::PROTOCOL] = 1;
    put(&mut frame, at::TOTAL_LEN, [0, 56]);
    frame.extend(message);
    raw::mend_ip(&mut frame);
    frame
}

/// ICMP errors that a host has taken (RFC 2011: icmpInDestUnreachs).
fn unreachables_in(host: &Host) -> anyhow::Result<u64> {
    let text = host.netns.run(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let lines: Vec<Vec<&str>> =
        text.lines().filter_map(|line| Some(line.strip_prefix("Icmp: ")?.split(' ').collect())).collect();
    let [names, values] = lines.as_slice() else { anyhow::bail!("counters of ICMP in\n{text}") };
    let place = names.iter().position(|&name| name == "InDestUnreachs");
    Ok(values[place.context("no InDestUnreachs")?].parse()?)
}

/// A thread that sends frames over and over.
struct Forging {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Forging {
    fn start(from: &Host, frames: Vec<Vec<u8>>) -> anyhow::Result<Self> {
        let socket = PacketSocket::open(from, ETHERTYPE_IPV4)?;
        let stop = Arc::new(AtomicBool::new(false));
        let should_stop = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut rounds = 0;
            while !should_stop.load(Ordering::Relaxed) {
                frames.iter().try_for_each(|frame| socket.send(frame))?;
                rounds += 1;
                thread::sleep(ROUND);
            }
            Ok(rounds)
        });
        Ok(Self { stop, thread })
    }

    /// How often it has sent each of them.
    fn finish(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the forger panicked"))?
    }
}

/// Three nodes and a forger.
struct Scene {
    hosts: Hosts,
    forger: Host,
}

impl Scene {
    fn new() -> anyhow::Result<Self> {
        let mut hosts = Hosts::new(3)?;
        let forger = hosts.segment.host("forger")?;
        assert_eq!(forger.address, FORGER);
        Ok(Self { hosts, forger })
    }

    fn start(&self) -> anyhow::Result<(Group<'_>, usize)> {
        let group = self.hosts.start(&[VIP_ADDRESS], "after 30s", &AgentOptions::default())?;
        let holder = group.wait_holder(VIP_ADDRESS)?;
        Ok((group, holder))
    }

    /// Replies in a state, as the holder would give them to each of the others.
    fn replies(&self, holder: usize, state: u8) -> anyhow::Result<Vec<Vec<u8>>> {
        let nodes = &self.hosts.nodes;
        let others = nodes.iter().enumerate().filter(|&(number, _)| number != holder);
        others.map(|(_, other)| Ok(saying(state, &template(other, &nodes[holder], &self.forger)?))).collect()
    }
}

#[test]
fn forged_replies_do_not_take_a_live_holder_down() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let (group, holder) = scene.start()?;
    let mut forged = Vec::new();
    for reply in scene.replies(holder, ADMIN_DOWN)? {
        forged.extend(flawed(&reply));
        // States that reflectors are never in.
        forged.extend([saying(DOWN, &reply), saying(0x80, &reply)]);
        forged.extend(vec![unreachable(&reply); UNREACHABLES]);
    }
    let before = group.agents.iter().map(|agent| agent.log().len()).collect::<Vec<_>>();
    let prober = Prober::start(&scene.hosts.client, VIP_ADDRESS, INTERVAL)?;
    let forging = Forging::start(&scene.forger, forged)?;
    thread::sleep(SEEN);
    let rounds = forging.finish()?;
    let report = prober.finish()?;
    crate::assert_seamless([&report]);
    assert!(unreachables_in(&scene.hosts.nodes[(holder + 1) % 3])? > 1_000, "ICMP errors arrive");
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), [&scene.hosts.nodes[holder].mac]);
    assert!(rounds > 50, "{rounds} rounds only");
    for (agent, before) in group.agents.iter().zip(before) {
        let told = agent.log().split_off(before);
        let is_misled = ["withdrawn", "down", "announced"].iter().any(|word| told.contains(word));
        assert!(!is_misled, "{} after the forgeries:\n{told}", agent.host().name);
    }

    // Without a flaw it would have been believed, as S-BFD without authentication has to: the forgeries did arrive.
    let standby = &group.agents[(holder + 1) % 3];
    let forging = Forging::start(&scene.forger, scene.replies(holder, ADMIN_DOWN)?)?;
    standby.wait_for("the flawless reply believed", |agent| agent.log().contains("node has withdrawn"))?;
    forging.finish().map(drop)
}

#[test]
fn forged_replies_do_not_keep_a_dead_holder_alive() -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let (group, holder) = scene.start()?;
    let forged = scene.replies(holder, UP)?.iter().flat_map(|reply| flawed(reply)).collect();
    let prober = Prober::start(&scene.hosts.client, VIP_ADDRESS, INTERVAL)?;
    let forging = Forging::start(&scene.forger, forged)?;
    thread::sleep(Duration::from_millis(300));
    scene.hosts.segment.set_port(&scene.hosts.nodes[holder], false)?;
    thread::sleep(SEEN);
    let rounds = forging.finish()?;
    let report = prober.finish()?;
    assert!(rounds > 50, "{rounds} rounds only");
    assert!(report.longest_silence <= FAILOVER, "{:?} of silence\n{}", report.longest_silence, group.logs());
    let last = report.timeline.last().expect("answers").1;
    assert_ne!(group.node_of(last)?, holder);
    Ok(())
}
