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

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Responder {
    Kernel,
    Few,
    Many,
}

impl Responder {
    const ALL: [Self; 3] = [Self::Kernel, Self::Few, Self::Many];

    const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "the kernel's own ARP, 10 addresses",
            Self::Few => "ours, 10 VIPs",
            Self::Many => "ours, 10 000 VIPs",
        }
    }

    fn vips(self) -> Vec<Ipv4Addr> {
        let count = if self == Self::Many { MANY } else { FEW };
        (0..count).map(|at| Ipv4Addr::from_bits(FIRST_VIP.to_bits() + at)).collect()
    }
}

/// A node and its client.
struct Lane {
    responder: Responder,
    vips: Vec<Ipv4Addr>,
    node: Host,
    client: Host,
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
    let lanes: Vec<Lane> = Responder::ALL.into_iter().map(Lane::new).collect::<anyhow::Result<_>>()?;
    let agents: Vec<Agent<'_>> = lanes.iter().filter_map(Lane::start).collect::<anyhow::Result<_>>()?;
    let mut figures = Figures::new(json);
    figures.say(&format!(
        "{rounds} rounds of {TURNS} times {REQUESTS} requests to each of 3 responders, answered and ignored"
    ));
    let before = answered(&agents)?;
    let mut pairs: [Vec<Pair>; 3] = Default::default();
    for _ in 0..rounds * TURNS {
        for (lane, pairs) in lanes.iter().zip(&mut pairs) {
            pairs.push(lane.measure()?);
        }
    }
    let counted: u64 = answered(&agents)? - before;
    agents.iter().try_for_each(|agent| agent.signal(Signal::SIGCONT))?;
    report(&pairs, &mut figures);
    losses(&pairs, counted, &mut figures);
    figures.conclude()
}

impl Lane {
    fn new(responder: Responder) -> anyhow::Result<Self> {
        let [client, node] = cabled(["client", "node"])?;
        let vips = responder.vips();
        if responder == Responder::Kernel {
            vips.iter().try_for_each(|vip| node.netns.ip(&format!("address add {vip}/32 dev eth0")))?;
        }
        Ok(Self { responder, vips, node, client })
    }

    /// The agent, stopped once the kernel answers for every VIP.
    fn start(&self) -> Option<anyhow::Result<Agent<'_>>> {
        (self.responder != Responder::Kernel).then(|| {
            let (first, last) = (self.vips[0], self.vips[self.vips.len() - 1]);
            let options = AgentOptions { lease_ttl: 3_600, ..AgentOptions::default() };
            let agent = Agent::start(&self.node, &format!("vips: [{first}-{last}]"), options)?;
            agent.wait_announced(self.vips.len())?;
            agent.signal(Signal::SIGSTOP)?;
            Ok(agent)
        })
    }

    fn measure(&self) -> anyhow::Result<Pair> {
        let answered = flood(&self.client, &self.vips, REQUESTS, true)?;
        let ignored = flood(&self.client, &[NOBODY], REQUESTS, false)?;
        Ok(Pair { answered, ignored })
    }
}

/// Answers that the maps have counted.
fn answered(agents: &[Agent<'_>]) -> anyhow::Result<u64> {
    agents.iter().map(|agent| Ok(agent.status()?["frames"]["answered"].as_u64().unwrap_or(0))).sum()
}

fn report(pairs: &[Vec<Pair>; 3], figures: &mut Figures) {
    for (responder, pairs) in Responder::ALL.into_iter().zip(pairs) {
        let rates: Vec<f64> = pairs.iter().map(|pair| pair.answers_per_s() / 1e3).collect();
        let extras: Vec<f64> = pairs.iter().map(Pair::extra_ns).collect();
        figures.add(format!("{}: answers", responder.name()), percentile(&rates, 50), "k/s", Limit::None);
        figures.add(format!("{}: extra time", responder.name()), percentile(&extras, 50), "ns", Limit::None);
    }
    let [kernel, few, many] = pairs;
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
    figures.add("answers, 10 000 VIPs to 10", rate(many, few), RATIO, Limit::AtLeast(0.9));
}

fn losses(pairs: &[Vec<Pair>; 3], counted: u64, figures: &mut Figures) {
    let floods = |which: fn(&Pair) -> Flooded| pairs.iter().flatten().map(which);
    let lost: u64 =
        floods(|pair| pair.answered).map(|flooded| flooded.requests.abs_diff(flooded.answers)).sum();
    let strays: u64 = floods(|pair| pair.ignored).map(|flooded| flooded.answers).sum();
    let dropped: u64 =
        floods(|pair| pair.answered).chain(floods(|pair| pair.ignored)).map(|flooded| flooded.dropped).sum();
    let [_, few, many] = pairs;
    let asked: u64 = few.iter().chain(many).map(|pair| pair.answered.requests).sum();
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
