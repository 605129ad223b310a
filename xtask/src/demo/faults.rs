//! What can befall a holder, and how long the client goes without an answer.

use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{FaultSeen, LEASE_TTL, PAIR, Stage, silences, timeline};
use crate::testbed::{Fault, Report, Trial, mac_text};

/// How much of the time before a fault is shown.
const BEFORE: Duration = Duration::from_millis(500);

/// A fault: what it is called, for how long to look, and what the client may see; the machine may be busy.
struct Act {
    what: &'static str,
    fault: Fault,
    watch: Duration,
    /// Longest silence allowed, in ms.
    silence_ms: u128,
    /// Requests that may be answered twice.
    double_answers: u64,
}

const fn act(what: &'static str, fault: Fault, watch_ms: u64, silence_ms: u128, double_answers: u64) -> Act {
    Act { what, fault, watch: Duration::from_millis(watch_ms), silence_ms, double_answers }
}

const ACTS: [Act; 7] = [
    act("port cut", Fault::PortCut, 1_500, 300, 0),
    act("agent frozen past its lease", Fault::Frozen, LEASE_TTL * 1_000 + 1_000, 150, 0),
    act("agent killed", Fault::Killed, LEASE_TTL * 1_000 + 1_000, 150, 0),
    act("node drained", Fault::Drained, 1_500, 100, 75),
    act("holds but does not answer", Fault::Silent, 4_000, 7_000, 0),
    act("segment parted", Fault::Parted, 2_000, 300, 0),
    act("segment whole again", Fault::Joined, 1_000, 100, 75),
];

impl Stage<'_> {
    pub(super) fn play_faults(&mut self) -> anyhow::Result<()> {
        // A node without the VIPs among its addresses: its kernel does not stand in for a missing entry.
        for node in &self.hosts.nodes {
            node.remove_from_loopback(PAIR.addresses())?;
        }
        let first = self.group()?.wait_holder(PAIR)?;
        for act in &ACTS {
            let trial = Trial { unit: PAIR, first, before: BEFORE, after: act.watch };
            let reports = trial.run(self.group()?, act.fault)?;
            let seen = self.seen(act, &reports)?;
            self.say(&format!(
                "\n{}\n  {} without an answer, {} before, {} after, {} double answers",
                seen.what,
                silences(&seen.silence_ms),
                seen.before,
                seen.after,
                seen.double_answers
            ));
            self.summary.faults.push(seen);
        }
        Ok(())
    }

    fn seen(&self, act: &Act, reports: &[Report]) -> anyhow::Result<FaultSeen> {
        let before = self.same_for_all(reports, |report| report.timeline.first())?;
        let after = self.same_for_all(reports, |report| report.timeline.last())?;
        let silence_ms: Vec<u128> = reports.iter().map(|report| report.longest_silence.as_millis()).collect();
        let double_answers = reports.iter().map(|report| report.doubly_answered).max().unwrap_or(0);
        let ok = silence_ms.iter().all(|silence| *silence <= act.silence_ms)
            && before != after
            && double_answers <= act.double_answers;
        Ok(FaultSeen {
            what: act.what.to_owned(),
            silence_ms,
            before,
            after,
            double_answers,
            ok,
            timeline: self.lane(act, reports),
        })
    }

    /// The name of the node that gave one answer of each report.
    fn same_for_all(
        &self,
        reports: &[Report],
        answer: impl Fn(&Report) -> Option<&(Duration, [u8; 6])>,
    ) -> anyhow::Result<String> {
        let mut names = Vec::new();
        for report in reports {
            let (_, mac) = answer(report).context("no answer at all")?;
            names.push(self.node_of(&mac_text(*mac)));
        }
        names.dedup();
        let [name] = names.as_slice() else {
            bail!("VIPs that go together are with {}", names.join(" and "))
        };
        Ok(name.clone())
    }

    /// The answers for all VIPs, in order of time.
    fn lane(&self, act: &Act, reports: &[Report]) -> timeline::Lane {
        let all = reports.iter().flat_map(|report| &report.timeline);
        let mut answers: Vec<_> = all.map(|&(when, mac)| (when, self.node_of(&mac_text(mac)))).collect();
        answers.sort();
        timeline::Lane { answers, fault_at: BEFORE, len: BEFORE + act.watch }
    }
}
