//! A group on a machine that is busier than it can bear. Apart from the other tests on the wire, so that none of those
//! runs beside it.
//!
//! Run by `cargo xtask test`, which builds the agent and names it in `LB_AGENT`. Needs root.

use std::{net::Ipv4Addr, thread, time::Duration};

use xtask::testbed::{AgentOptions, CpuLoad, Hosts, Prober, require_root};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
/// Between two requests of the prober.
const INTERVAL: Duration = Duration::from_millis(5);
const WORKERS: u32 = 32;
const STRESSED: Duration = Duration::from_secs(60);

#[test]
fn a_starved_group_moves_nothing_and_loses_no_answer() -> anyhow::Result<()> {
    require_root("test")?;
    let hosts = Hosts::new(3)?;
    let group = hosts.start(&[VIP], "after 30s", &AgentOptions::default())?;
    let holder = group.wait_holder(VIP)?;
    let before = group.agents.iter().map(|agent| agent.log().lines().count()).collect::<Vec<_>>();

    let mut load = CpuLoad::start(WORKERS, STRESSED + Duration::from_secs(30))?;
    let prober = Prober::start(&hosts.client, VIP, INTERVAL)?;
    thread::sleep(STRESSED);
    let report = prober.finish()?;
    assert!(load.is_on()?, "stress-ng has ended before the prober");
    assert_eq!(group.holders(VIP), [holder], "\n{}", group.logs());
    drop(load);

    let logs = group.logs();
    println!(
        "{} requests, {} unanswered, longest silence {:?}",
        report.requests, report.unanswered, report.longest_silence
    );
    assert!(report.requests > 1_000, "{report:?}");
    assert_eq!((report.unanswered, report.doubly_answered), (0, 0), "{logs}");
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), [&hosts.nodes[holder].mac], "{logs}");
    for (agent, before) in group.agents.iter().zip(before) {
        let log = agent.log();
        let told: Vec<&str> = log.lines().skip(before).collect();
        let is_misled =
            |line: &&&str| ["is down", "withdrawn", "announced"].iter().any(|word| line.contains(word));
        assert_eq!(told.iter().find(is_misled), None, "{}:\n{log}", agent.host().name);
    }
    Ok(())
}
