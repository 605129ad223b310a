//! An agent that has nothing to do: its memory, and how often its threads wake up.

use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

use anyhow::Context as _;

use super::{Figures, Limit};
use crate::testbed::Agent;

/// The announcements of the first five seconds are over by then; the next come a minute after the first.
const SETTLED_AFTER: Duration = Duration::from_secs(8);
const WATCHED_FOR: u32 = 10;
/// The agent's only timer while nothing happens: every 200 ms it stamps the kernel's record of it; each fifth time it
/// tests the programs and renews the lease as well.
const TICKS_PER_S: f64 = 5.0;

/// Wake-ups by thread, and what no timer explains.
pub(super) fn measure(agent: &Agent<'_>, figures: &mut Figures) -> anyhow::Result<()> {
    figures.say(&format!("Wake-ups of each thread, over {WATCHED_FOR} s in which nothing happens"));
    thread::sleep(SETTLED_AFTER);
    let pid = agent.pid()?;
    let before = switches(pid)?;
    thread::sleep(Duration::from_secs(WATCHED_FOR.into()));
    let mut total = 0.0;
    for ((thread, name), after) in switches(pid)? {
        let count = after - before.get(&(thread, name.clone())).copied().unwrap_or(0);
        let rate = f64::from(u32::try_from(count)?) / f64::from(WATCHED_FOR);
        total += rate;
        figures.add(format!("thread {name}"), rate, "/s", Limit::None);
    }
    figures.add("caused by the tick of 200 ms, the lease in each fifth", TICKS_PER_S, "/s", Limit::None);
    figures.add("without a timer to explain them", (total - TICKS_PER_S).max(0.0), "/s", Limit::AtMost(1.0));
    Ok(())
}

/// Resident memory in MB (10^6 bytes).
pub(in crate::bench) fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the agent's status")?;
    let kib = field(&status, "VmRSS:").context("no VmRSS in the agent's status")?;
    Ok(f64::from(u32::try_from(kib)?) * 1_024.0 / 1e6)
}

/// How often each thread has gone to sleep by itself, by id and name.
fn switches(pid: u32) -> anyhow::Result<BTreeMap<(String, String), u64>> {
    fs::read_dir(format!("/proc/{pid}/task"))?
        .map(|entry| thread_switches(&entry?.path()))
        .collect::<anyhow::Result<_>>()
        .context("read the agent's threads")
}

fn thread_switches(task: &Path) -> anyhow::Result<((String, String), u64)> {
    let name = fs::read_to_string(task.join("comm"))?.trim().to_owned();
    let status = fs::read_to_string(task.join("status"))?;
    let count = field(&status, "voluntary_ctxt_switches:").context("no count of context switches")?;
    let id = task.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(((id, name), count))
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSS:\t   12340 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(12_340));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
