//! No rule is idle: with each of them off, some run breaks a bound.

use std::collections::BTreeMap;

use lb_agent::holding::Rules;

use crate::{checker::Property, cluster::Families, scenario::Scenario, world};

/// Seeds that are tried for each rule, in order, until one breaks a bound.
const SEEDS: u64 = 400;

/// Each rule by its name, the seed at which the search begins, and all of the rules but that one.
fn each_off() -> [(&'static str, u64, Rules); 15] {
    let all = Rules::default();
    [
        ("takes_at_once", 15, Rules { takes_at_once: false, ..all }),
        ("asks_first", 2, Rules { asks_first: false, ..all }),
        ("starts_afresh", 15, Rules { starts_afresh: false, ..all }),
        ("waits_for_failback", 10, Rules { waits_for_failback: false, ..all }),
        ("checks_returning_predecessors", 2, Rules { checks_returning_predecessors: false, ..all }),
        ("checks_after_absence", 94, Rules { checks_after_absence: false, ..all }),
        ("yields", 2, Rules { yields: false, ..all }),
        ("verifies_before_yielding", 7, Rules { verifies_before_yielding: false, ..all }),
        ("audits", 11, Rules { audits: false, ..all }),
        ("leaves_softly", 63, Rules { leaves_softly: false, ..all }),
        ("defends", 1208, Rules { defends: false, ..all }),
        ("gives_way", 2158, Rules { gives_way: false, ..all }),
        ("distrusts_stale_views", 13, Rules { distrusts_stale_views: false, ..all }),
        ("doubts_stale_agents", 191, Rules { doubts_stale_agents: false, ..all }),
        ("respects_strangers", 517, Rules { respects_strangers: false, ..all }),
    ]
}

/// The first seed whose run breaks a bound under `rules` and not with all of them, and what it breaks.
fn bite(from: u64, rules: Rules) -> Option<(u64, Property)> {
    (from..from + SEEDS).find_map(|seed| {
        let scenario = Scenario::new(seed, Families::Mixed);
        let violation = world::play(&scenario, rules, false).err()?;
        world::play(&scenario, Rules::default(), false).ok()?;
        Some((seed, violation.property))
    })
}

#[test]
fn with_any_rule_off_some_run_breaks_a_bound() {
    let bites: BTreeMap<&str, Option<(u64, Property)>> =
        each_off().into_iter().map(|(name, from, rules)| (name, bite(from, rules))).collect();
    for (name, bite) in &bites {
        match bite {
            Some((seed, property)) => println!("without {name}: seed {seed} breaks {property:?}"),
            None => println!("without {name}: nothing"),
        }
    }
    let idle: Vec<&str> = bites.iter().filter(|(_, bite)| bite.is_none()).map(|(&name, _)| name).collect();
    assert_eq!(idle, [] as [&str; 0], "rules that {SEEDS} runs do without");
}
