//! An agent that knows nothing comes to a large cluster.
//!
//! A VIP is programmed as soon as it stands in the map: suppressed at first, since it might be another node's. To ask for all of
//! them three times, and to announce them, takes as long as the pace of frames makes it.

use std::time::Instant;

use anyhow::Context as _;

use super::{
    Figures, Limit,
    bed::{Bed, all, open},
    ms, percentile,
};
use crate::testbed::Agent;

/// What an agent follows, as RBAC names it. What else it lists is not needed for the map.
const FOLLOWED: [&str; 6] = [
    "services",
    "endpointslices.discovery.k8s.io",
    "nodes",
    "ipaddresspools.metallb.io",
    "l2advertisements.metallb.io",
    "configurationstates.metallb.io",
];

/// Measures so many starts; the last agent goes on.
pub(super) fn measure<'a>(bed: &'a Bed, rounds: u32, figures: &mut Figures) -> anyhow::Result<Agent<'a>> {
    figures.say(&format!("{rounds} starts of an agent that knows nothing of the cluster"));
    let (mut programmed, mut taken, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..rounds {
        drop(last.take()); // before the next one: they share the host
        let (agent, start) = start(bed)?;
        listed.push(ms(start.last_list - start.begun));
        programmed.push(ms(start.programmed.saturating_duration_since(start.last_list)));
        taken.push(ms(start.taken - start.last_list));
        last = Some(agent);
    }
    figures.add(
        "from the start to the request for the last page",
        percentile(&listed, 50),
        "ms",
        Limit::None,
    );
    let what = "from that request to every VIP in the map, longest";
    figures.add(what, percentile(&programmed, 100), "ms", Limit::AtMost(3_000.0));
    let what = "to every VIP taken: each asked for three times, 10 000 asks/s";
    figures.add(what, percentile(&taken, 50), "ms", Limit::None);
    last.context("at least one round")
}

struct Start {
    begun: Instant,
    /// When the request for the last page of a list came.
    last_list: Instant,
    programmed: Instant,
    taken: Instant,
}

fn start(bed: &Bed) -> anyhow::Result<(Agent<'_>, Start)> {
    bed.api()?.forget_requests();
    let begun = Instant::now();
    let mut agent = bed.agent(0)?;
    agent.spawn()?;
    let mut map = open(&agent)?;
    let programmed = all(|| map.entries()).with_context(|| agent.log())?;
    let lists = bed.api()?.requests_where(|record| {
        record.verb == "list" && record.at < programmed && FOLLOWED.contains(&record.resource.as_str())
    });
    let last_list = lists.iter().map(|record| record.at).max().context("the agent has listed nothing")?;
    let taken = all(|| map.announced()).with_context(|| agent.log())?;
    Ok((agent, Start { begun, last_list, programmed, taken }))
}
