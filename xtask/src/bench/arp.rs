//! `cargo xtask bench arp`: what an answer costs, in the kernel's own ARP and in ours.
//!
//! Requests flood three nodes in turn, each on a veth pair of its own: one whose kernel answers, one whose agent has 10
//! VIPs, one whose agent has 10 000. Most of the time goes into sending, so each flood is paired with one for an address
//! that nobody has: what is left is the extra time of an answer. The agents are stopped meanwhile: the lease lasts, and
//! nothing but answers comes back.

use std::net::Ipv4Addr;

use nix::sys::signal::Signal;

use super::figures::{Figures, Limit, RATIO, percentile};
use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed::{self, Agent, AgentOptions, Flooded, Host, cabled, flood},
};

const TOOLS: [Needed; 2] = [needed("ip", "iproute2"), needed("bpftool", "bpftool")];

/// Requests in one flood: few, so that what else the machine does falls on all responders alike.
const REQUESTS: u64 = 20_000;
/// Floods of each kind in one round.
const TURNS: u32 = 10;
const FEW: u32 = 10;
const MANY: u32 = 10_000;
const FIRST_VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 64, 0);
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 200, 1);

/// Who answers, and what for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Case {
    Kernel,
    Few,
    /// Many VIPs are there, a few are asked for.
    FewOfMany,
    /// Each is asked for in turn, so that the one that comes has left the CPU's caches.
    Many,
}

impl Case {
    const ALL: [Self; 4] = [Self::Kernel, Self::Few, Self::FewOfMany, Self::Many];

    const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the kernel's own ARP, 10 addresses",
            Self::Few => "ours, 10 VIPs",
            Self::FewOfMany => "ours, 10 000 VIPs, 10 asked for",
            Self::Many => "ours, 10 000 VIPs, all asked for",
        }
    }
}

/// A node and its client.
struct Lane {
    node: Host,
    client: Host,
}

/// A node for each responder: the kernel, an agent with few VIPs, and one with many.
struct Lanes {
    kernel: Lane,
    few: Lane,
    many: Lane,
}

/// One flood for addresses that are answered, and one for an address that is not.
#[derive(Clone, Copy, Debug)]
struct Pair {
    answered: Flooded,
    ignored: Flooded,
}

impl Pair {
    fn answers_per_s(&self) -> f64 {
        as_f64(self.answered.answers) / self.answered.elapsed.as_secs_f64()
    }

    /// In ns.
    fn extra_ns(&self) -> f64 {
        let difference = self.answered.elapsed.as_secs_f64() - self.ignored.elapsed.as_secs_f64();
        difference * 1e9 / as_f64(REQUESTS)
    }
}

pub(super) fn run(rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench arp")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let lanes = Lanes { kernel: Lane::new()?, few: Lane::new()?, many: Lane::new()? };
    lanes.kernel.take_as_own(&vips(FEW))?;
    let agents = [lanes.few.announce(&vips(FEW))?, lanes.many.announce(&vips(MANY))?];
    let mut figures = Figures::new(json);
    figures.say(&format!(
        "{rounds} rounds of {TURNS} floods of {REQUESTS} requests in each case, answered and ignored"
    ));
    let before = answered(&agents)?;
    let mut pairs: [Vec<Pair>; 4] = Default::default();
    for _ in 0..rounds * TURNS {
        for (case, pairs) in Case::ALL.into_iter().zip(&mut pairs) {
            pairs.push(lanes.measure(case)?);
        }
    }
    let counted: u64 = answered(&agents)? - before;
    agents.iter().try_for_each(|agent| agent.signal(Signal::SIGCONT))?;
    report(&pairs, &mut figures);
    losses(&pairs, counted, &mut figures);
    figures.conclude()
}

/// The first VIPs.
fn vips(count: u32) -> Vec<Ipv4Addr> {
    (0..count).map(|at| Ipv4Addr::from_bits(FIRST_VIP.to_bits() + at)).collect()
}

impl Lane {
    fn new() -> anyhow::Result<Self> {
        let [client, node] = cabled(["client", "node"])?;
        Ok(Self { node, client })
    }

    fn take_as_own(&self, addresses: &[Ipv4Addr]) -> anyhow::Result<()> {
        addresses.iter().try_for_each(|vip| self.node.netns.ip(&format!("address add {vip}/32 dev eth0")))
    }

    /// An agent, stopped once the kernel answers for every VIP.
    fn announce(&self, vips: &[Ipv4Addr]) -> anyhow::Result<Agent<'_>> {
        let (first, last) = (vips[0], vips[vips.len() - 1]);
        let options = AgentOptions { lease_ttl: 3_600, ..AgentOptions::default() };
        let agent = Agent::start(&self.node, &format!("vips: [{first}-{last}]"), options)?;
        agent.wait_announced(vips.len())?;
        agent.signal(Signal::SIGSTOP)?;
        Ok(agent)
    }
}

impl Lanes {
    fn measure(&self, case: Case) -> anyhow::Result<Pair> {
        let (lane, targets) = match case {
            Case::Kernel => (&self.kernel, vips(FEW)),
            Case::Few => (&self.few, vips(FEW)),
            Case::FewOfMany => (&self.many, vips(FEW)),
            Case::Many => (&self.many, vips(MANY)),
        };
        let answered = flood(&lane.client, &targets, REQUESTS, true)?;
        let ignored = flood(&lane.client, &[NOBODY], REQUESTS, false)?;
        Ok(Pair { answered, ignored })
    }
}

/// Answers that the maps have counted.
fn answered(agents: &[Agent<'_>]) -> anyhow::Result<u64> {
    agents.iter().map(|agent| Ok(agent.status()?["frames"]["answered"].as_u64().unwrap_or(0))).sum()
}

fn report(pairs: &[Vec<Pair>; 4], figures: &mut Figures) {
    for (case, pairs) in Case::ALL.into_iter().zip(pairs) {
        let rates: Vec<f64> = pairs.iter().map(|pair| pair.answers_per_s() / 1e3).collect();
        let extras: Vec<f64> = pairs.iter().map(Pair::extra_ns).collect();
        figures.add(format!("{}: answers", case.name()), percentile(&rates, 50), "k/s", Limit::None);
        figures.add(format!("{}: extra time", case.name()), percentile(&extras, 50), "ns", Limit::None);
    }
    let [kernel, few, few_of_many, many] = pairs;
    let extra = |pairs: &[Pair]| percentile(&pairs.iter().map(Pair::extra_ns).collect::<Vec<_>>(), 50);
    figures.add("extra time, ours to the kernel's", extra(few) / extra(kernel), RATIO, Limit::AtMost(0.5));
    let rate = |ours: &[Pair], theirs: &[Pair]| {
        let pairs = ours.iter().zip(theirs);
        percentile(
            &pairs.map(|(ours, theirs)| ours.answers_per_s() / theirs.answers_per_s()).collect::<Vec<_>>(),
            50,
        )
    };
    figures.add("answers, ours to the kernel's", rate(few, kernel), RATIO, Limit::AtLeast(1.1));
    figures.add("answers, 10 000 VIPs to 10", rate(few_of_many, few), RATIO, Limit::AtLeast(0.9));
    figures.add("answers, 10 000 VIPs, all asked for, to 10", rate(many, few), RATIO, Limit::None);
}

fn losses(pairs: &[Vec<Pair>; 4], counted: u64, figures: &mut Figures) {
    let floods = |which: fn(&Pair) -> Flooded| pairs.iter().flatten().map(which);
    let lost: u64 =
        floods(|pair| pair.answered).map(|flooded| flooded.requests.abs_diff(flooded.answers)).sum();
    let strays: u64 = floods(|pair| pair.ignored).map(|flooded| flooded.answers).sum();
    let dropped: u64 =
        floods(|pair| pair.answered).chain(floods(|pair| pair.ignored)).map(|flooded| flooded.dropped).sum();
    let [_, ours @ ..] = pairs;
    let asked: u64 = ours.iter().flatten().map(|pair| pair.answered.requests).sum();
    figures.add("requests without an answer at the client", as_f64(lost), "", Limit::AtMost(0.0));
    figures.add(
        "requests not counted as answered in our maps",
        as_f64(asked.abs_diff(counted)),
        "",
        Limit::AtMost(0.0),
    );
    figures.add("answers that nobody asked for", as_f64(strays), "", Limit::AtMost(0.0));
    figures.add("frames dropped for want of room", as_f64(dropped), "", Limit::AtMost(0.0));
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
