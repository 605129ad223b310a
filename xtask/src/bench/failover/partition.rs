//! A segment that falls apart for 10 s with a node and a client on each side, and is joined again.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{Limit, SBFD_DEFAULT, ms, options};
use crate::{
    bench::figures::Figures,
    testbed::{Families, Hosts, Prober, Segment, between, mac_text, witness},
};

/// How long the segment is in parts.
const PARTED: Duration = Duration::from_secs(10);
/// How long is looked on after it is whole again.
const JOINED: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(2);

/// Measures for each family.
pub(super) fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    measure_for(Families::V4, "IPv4", figures)?;
    measure_for(Families::V6, "IPv6", figures)
}

fn measure_for(families: Families, name: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let mut hosts = Hosts::on(Segment::new()?, 2, families)?;
    let near = hosts.segment.host("near")?;
    let unit = families.vip(10);
    let vip = unit.addresses().next().context("a unit has a VIP")?;
    let group = hosts.start(&[unit], "immediate", &options(SBFD_DEFAULT))?;
    let holder = group.wait_holder(unit)?;
    // The client is on the side of the node that has to take over, another one stays with the holder.
    let (kept, cut) = (&hosts.nodes[holder], &hosts.nodes[1 - holder]);
    witness::ping(&hosts.client, vip)?;
    thread::sleep(Duration::from_secs(1));

    hosts.segment.block(&between(&[kept, &near], &[cut, &hosts.client]))?;
    thread::sleep(Duration::from_secs(1));
    let far_side = Prober::start(&hosts.client, vip, INTERVAL)?;
    let near_side = Prober::start(&near, vip, INTERVAL)?;
    let begun = Instant::now();
    thread::sleep(PARTED - Duration::from_secs(1));
    let joined_at = begun.elapsed();
    hosts.segment.block(&[])?;
    let cache_after = cache_is_right(&hosts, vip, &mac_text(kept.mac))?;
    thread::sleep(JOINED);
    let (far_side, near_side) = (far_side.finish()?, near_side.finish()?);

    let silence = far_side.longest_silence.max(near_side.longest_silence);
    let mut add = |what: &str, value, most| {
        figures.add(format!("{name} {what}"), ms(value), "ms", Limit::AtMost(most));
    };
    add("parted, both sides: longest without an answer", silence, 50.0);
    let last_of_two = far_side.timeline.iter().rev().find(|(_, mac)| *mac == cut.mac);
    let (last_of_two, _) = last_of_two.context("the cut-off side was never answered")?;
    let one_holder = last_of_two.saturating_sub(joined_at);
    add("joined: until one node alone answers", one_holder, 200.0);
    add("joined: until the client's cache is right", cache_after, 1_000.0);
    Ok(())
}

/// How long it takes until the client's neighbour cache has this link-layer address, and keeps it for a second.
fn cache_is_right(hosts: &Hosts, vip: IpAddr, mac: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut right_since = None;
    while begun.elapsed() < Duration::from_secs(10) {
        let cached = witness::neighbour(&hosts.client, vip)?;
        let now = begun.elapsed();
        match (cached.as_deref() == Some(mac), right_since) {
            (true, None) => right_since = Some(now),
            (true, Some(since)) if now - since > Duration::from_secs(1) => return Ok(since),
            (true, Some(_)) => {}
            (false, _) => right_since = None,
        }
        thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("the client's cache does not have the holder's address")
}
