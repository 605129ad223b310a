//! A node that holds a thousand VIPs is cut off: how long the other one takes from the detection until its kernel
//! answers for all of them, and until all of them have been announced.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use lb_common::wire::{
    arp::{Frame, Kind},
    ethernet::{ETHERTYPE_ARP, Mac},
};

use super::{Limit, SBFD_DEFAULT, ms, options};
use crate::{
    bench::figures::{Figures, percentile},
    testbed::{Agent, Host, Hosts, PacketSocket, VipMap},
};

/// Of two nodes each is the first for about half of them.
const VIPS: &str = "10.77.16.0-10.77.24.63";
const COUNT: usize = 2_112;
const AT_LEAST: usize = 1_000;
/// Time for the group to settle, and for a takeover to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn measure(hosts: &Hosts, rounds: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let [lost, other, ..] = hosts.nodes.as_slice() else { anyhow::bail!("a segment of two nodes at least") };
    let nodes =
        [lost, other].map(|host| format!("{{name: {}, address: {}}}", host.name, host.address)).join(", ");
    let config = format!("nodes: [{nodes}]\nvips: [{VIPS}]\nfailback: immediate");
    let agents = [lost, other].map(|host| Agent::start(host, &config, options(SBFD_DEFAULT)));
    let [lost_agent, other_agent] = agents;
    let (lost_agent, other_agent) = (lost_agent?, other_agent?);
    let mut maps = [VipMap::open(&lost_agent.maps()?)?, VipMap::open(&other_agent.maps()?)?];
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
        figures.add(format!("{what}, longest"), percentile(values, 100), "ms", Limit::AtMost(most));
    };
    add("from the detection until all are programmed", &programmed, 20.0);
    add("from the detection until all are announced", &announced, 150.0);
    Ok(())
}

/// Waits until each VIP is held by one node, and for a while more; says how many are held by the first.
fn settled(maps: &mut [VipMap<[u8; 4]>; 2]) -> anyhow::Result<usize> {
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

fn takeover(
    hosts: &Hosts,
    lost: &Host,
    agent: &Agent<'_>,
    map: &mut VipMap<[u8; 4]>,
    of_lost: usize,
) -> anyhow::Result<Takeover> {
    let logged = agent.log().len();
    let socket = PacketSocket::open(&hosts.client, ETHERTYPE_ARP)?;
    let stop = AtomicBool::new(false);
    let (programmed_at, announced_at) = thread::scope(|scope| {
        let announcements = scope.spawn(|| last_announcement(&socket, agent.host().mac, of_lost, &stop));
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
fn all_announced(map: &mut VipMap<[u8; 4]>) -> anyhow::Result<SystemTime> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if map.announced()? == COUNT {
            return Ok(SystemTime::now());
        }
        thread::sleep(Duration::from_micros(500));
    }
    anyhow::bail!("not every VIP is taken over")
}

/// When `expected` VIPs have been announced by a station, in the request form, for the first time.
fn last_announcement(
    socket: &PacketSocket,
    station: Mac,
    expected: usize,
    stop: &AtomicBool,
) -> anyhow::Result<SystemTime> {
    let mut announced: BTreeSet<Ipv4Addr> = BTreeSet::new();
    let mut buffer = [0_u8; 128];
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
        let Some(bytes) = socket.receive(&mut buffer, Duration::from_millis(100))? else { continue };
        let Ok((frame, Kind::Announcement)) = Frame::parse(bytes) else { continue };
        if frame.sha == station {
            announced.insert(frame.spa.into());
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
