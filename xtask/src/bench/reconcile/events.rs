//! One Service gets another VIP.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use lb_common::maps::VipKey;

use super::{
    Figures, Limit,
    bed::{Bed, Map, open},
    cluster::{SERVICES, at_service, service_name, status, vip},
    cpu::Cpu,
    ms, percentile,
};
use crate::testbed::Agent;

const EVENTS: u32 = 300;
const INTERVAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
/// Between the Services that change, by number.
const APART: u32 = 31;

/// Measures, for the agent of the first node.
pub(super) fn measure(bed: &Bed, agent: &Agent<'_>, figures: &mut Figures) -> anyhow::Result<()> {
    figures.say(&format!("{EVENTS} times a Service gets another VIP"));
    bed.wait_quiet()?;
    let map = open(agent)?;
    let (before, mut took) = (Cpu::of(agent.pid()?)?, Vec::new());
    for event in 0..EVENTS {
        thread::sleep(INTERVAL);
        took.push(ms(change(bed, &map, event).with_context(|| agent.log())?));
    }
    let taken = Cpu::of(agent.pid()?)?.since(&before).map(|taken| ms(taken) / f64::from(EVENTS));
    figures.add("from the request at the API to the map, median", percentile(&took, 50), "ms", Limit::None);
    let what = "from the request at the API to the map, 99th percentile";
    figures.add(what, percentile(&took, 99), "ms", Limit::AtMost(10.0));
    figures.add("the same, longest", percentile(&took, 100), "ms", Limit::None);
    figures.add("CPU of the thread that talks to the API, for each", taken[0], "ms", Limit::None);
    figures.add("CPU of the other threads, asks included, for each", taken[1], "ms", Limit::None);
    Ok(())
}

/// How long it takes from the moment when the request has come to the API.
fn change(bed: &Bed, map: &Map, event: u32) -> anyhow::Result<Duration> {
    let name = service_name(event * APART % SERVICES);
    let address = vip(SERVICES + event);
    let key = bed.key(0, address);
    let api = bed.api()?;
    api.forget_requests();
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| seen(map, key));
        bed.plane.client().set_status(at_service(&name), &status(address))?;
        seen.join().map_err(|_| anyhow::anyhow!("the watcher of the map panicked"))?
    })?;
    let requests = api.requests();
    let came = requests.iter().find(|record| record.is_write() && record.name == name);
    Ok(seen.duration_since(came.context("the change is not in the API's log")?.at))
}

/// When the map has an entry.
fn seen(map: &Map, key: VipKey<[u8; 4]>) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if map.get(key)?.is_some() {
            return Ok(Instant::now());
        }
        thread::sleep(Duration::from_micros(100));
    }
    bail!("the map has not got the VIP within {PATIENCE:?}")
}
