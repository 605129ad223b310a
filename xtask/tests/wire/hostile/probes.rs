//! Forged probes towards the reflector: no answer, and a counter that names the reason.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use lb_common::wire::ethernet::ETHERTYPE_IPV4;
use xtask::testbed::{Agent, AgentOptions, PacketSocket, Wiring};

use crate::{
    Bed,
    raw::{self, DEMAND, FRAME_LEN, PORT, at, get, put},
};

const PATIENCE: Duration = Duration::from_secs(2);
/// Answers in a second to all senders that are no peers, and as many at once.
const UNKNOWN_REPLIES: u64 = 100;

/// What is wrong with a frame, how it is made so, and the counter that has to say so.
type Forgery = (&'static str, fn(&mut Vec<u8>), &'static str);

const FORGERIES: [Forgery; 24] = [
    ("a source off the link", |frame| put(frame, at::SOURCE, [192, 0, 2, 1]), "sbfd_off_link"),
    ("the node's own address as source", |frame| own_source(frame), "sbfd_own_source"),
    ("a broadcast source", |frame| put(frame, at::SOURCE, [10, 77, 255, 255]), "sbfd_not_unicast"),
    ("a multicast source", |frame| put(frame, at::SOURCE, [224, 0, 0, 1]), "sbfd_off_link"),
    ("another destination", |frame| put(frame, at::DESTINATION, [10, 77, 9, 9]), "sbfd_other_destination"),
    ("a broadcast frame", |frame| put(frame, 0, [0xff; 6]), "sbfd_other_destination"),
    ("a reflector's port", |frame| put(frame, at::SOURCE_PORT, PORT.to_be_bytes()), "sbfd_source_port"),
    ("TTL 254", |frame| frame[at::TTL] = 254, "sbfd_hop_limit"),
    ("TTL 1", |frame| frame[at::TTL] = 1, "sbfd_hop_limit"),
    ("options in the IP header", with_options, "sbfd_ip_header"),
    ("a first fragment", |frame| put(frame, at::FRAGMENT, [0x20, 0]), "sbfd_fragment"),
    ("cut behind the ports", |frame| frame.truncate(at::UDP_LEN), "sbfd_truncated"),
    ("cut before the Control packet", |frame| frame.truncate(at::VERSION_DIAG), "sbfd_truncated"),
    ("cut within the Control packet", |frame| frame.truncate(at::YOUR_DISCRIMINATOR), "sbfd_truncated"),
    ("cut by one byte", |frame| frame.truncate(FRAME_LEN - 1), "sbfd_truncated"),
    ("a short datagram by its own account", |frame| put(frame, at::UDP_LEN, [0, 31]), "sbfd_length"),
    ("a long packet by its own account", |frame| put(frame, at::TOTAL_LEN, [0, 60]), "sbfd_length"),
    ("version 2", |frame| frame[at::VERSION_DIAG] = 0x40, "sbfd_version"),
    ("a Control length of 23", |frame| frame[at::LENGTH] = 23, "sbfd_control_length"),
    ("authentication", |frame| frame[at::STATE_FLAGS] |= 0x04, "sbfd_unsupported"),
    ("no multiplier", |frame| frame[at::DETECT_MULT] = 0, "sbfd_zero"),
    ("no discriminator of the sender", |frame| put(frame, at::MY_DISCRIMINATOR, [0; 4]), "sbfd_zero"),
    ("another discriminator", |frame| frame[at::YOUR_DISCRIMINATOR] ^= 1, "sbfd_other_discriminator"),
    ("no D bit", |frame| frame[at::STATE_FLAGS] &= !DEMAND, "sbfd_not_demand"),
];

fn own_source(frame: &mut [u8]) {
    let own = get::<4>(frame, at::DESTINATION);
    put(frame, at::SOURCE, own);
}

/// Four bytes of No Operation (RFC 791, 3.1), everything behind them as before.
fn with_options(frame: &mut Vec<u8>) {
    frame.splice(at::SOURCE_PORT..at::SOURCE_PORT, [1; 4]);
    frame[at::IP] = 0x46;
    put(frame, at::TOTAL_LEN, [0, 56]);
}

/// Counters of S-BFD that have gone up since `before`.
fn counted(agent: &Agent<'_>, before: &BTreeMap<String, u64>) -> anyhow::Result<BTreeMap<String, u64>> {
    let now = counters(agent)?;
    Ok(now
        .into_iter()
        .map(|(name, count)| (name.clone(), count - before[&name]))
        .filter(|&(_, more)| more > 0)
        .collect())
}

fn counters(agent: &Agent<'_>) -> anyhow::Result<BTreeMap<String, u64>> {
    let frames = serde_json::from_value::<BTreeMap<String, u64>>(agent.status()?["frames"].take())?;
    Ok(frames.into_iter().filter(|(name, _)| name.starts_with("sbfd") || name.starts_with("refl")).collect())
}

/// Each forgery is followed by a good probe: what is answered first shows what was not answered.
fn refuses_forgeries(hook: &'static str, wiring: Wiring) -> anyhow::Result<()> {
    let bed = Bed::wired(wiring)?;
    let agent = bed.agent_with(AgentOptions { hook, ..AgentOptions::default() })?;
    let socket = PacketSocket::open(&bed.client, ETHERTYPE_IPV4)?;
    for (number, (what, forge, reason)) in (0_u8..).zip(FORGERIES) {
        let before = counters(&agent)?;
        let mut forged = raw::probe(&bed.client, &bed.node, [0xbb; 4]);
        forge(&mut forged);
        if forged.len() == FRAME_LEN {
            raw::mend(&mut forged); // nothing else is wrong with it
        }
        socket.send(&forged)?;
        let mine = [0xaa, 0, 0, number];
        socket.send(&raw::probe(&bed.client, &bed.node, mine))?;
        let reply = raw::next_reply(&socket, PATIENCE)?.expect("an answer to the good probe");
        assert_eq!(get(&reply, at::YOUR_DISCRIMINATOR), mine, "{hook}: {what} is answered: {reply:02x?}");
        let expected = [("reflected", 1), (reason, 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counted(&agent, &before)?, expected.into(), "{hook}: {what}");
    }
    Ok(())
}

#[test]
fn forged_probes_are_not_answered_and_counted_by_tc() -> anyhow::Result<()> {
    refuses_forgeries("tc", Wiring::Veth)
}

#[test]
fn forged_probes_are_not_answered_and_counted_by_xdp() -> anyhow::Result<()> {
    refuses_forgeries("xdp", Wiring::VethWithXdpPeer)
}

#[test]
fn a_flood_of_probes_of_unknown_senders_is_answered_within_bounds() -> anyhow::Result<()> {
    const PROBES: u32 = 3_000;
    let bed = Bed::new()?;
    let agent = bed.agent()?;
    let socket = PacketSocket::open(&bed.client, ETHERTYPE_IPV4)?;
    let before = counters(&agent)?;
    let begun = Instant::now();
    for number in 0..PROBES {
        let mut probe = raw::probe(&bed.client, &bed.node, [0xaa; 4]);
        let [.., high, low] = number.to_be_bytes();
        put(&mut probe, at::SOURCE, [10, 77, 0x80 | high, low]); // another sender each time
        raw::mend(&mut probe);
        socket.send(&probe)?;
    }
    let seconds = begun.elapsed().as_secs() + 1;
    let counted = counted(&agent, &before)?;
    let (reflected, limited) = (counted["reflected"], counted["sbfd_limited"]);
    let bounds = UNKNOWN_REPLIES..=UNKNOWN_REPLIES * (1 + seconds);
    assert!(bounds.contains(&reflected), "{counted:?} within {seconds} s");
    assert!(reflected + limited <= u64::from(PROBES) && limited > u64::from(PROBES) / 2, "{counted:?}");
    Ok(())
}
