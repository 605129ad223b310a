//! What can befall a holder, and how long the client goes without an answer.

use std::{thread, time::Duration};

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::{Fault, LEASE_TTL, Stage, VIPS, timeline};
use crate::testbed::{Group, Host, Prober, Report, between, mac_text};

/// Between two requests of a prober.
const INTERVAL: Duration = Duration::from_millis(2);
/// How much of the time before a fault is shown.
const BEFORE: Duration = Duration::from_millis(500);

/// A fault: what it is called, what to do, for how long to look, how to undo it, and what the client may see.
struct Act {
    what: &'static str,
    begin: fn(&mut Group<'_>, usize) -> anyhow::Result<()>,
    watch: Duration,
    end: fn(&mut Group<'_>, usize) -> anyhow::Result<()>,
    /// Longest silence allowed, in ms.
    silence_ms: u128,
    /// Whether another node has to answer in the end.
    moves: bool,
    /// Requests that may be answered twice.
    double_answers: u64,
}

const ACTS: [Act; 7] = [
    Act {
        what: "port cut",
        begin: |group, holder| group.hosts.segment.set_port(&group.hosts.nodes[holder], false),
        watch: Duration::from_millis(1_500),
        end: |group, holder| group.hosts.segment.set_port(&group.hosts.nodes[holder], true),
        silence_ms: 300,
        moves: true,
        double_answers: 0,
    },
    Act {
        what: "agent frozen past its lease",
        begin: |group, holder| group.agents[holder].signal(Signal::SIGSTOP),
        watch: Duration::from_secs(LEASE_TTL + 1),
        end: |group, holder| group.agents[holder].signal(Signal::SIGCONT),
        silence_ms: 150,
        moves: true,
        double_answers: 0,
    },
    Act {
        what: "agent killed",
        begin: |group, holder| group.agents[holder].end(Signal::SIGKILL),
        watch: Duration::from_secs(LEASE_TTL + 1),
        end: |group, holder| group.agents[holder].spawn(),
        silence_ms: 150,
        moves: true,
        double_answers: 0,
    },
    Act {
        what: "node drained",
        begin: |group, holder| group.agents[holder].succeed("drain").map(drop),
        watch: Duration::from_millis(1_500),
        end: |group, holder| group.agents[holder].succeed("undrain").map(drop),
        silence_ms: 30,
        moves: true,
        double_answers: 30,
    },
    Act {
        what: "holds but does not answer",
        begin: |group, holder| group.remove_entry(holder, VIPS[0]),
        watch: Duration::from_millis(4_000),
        end: |group, holder| {
            // The agent writes the map anew when its interface has been down.
            group.hosts.segment.set_port(&group.hosts.nodes[holder], false)?;
            thread::sleep(Duration::from_millis(200));
            group.hosts.segment.set_port(&group.hosts.nodes[holder], true)
        },
        silence_ms: 7_000,
        moves: true,
        double_answers: 0,
    },
    Act {
        what: "segment parted",
        begin: |group, holder| group.hosts.segment.block(&parted(group, holder)),
        watch: Duration::from_millis(2_000),
        end: |_, _| Ok(()),
        silence_ms: 300,
        moves: true,
        double_answers: 0,
    },
    Act {
        what: "segment whole again",
        begin: |group, _| group.hosts.segment.block(&[]),
        watch: Duration::from_millis(1_000),
        end: |_, _| Ok(()),
        silence_ms: 30,
        moves: true,
        double_answers: 75,
    },
];

/// The holder on one side, everyone else on the other.
fn parted<'a>(group: &'a Group<'_>, holder: usize) -> Vec<(&'a Host, &'a Host)> {
    let hosts = group.hosts;
    let others = hosts.nodes.iter().enumerate().filter(|&(number, _)| number != holder).map(|(_, node)| node);
    let others: Vec<&Host> = others.chain([&hosts.client]).collect();
    between(&[&hosts.nodes[holder]], &others)
}

impl Stage<'_> {
    pub(super) fn play_faults(&mut self) -> anyhow::Result<()> {
        // A node without the VIP among its addresses: its kernel's own ARP does not stand in for a missing entry.
        for node in &self.hosts.nodes {
            node.remove_from_loopback(VIPS[0])?;
        }
        let first = self.group()?.wait_holder(VIPS[0])?;
        for act in &ACTS {
            let group = self.group()?;
            if act.what != "segment whole again" {
                group.wait_held_by(VIPS[0], first)?;
            }
            thread::sleep(Duration::from_millis(500));
            let prober = Prober::start(&group.hosts.client, VIPS[0], INTERVAL)?;
            thread::sleep(BEFORE);
            (act.begin)(group, first)?;
            thread::sleep(act.watch);
            let report = prober.finish()?;
            (act.end)(group, first)?;
            let fault = self.fault(act, &report)?;
            self.say(&format!(
                "\n{}\n  {} ms without an answer, {} before, {} after, {} double answers",
                fault.what, fault.silence_ms, fault.before, fault.after, fault.double_answers
            ));
            self.summary.faults.push(fault);
        }
        Ok(())
    }

    fn fault(&self, act: &Act, report: &Report) -> anyhow::Result<Fault> {
        let name = |answer: Option<&(Duration, [u8; 6])>| -> anyhow::Result<String> {
            let mac = answer.context("no answer at all")?.1;
            Ok(self.node_of(&mac_text(mac)))
        };
        let (before, after) = (name(report.timeline.first())?, name(report.timeline.last())?);
        let silence_ms = report.longest_silence.as_millis();
        let ok = silence_ms <= act.silence_ms
            && (before != after) == act.moves
            && report.doubly_answered <= act.double_answers;
        let answers = report.timeline.iter().map(|&(when, mac)| (when, self.node_of(&mac_text(mac))));
        let timeline =
            timeline::Lane { answers: answers.collect(), fault_at: BEFORE, len: BEFORE + act.watch };
        Ok(Fault {
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
