//! Nothing happens but that the Nodes' kubelets tell that they are alive.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use serde_json::json;

use super::{
    Figures, Limit,
    bed::Bed,
    cluster::{NODES, at_node, conditions},
};
use crate::{
    bench::start::resident_mb,
    testbed::{Agent, api::Record},
};

const WATCHED_FOR: Duration = Duration::from_secs(20);
const HEARTBEATS_PER_S: u32 = 100;
/// The thread of the agent that talks to the API.
const API_THREAD: &str = "kubernetes";

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
    let percent =
        |before: u64, after: u64| Duration::from_nanos(after - before).as_secs_f64() / seconds * 100.0;
    // Fewer would prove less.
    let rate = f64::from(heartbeats) / seconds;
    figures.add("heartbeats", rate, "/s", Limit::AtLeast(f64::from(HEARTBEATS_PER_S) * 0.97));
    let of_api = percent(before.api, after.api);
    figures.add("CPU of the thread that talks to the API", of_api, "%", Limit::AtMost(2.0));
    figures.add("CPU of the other threads", percent(before.rest, after.rest), "%", Limit::None);
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

/// What threads have taken, in ns of a core.
struct Cpu {
    api: u64,
    rest: u64,
}

impl Cpu {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let mut all = Self { api: 0, rest: 0 };
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let name = fs::read_to_string(task.join("comm"))?;
            let sum = if name.trim() == API_THREAD { &mut all.api } else { &mut all.rest };
            *sum += on_cpu_ns(&task)?;
        }
        Ok(all)
    }
}

fn on_cpu_ns(task: &Path) -> anyhow::Result<u64> {
    let path = task.join("schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let first = text.split_whitespace().next().context("an empty schedstat")?;
    first.parse().with_context(|| format!("read a time of {}", path.display()))
}
