//! A node that holds a thousand VIPs is cut off: how long the other one takes from the detection until its kernel
//! answers for all of them, and until all of them have been announced.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use lb_common::wire::{
    arp,
    ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Mac},
    icmpv6::ndp,
};

use super::{Limit, SBFD_DEFAULT, ms, options};
use crate::{
    bench::figures::{Figures, percentile},
    testbed::{Address, Agent, Families, Host, Hosts, PacketSocket, VipMap},
};

/// How many VIPs there are.
const COUNT: usize = 2_112;
const AT_LEAST: usize = 1_000;
/// Time for the group to settle, and for a takeover to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// In what VIPs of the two families differ.
trait Vip: Address + Ord + Send {
    const FAMILY: Families;
    const NAME: &str;
    /// [`COUNT`] VIPs, as the configuration has them. Of two nodes each is the first for about half of them.
    const VIPS: &str;
    const ETHERTYPE: u16;
    /// Of an announcement, in the form that comes first: the VIP, and the station that has it.
    fn announced(frame: &[u8]) -> Option<(Self, Mac)>;
}

impl Vip for [u8; 4] {
    const FAMILY: Families = Families::V4;
    const NAME: &str = "IPv4";
    const VIPS: &str = "10.77.16.0-10.77.24.63";
    const ETHERTYPE: u16 = ETHERTYPE_ARP;

    fn announced(frame: &[u8]) -> Option<(Self, Mac)> {
        let (frame, kind) = arp::Frame::parse(frame).ok()?;
        (kind == arp::Kind::Announcement).then_some((frame.spa, frame.sha))
    }
}

impl Vip for [u8; 16] {
    const FAMILY: Families = Families::V6;
    const NAME: &str = "IPv6";
    const VIPS: &str = "\"fd77::16:0-fd77::16:83f\"";
    const ETHERTYPE: u16 = ETHERTYPE_IPV6;

    fn announced(frame: &[u8]) -> Option<(Self, Mac)> {
        let (head, message) = ndp::parse(frame).ok()?;
        let is_announcement = message.kind == ndp::Kind::UnsolicitedAdvertisement;
        is_announcement.then_some((head.target_address, message.link_layer_address?))
    }
}

/// Measures for IPv4 between nodes that know each other by IPv4, and then the same for IPv6.
pub(super) fn measure(hosts: &mut Hosts, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
    measure_for::<[u8; 4]>(hosts, rounds, figures)?;
    measure_for::<[u8; 16]>(hosts, rounds, figures)?;
    hosts.families = Families::V4;
    Ok(())
}

fn measure_for<A: Vip>(hosts: &mut Hosts, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
    hosts.families = A::FAMILY;
    let [lost, other, ..] = hosts.nodes.as_slice() else { anyhow::bail!("a segment of two nodes at least") };
    let nodes = hosts.list([lost, other]);
    let config = format!("nodes: [{nodes}]\nvips: [{}]\nfailback: immediate", A::VIPS);
    let agents = [lost, other].map(|host| Agent::start(host, &config, options(SBFD_DEFAULT)));
    let [lost_agent, other_agent] = agents;
    let (lost_agent, other_agent) = (lost_agent?, other_agent?);
    let mut maps = [VipMap::<A>::open(&lost_agent.maps()?)?, VipMap::open(&other_agent.maps()?)?];
    let (mut programmed, mut announced) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let of_lost = settled(&mut maps)?;
        ensure!(of_lost >= AT_LEAST, "only {of_lost} VIPs are on {}", lost.name);
        let takeover = takeover(hosts, lost, &other_agent, &mut maps[1], of_lost)?;
        programmed.push(ms(takeover.programmed));
        announced.push(ms(takeover.announced));
        hosts.segment.set_port(lost, true)?;
    }
    let mut add = |what: &str, values: &[f64], most| {
        let name = format!("{} from the detection until all are {what}, longest", A::NAME);
        figures.add(name, percentile(values, 100), "ms", Limit::AtMost(most));
    };
    add("programmed", &programmed, 20.0);
    add("announced", &announced, 150.0);
    Ok(())
}

/// Waits until each VIP is held by one node, and for a while more; says how many are held by the first.
fn settled<A: Vip>(maps: &mut [VipMap<A>; 2]) -> anyhow::Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = [0, 0];
    while Instant::now() < deadline {
        thread::sleep(Duration::from_secs(1));
        let now = [maps[0].announced()?, maps[1].announced()?];
        if now == last && now.iter().sum::<usize>() == COUNT && now[0] >= AT_LEAST {
            return Ok(now[0]);
        }
        last = now;
    }
    anyhow::bail!("the VIPs do not settle: {last:?} of {COUNT} on the two nodes")
}

/// Times from the detection on.
struct Takeover {
    programmed: Duration,
    announced: Duration,
}

fn takeover<A: Vip>(
    hosts: &Hosts,
    lost: &Host,
    agent: &Agent<'_>,
    map: &mut VipMap<A>,
    of_lost: usize,
) -> anyhow::Result<Takeover> {
    let logged = agent.log().len();
    let socket = PacketSocket::open(&hosts.client, A::ETHERTYPE)?;
    let stop = AtomicBool::new(false);
    let (programmed_at, announced_at) = thread::scope(|scope| {
        let announcements = scope.spawn(|| last_announcement::<A>(&socket, agent.host().mac, of_lost, &stop));
        let programmed_at = hosts.segment.set_port(lost, false).and_then(|()| all_announced(map));
        stop.store(programmed_at.is_err(), Ordering::Relaxed);
        let announced_at = announcements.join().map_err(|_| anyhow::anyhow!("the listener panicked"))?;
        anyhow::Ok((programmed_at?, announced_at?))
    })?;
    let detected_at = detection(&agent.log()[logged..])?;
    let since =
        |at: SystemTime| at.duration_since(detected_at).context("taken before the detection was logged");
    Ok(Takeover { programmed: since(programmed_at)?, announced: since(announced_at)? })
}

/// When the map announces every VIP.
fn all_announced<A: Vip>(map: &mut VipMap<A>) -> anyhow::Result<SystemTime> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if map.announced()? == COUNT {
            return Ok(SystemTime::now());
        }
        thread::sleep(Duration::from_micros(500));
    }
    anyhow::bail!("not every VIP is taken over")
}

/// When `expected` VIPs have been announced by a station for the first time.
fn last_announcement<A: Vip>(
    socket: &PacketSocket,
    station: Mac,
    expected: usize,
    stop: &AtomicBool,
) -> anyhow::Result<SystemTime> {
    let mut announced: BTreeSet<A> = BTreeSet::new();
    let mut buffer = [0_u8; 128];
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
        let Some(bytes) = socket.receive(&mut buffer, Duration::from_millis(100))? else { continue };
        let Some((vip, by)) = A::announced(bytes) else { continue };
        if by == station {
            announced.insert(vip);
        }
        if announced.len() == expected {
            return Ok(SystemTime::now());
        }
    }
    anyhow::bail!("{} of {expected} VIPs were announced", announced.len())
}

/// When the agent logged that a node is down.
fn detection(log: &str) -> anyhow::Result<SystemTime> {
    let line =
        log.lines().find(|line| line.contains("node is down")).context("no node is down by the log")?;
    let stamp = line.split_whitespace().next().context("an empty line in the log")?;
    humantime::parse_rfc3339(stamp).with_context(|| format!("read a time of the log: {stamp}"))
}
