//! `cargo xtask bench arp` and `bench ndp`: what an answer costs, the kernel's own and ours.
//!
//! Requests flood three nodes in turn, each on a veth pair of its own: one whose kernel answers, one whose agent has 10
//! VIPs, one whose agent has 10 000. Most of the time goes into sending, so each flood is paired with one for an address
//! that nobody has: what is left is the extra time of an answer. The agents are stopped meanwhile: the lease lasts, and
//! nothing but answers comes back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// How addresses are resolved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Arp,
    Ndp,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::Ndp => "NDP",
        }
    }

    /// The first VIPs.
    fn vips(self, count: u32) -> Vec<IpAddr> {
        (0..count).map(|at| self.address(0x4000 + at)).collect()
    }

    /// An address that is no host's.
    fn nobody(self) -> IpAddr {
        self.address(0xc801)
    }

    /// An address of the hosts' prefix by the rest of its bits.
    fn address(self, rest: u32) -> IpAddr {
        match self {
            Self::Arp => Ipv4Addr::from_bits(Ipv4Addr::new(10, 77, 0, 0).to_bits() + rest).into(),
            Self::Ndp => {
                let prefix = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 2, 0);
                Ipv6Addr::from_bits(prefix.to_bits() + u128::from(rest)).into()
            }
        }
    }
}

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
            Self::Kernel => "the kernel's own, 10 addresses",
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
    protocol: Protocol,
    kernel: Lane,
    few: Lane,
    many: Lane,
}

/// One flood for addresses that are answered and, where the extra time is of interest, one for an address that is not.
#[derive(Clone, Copy, Debug)]
struct Pair {
    answered: Flooded,
    ignored: Option<Flooded>,
}

impl Pair {
    fn answers_per_s(&self) -> f64 {
        as_f64(self.answered.answers) / self.answered.elapsed.as_secs_f64()
    }

    /// In ns.
    fn extra_ns(&self) -> Option<f64> {
        let difference = self.answered.elapsed.as_secs_f64() - self.ignored?.elapsed.as_secs_f64();
        Some(difference * 1e9 / as_f64(REQUESTS))
    }
}

pub(super) fn run(protocol: Protocol, rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let lanes = Lanes { protocol, kernel: Lane::new()?, few: Lane::new()?, many: Lane::new()? };
    let (few, many) = (protocol.vips(FEW), protocol.vips(MANY));
    lanes.kernel.take_as_own(&few)?;
    let agents = [lanes.few.announce(&few)?, lanes.many.announce(&many)?];
    let mut figures = Figures::new(json);
    figures.say(&format!(
        "{}: {rounds} rounds of {TURNS} floods of {REQUESTS} requests in each case, answered and ignored",
        protocol.name()
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

impl Lane {
    fn new() -> anyhow::Result<Self> {
        let [client, node] = cabled(["client", "node"])?;
        Ok(Self { node, client })
    }

    fn take_as_own(&self, addresses: &[IpAddr]) -> anyhow::Result<()> {
        let add = |vip: &IpAddr| match vip {
            IpAddr::V4(vip) => self.node.netns.ip(&format!("address add {vip}/32 dev eth0")),
            IpAddr::V6(vip) => self.node.netns.ip(&format!("address add {vip}/128 dev eth0 nodad")),
        };
        addresses.iter().try_for_each(add)
    }

    /// An agent, stopped once the kernel answers for every VIP.
    fn announce(&self, vips: &[IpAddr]) -> anyhow::Result<Agent<'_>> {
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
        let (lane, count) = match case {
            Case::Kernel => (&self.kernel, FEW),
            Case::Few => (&self.few, FEW),
            Case::FewOfMany => (&self.many, FEW),
            Case::Many => (&self.many, MANY),
        };
        let answered = flood(&lane.client, &self.protocol.vips(count), REQUESTS, true)?;
        // With many groups joined, the kernel is slow over a solicitation that is for none of them.
        let ignored = match case {
            Case::Kernel | Case::Few => {
                Some(flood(&lane.client, &[self.protocol.nobody()], REQUESTS, false)?)
            }
            Case::FewOfMany | Case::Many => None,
        };
        Ok(Pair { answered, ignored })
    }
}

/// Answers that the maps have counted.
fn answered(agents: &[Agent<'_>]) -> anyhow::Result<u64> {
    agents.iter().map(|agent| Ok(agent.status()?["frames"]["answered"].as_u64().unwrap_or(0))).sum()
}

/// The median of the extra time, in ns.
fn extra(pairs: &[Pair]) -> Option<f64> {
    let extras: Vec<f64> = pairs.iter().filter_map(Pair::extra_ns).collect();
    (!extras.is_empty()).then(|| percentile(&extras, 50))
}

fn report(pairs: &[Vec<Pair>; 4], figures: &mut Figures) {
    for (case, pairs) in Case::ALL.into_iter().zip(pairs) {
        let rates: Vec<f64> = pairs.iter().map(|pair| pair.answers_per_s() / 1e3).collect();
        figures.add(format!("{}: answers", case.name()), percentile(&rates, 50), "k/s", Limit::None);
        if let Some(extra) = extra(pairs) {
            figures.add(format!("{}: extra time", case.name()), extra, "ns", Limit::None);
        }
    }
    let [kernel, few, few_of_many, many] = pairs;
    let ratio = extra(few).zip(extra(kernel)).map(|(ours, theirs)| ours / theirs).unwrap_or(f64::NAN);
    figures.add("extra time, ours to the kernel's", ratio, RATIO, Limit::AtMost(0.5));
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
    let answered = || pairs.iter().flatten().map(|pair| pair.answered);
    let ignored = || pairs.iter().flatten().filter_map(|pair| pair.ignored);
    let lost: u64 = answered().map(|flooded| flooded.requests.abs_diff(flooded.answers)).sum();
    let strays: u64 = ignored().map(|flooded| flooded.answers).sum();
    let dropped: u64 = answered().chain(ignored()).map(|flooded| flooded.dropped).sum();
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
