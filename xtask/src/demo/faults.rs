//! What can befall a holder, and how long the client goes without an answer.

use std::time::Duration;

use anyhow::Context as _;

use super::{FaultSeen, LEASE_TTL, Stage, VIPS, timeline};
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
    act("node drained", Fault::Drained, 1_500, 100, 30),
    act("holds but does not answer", Fault::Silent, 4_000, 7_000, 0),
    act("segment parted", Fault::Parted, 2_000, 300, 0),
    act("segment whole again", Fault::Joined, 1_000, 100, 75),
];

impl Stage<'_> {
    pub(super) fn play_faults(&mut self) -> anyhow::Result<()> {
        // A node without the VIP among its addresses: its kernel's own ARP does not stand in for a missing entry.
        for node in &self.hosts.nodes {
            node.remove_from_loopback([VIPS[0]])?;
        }
        let first = self.group()?.wait_holder(VIPS[0])?;
        for act in &ACTS {
            let trial = Trial { unit: VIPS[0].into(), first, before: BEFORE, after: act.watch };
            let reports = trial.run(self.group()?, act.fault)?;
            let seen = self.seen(act, &reports[0])?;
            self.say(&format!(
                "\n{}\n  {} ms without an answer, {} before, {} after, {} double answers",
                seen.what, seen.silence_ms, seen.before, seen.after, seen.double_answers
            ));
            self.summary.faults.push(seen);
        }
        Ok(())
    }

    fn seen(&self, act: &Act, report: &Report) -> anyhow::Result<FaultSeen> {
        let name = |answer: Option<&(Duration, [u8; 6])>| -> anyhow::Result<String> {
            let mac = answer.context("no answer at all")?.1;
            Ok(self.node_of(&mac_text(mac)))
        };
        let (before, after) = (name(report.timeline.first())?, name(report.timeline.last())?);
        let silence_ms = report.longest_silence.as_millis();
        let ok =
            silence_ms <= act.silence_ms && before != after && report.doubly_answered <= act.double_answers;
        let answers = report.timeline.iter().map(|&(when, mac)| (when, self.node_of(&mac_text(mac))));
        let timeline =
            timeline::Lane { answers: answers.collect(), fault_at: BEFORE, len: BEFORE + act.watch };
        Ok(FaultSeen {
            what: act.what.to_owned(),
            silence_ms,
            before,
            after,
            double_answers: report.doubly_answered,
            ok,
            timeline,
        })
    }
}
