//! CPU time of the agent, by threads.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;

/// The thread that talks to the API.
const API_THREAD: &str = "kubernetes";

/// What the threads have taken, in ns of a core.
pub(super) struct Cpu {
    api: u64,
    rest: u64,
}

impl Cpu {
    /// So far.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut all = Self { api: 0, rest: 0 };
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let name = fs::read_to_string(task.join("comm"))?;
            let sum = if name.trim() == API_THREAD { &mut all.api } else { &mut all.rest };
            *sum += on_cpu_ns(&task)?;
        }
        Ok(all)
    }

    /// What the thread that talks to the API, and all others, have taken meanwhile.
    pub(super) fn since(&self, before: &Self) -> [Duration; 2] {
        [(self.api, before.api), (self.rest, before.rest)]
            .map(|(after, before)| Duration::from_nanos(after - before))
    }
}

fn on_cpu_ns(task: &Path) -> anyhow::Result<u64> {
    let path = task.join("schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let first = text.split_whitespace().next().context("an empty schedstat")?;
    first.parse().with_context(|| format!("read a time of {}", path.display()))
}
