//! The reflector and the initiator against implementations that we did not write: a kernel's UDP socket, bytes put
//! together after the RFCs, and tshark.

use std::{
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use lb_common::wire::ethernet::ETHERTYPE_IPV4;
use nix::sys::signal::Signal;
use xtask::testbed::{
    AgentOptions, Host, Hosts, PacketSocket, Wiring,
    witness::{Capture, dissect},
};

use crate::{
    Bed, VIP_ADDRESS,
    raw::{self, ADMIN_DOWN, DOWN, UP, VERSION_1, at, get, put, swap},
    short_lease,
};

const MINE: [u8; 4] = [0xca, 0xfe, 0x00, 0x01];
const PATIENCE: Duration = Duration::from_secs(2);

/// What the reflector of a node has to make of a probe (RFC 7880, 7.2.2; RFC 7881, 4): the same packet, turned around.
fn reflected(probe: &[u8], flags: u8) -> Vec<u8> {
    let mut frame = probe.to_vec();
    swap::<6>(&mut frame, 0, 6);
    swap::<4>(&mut frame, at::SOURCE, at::DESTINATION);
    swap::<2>(&mut frame, at::SOURCE_PORT, at::DESTINATION_PORT);
    swap::<4>(&mut frame, at::MY_DISCRIMINATOR, at::YOUR_DISCRIMINATOR);
    put(&mut frame, at::VERSION_DIAG, [VERSION_1, UP | flags]);
    let has_checksum = get::<2>(probe, at::UDP_CHECKSUM) != [0, 0];
    raw::mend(&mut frame);
    if !has_checksum {
        put(&mut frame, at::UDP_CHECKSUM, [0, 0]);
    }
    frame
}

fn answers_to_raw_probes(hook: &'static str, wiring: Wiring) -> anyhow::Result<()> {
    const POLL: u8 = 0x20;
    const FINAL: u8 = 0x10;
    let bed = Bed::wired(wiring)?;
    let agent = bed.agent_with(AgentOptions { hook, ..AgentOptions::default() })?;
    let socket = PacketSocket::open(&bed.client, ETHERTYPE_IPV4)?;
    let plain = raw::probe(&bed.client, &bed.node, MINE);
    let mut without_checksum = plain.clone();
    put(&mut without_checksum, at::UDP_CHECKSUM, [0, 0]);
    let mut poll = plain.clone();
    poll[at::STATE_FLAGS] |= POLL;
    raw::mend(&mut poll);
    for (probe, flags) in [(plain, 0), (without_checksum, 0), (poll, FINAL)] {
        socket.send(&probe)?;
        let reply = raw::next_reply(&socket, PATIENCE)?.expect("an answer");
        raw::assert_checksums(&reply);
        assert_eq!(reply, reflected(&probe, flags), "{hook}");
    }
    assert_eq!(agent.status()?["frames"]["reflected"], 3);
    Ok(())
}

#[test]
fn tc_reflects_a_probe_field_by_field() -> anyhow::Result<()> {
    answers_to_raw_probes("tc", Wiring::Veth)
}

#[test]
fn generic_xdp_reflects_a_probe_field_by_field() -> anyhow::Result<()> {
    answers_to_raw_probes("xdp-generic", Wiring::Veth)
}

#[test]
fn native_xdp_reflects_a_probe_field_by_field() -> anyhow::Result<()> {
    answers_to_raw_probes("xdp", Wiring::VethWithXdpPeer)
}

/// An initiator over an ordinary socket, which leaves the checksum to the device as every other does.
struct Session {
    socket: UdpSocket,
    node_discriminator: [u8; 4],
    state: u8,
}

/// What a reply says: state and diagnostic code.
type Said = (u8, u8);

const SAYS_UP: Said = (UP, 0);
/// The kernel answers, its agent has not been seen for a while.
const SAYS_UP_WITHOUT_AGENT: Said = (UP, 1);
/// Administratively Down.
const SAYS_ADMIN_DOWN: Said = (ADMIN_DOWN, 7);

impl Session {
    fn open(client: &Host, node: &Host) -> anyhow::Result<Self> {
        let socket = client.netns.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
        socket.set_ttl(255)?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        socket.connect((node.address, raw::PORT))?;
        Ok(Self { socket, node_discriminator: raw::discriminator(node), state: DOWN })
    }

    /// Probes once; the session follows the answer.
    fn probe(&mut self) -> anyhow::Result<Said> {
        let probe = raw::control(self.state, MINE, self.node_discriminator);
        self.socket.send(&probe)?;
        let mut reply = [0; 64];
        let len = self.socket.recv(&mut reply)?;
        let (version, diag, state, flags) =
            (reply[0] & 0xe0, reply[0] & 0x1f, reply[1] & 0xc0, reply[1] & 0x3f);
        assert_eq!((len, version, flags, reply[2], reply[3]), (24, VERSION_1, 0, 3, 24), "{reply:02x?}");
        assert_eq!((get(&reply, 4), get(&reply, 8)), (self.node_discriminator, MINE), "{reply:02x?}");
        self.state = if state == UP { UP } else { DOWN };
        Ok((state, diag))
    }

    /// Probes each 50 ms until the peer says something.
    fn probe_until(&mut self, awaited: Said, patience: Duration) -> anyhow::Result<Vec<Said>> {
        let (begun, mut told) = (Instant::now(), Vec::new());
        while told.last() != Some(&awaited) {
            let said = self.probe()?;
            if told.last() != Some(&said) {
                told.push(said);
            }
            anyhow::ensure!(begun.elapsed() < patience, "waited in vain for {awaited:?}: {told:?}");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(told)
    }
}

#[test]
fn a_session_over_an_ordinary_socket_follows_drain_and_undrain() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let mut session = Session::open(&bed.client, &bed.node)?;
    assert_eq!([session.probe()?, session.probe()?], [SAYS_UP; 2]);
    agent.succeed("drain")?;
    assert_eq!(session.probe()?, SAYS_ADMIN_DOWN, "at once");
    thread::sleep(Duration::from_millis(1_300)); // past a renewal
    assert_eq!(session.probe()?, SAYS_ADMIN_DOWN, "for as long as it is drained");
    agent.succeed("undrain")?;
    assert_eq!(session.probe_until(SAYS_UP, PATIENCE)?.last(), Some(&SAYS_UP));
    Ok(())
}

#[test]
fn a_session_follows_the_lease_of_a_frozen_agent() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let agent = bed.agent_with(short_lease())?;
    let mut session = Session::open(&bed.client, &bed.node)?;
    assert_eq!(session.probe()?, SAYS_UP);
    agent.signal(Signal::SIGSTOP)?;
    let begun = Instant::now();
    let told = session.probe_until(SAYS_ADMIN_DOWN, Duration::from_secs(6))?;
    let took = begun.elapsed();
    assert_eq!(told, [SAYS_UP, SAYS_UP_WITHOUT_AGENT, SAYS_ADMIN_DOWN]);
    let bounds = Duration::from_millis(1_800)..Duration::from_millis(3_300);
    assert!(bounds.contains(&took), "withdrawn {took:?} after the freeze, with a lease of 3 s");
    assert_eq!(agent.status()?["lease"], "expired");
    agent.signal(Signal::SIGCONT)?;
    session.probe_until(SAYS_UP, PATIENCE)?;
    Ok(())
}

/// A frame as tshark reads it.
struct Dissected {
    source: String,
    ports: (String, String),
    /// State, and whether the D bit is set.
    said: (String, String),
    /// The sender's discriminator, then the receiver's.
    discriminators: (String, String),
    /// What tshark has to say against it, whatever the severity.
    troubles: String,
}

impl Dissected {
    const FIELDS: [&str; 11] = [
        "ip.src",
        "udp.srcport",
        "udp.dstport",
        "bfd.sta",
        "bfd.flags.d",
        "bfd.my_discriminator",
        "bfd.your_discriminator",
        "ip.ttl",
        "bfd.version",
        "_ws.expert.message",
        "_ws.malformed",
    ];

    fn read(fields: Vec<String>) -> anyhow::Result<Self> {
        let fields = <[String; Self::FIELDS.len()]>::try_from(fields);
        let [source, from, to, state, demand, mine, yours, ttl, version, expert, malformed] =
            fields.map_err(|fields| anyhow::anyhow!("tshark printed {fields:?}"))?;
        assert_eq!((ttl.as_str(), version.as_str()), ("255", "1"), "TTL and version from {source}");
        let troubles = expert + &malformed;
        Ok(Self { source, ports: (from, to), said: (state, demand), discriminators: (mine, yours), troubles })
    }
}

#[test]
fn tshark_finds_nothing_wrong_with_our_probes_and_replies() -> anyhow::Result<()> {
    let hosts = Hosts::new(2)?;
    // Of two nodes that start at once either may hold the VIP first, then the better rank does.
    let group = hosts.start(&[VIP_ADDRESS], "immediate", &AgentOptions::default())?;
    thread::sleep(Duration::from_secs(1));
    let holder = group.wait_holder(VIP_ADDRESS)?;
    let (reflector, initiator) = (&hosts.nodes[holder], &hosts.nodes[1 - holder]);
    let capture = Capture::start(initiator, "udp port 7784")?;
    send_wrong_checksum(&hosts.client, initiator)?;
    thread::sleep(Duration::from_secs(1));
    group.agents[holder].succeed("drain")?;
    thread::sleep(Duration::from_millis(300));
    let frames = dissect(capture.finish()?.path(), Dissected::FIELDS)?;
    let frames = frames.into_iter().map(Dissected::read).collect::<anyhow::Result<Vec<_>>>()?;
    let from = |host: &Host| -> Vec<&Dissected> {
        let address = host.address.to_string();
        frames.iter().filter(|frame| frame.source == address).collect()
    };

    let wrong: Vec<&str> = from(&hosts.client).iter().map(|frame| frame.troubles.as_str()).collect();
    assert!(wrong.iter().any(|troubles| troubles.contains("checksum")), "tshark does look: {wrong:?}");
    let (probes, replies) = (from(initiator), from(reflector));
    for frame in probes.iter().chain(&replies) {
        assert_eq!(frame.troubles, "", "from {}", frame.source);
    }
    // Up, then AdminDown from the reflector; the initiator has been Up, and looks for it as Down.
    assert_eq!(in_turn(probes.iter().map(|probe| &probe.said)), [("0x03", "1"), ("0x01", "1")]);
    assert_eq!(in_turn(replies.iter().map(|reply| &reply.said)), [("0x03", "0"), ("0x00", "0")]);
    let ours: Vec<_> = probes.iter().map(|probe| (&probe.ports, &probe.discriminators)).collect();
    let ((port, to), (mine, yours)) = ours[0];
    assert!(to == "7784" && port != "7784" && ours.iter().all(|one| *one == ours[0]), "{ours:?}");
    assert_eq!(yours, &format!("0x{:08x}", u32::from_be_bytes(raw::discriminator(reflector))));
    for reply in &replies {
        assert_eq!((&reply.ports.0, &reply.ports.1), (to, port));
        assert_eq!((&reply.discriminators.0, &reply.discriminators.1), (yours, mine));
    }
    assert!(probes.len() > 20 && replies.len() > 20, "{} probes, {} replies", probes.len(), replies.len());
    Ok(())
}

/// What tshark has to find something wrong with; for another node, so that it is not answered.
fn send_wrong_checksum(from: &Host, to: &Host) -> anyhow::Result<()> {
    let mut probe = raw::probe(from, to, MINE);
    probe[at::YOUR_DISCRIMINATOR] ^= 1; // and the checksum is the old one
    Ok(PacketSocket::open(from, ETHERTYPE_IPV4)?.send(&probe)?)
}

/// Equal neighbours as one.
fn in_turn<'a>(all: impl Iterator<Item = &'a (String, String)>) -> Vec<(&'a str, &'a str)> {
    let mut in_turn: Vec<(&str, &str)> = all.map(|(one, other)| (one.as_str(), other.as_str())).collect();
    in_turn.dedup();
    in_turn
}
