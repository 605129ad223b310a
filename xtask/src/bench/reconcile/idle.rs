//! Nothing happens but that the Nodes' kubelets tell that they are alive.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;

use super::{
    Figures, Limit,
    bed::Bed,
    cluster::{NODES, at_node, conditions},
    cpu::Cpu,
};
use crate::{
    bench::start::resident_mb,
    testbed::{Agent, api::Record},
};

const WATCHED_FOR: Duration = Duration::from_secs(20);
const HEARTBEATS_PER_S: u32 = 100;

/// Measures, for the agent of the first node.
pub(super) fn measure(bed: &Bed, agent: &Agent<'_>, figures: &mut Figures) -> anyhow::Result<()> {
    bed.wait_quiet()?;
    figures.say(&format!("Heartbeats of {NODES} Nodes for {} s", WATCHED_FOR.as_secs()));
    let pid = agent.pid()?;
    bed.api()?.forget_requests();
    let (begun, before) = (Instant::now(), Cpu::of(pid)?);
    let heartbeats = beat(bed)?;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), Cpu::of(pid)?);
    let writes = bed.api()?.requests_where(Record::is_write).len();
    let [of_api, of_rest] = after.since(&before).map(|taken| taken.as_secs_f64() / seconds * 100.0);
    // Fewer would prove less.
    let rate = f64::from(heartbeats) / seconds;
    figures.add("heartbeats", rate, "/s", Limit::AtLeast(f64::from(HEARTBEATS_PER_S) * 0.97));
    figures.add("CPU of the thread that talks to the API", of_api, "%", Limit::AtMost(2.0));
    figures.add("CPU of the other threads", of_rest, "%", Limit::None);
    figures.add("writes to the API", f64::from(u32::try_from(writes)?), "", Limit::AtMost(0.0));
    figures.add("memory, resident", resident_mb(pid)?, "MB", Limit::AtMost(150.0));
    Ok(())
}

/// One heartbeat after the other; says how many.
fn beat(bed: &Bed) -> anyhow::Result<u32> {
    let begun = Instant::now();
    let interval = Duration::from_secs(1) / HEARTBEATS_PER_S;
    let mut sent = 0;
    while begun.elapsed() < WATCHED_FOR {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let name = format!("n{}", sent % NODES + 1);
        bed.plane.client().set_status(at_node(&name), &json!({"conditions": conditions(&now)}))?;
        sent += 1;
        thread::sleep((interval * sent).saturating_sub(begun.elapsed()));
    }
    Ok(sent)
}
