//! What is wrong with the pools and the advertisements.

use std::{collections::BTreeMap, sync::Arc};

use super::verdict::Problem;
use crate::{
    cluster::{
        Cluster,
        objects::{Advertisement, ConfigKind, Pool},
    },
    ranges::{AddressRange, RangeError},
};

/// What is wrong with them whatever Services there are, in the order of kinds and names.
pub(super) fn config_problems(cluster: &Cluster) -> Vec<Problem> {
    let mut problems = rejected(ConfigKind::IpAddressPool, &cluster.rejected_pools);
    problems.extend(overlaps(cluster));
    problems.extend(rejected(ConfigKind::L2Advertisement, &cluster.rejected_advertisements));
    for (name, advertisement) in &cluster.advertisements {
        let idle = idle(advertisement, cluster);
        problems.extend(idle.map(|what| problem(ConfigKind::L2Advertisement, name, what, false)));
    }
    sorted(problems)
}

/// Both, in the order of kinds and names.
pub(super) fn merged(some: &[Problem], others: Vec<Problem>) -> Vec<Problem> {
    sorted(some.iter().cloned().chain(others).collect())
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    problems
}

/// Of an advertisement that would select by its labels.
pub(super) fn selects_no_service(name: &str) -> Problem {
    let what = "selects no Service that has an address of its pools: look at serviceSelectors and the Services' labels";
    problem(ConfigKind::L2Advertisement, name, what.to_owned(), false)
}

fn problem(kind: ConfigKind, name: &str, what: String, is_invalid: bool) -> Problem {
    Problem { kind, name: name.into(), what, is_invalid }
}

fn rejected(kind: ConfigKind, rejected: &BTreeMap<String, Arc<[String]>>) -> Vec<Problem> {
    let of_object = |(name, problems): (&String, &Arc<[String]>)| -> Vec<Problem> {
        problems.iter().map(|what| problem(kind, name, what.clone(), true)).collect()
    };
    rejected.iter().flat_map(of_object).collect()
}

/// Addresses that several pools have. They count for the first by name; the others are told of.
fn overlaps(cluster: &Cluster) -> Vec<Problem> {
    let of_pool = |(name, pool)| {
        let (name, pool): (&String, &Arc<Pool>) = (name, pool);
        pool.ranges.iter().map(|&range| (range, name.as_str())).collect::<Vec<_>>()
    };
    let mut ranges: Vec<(AddressRange, &str)> = cluster.pools.iter().flat_map(of_pool).collect();
    ranges.sort_unstable();
    let mut problems = Vec::new();
    let mut widest: Option<(AddressRange, &str)> = None;
    for (range, pool) in ranges {
        if let Some((other, its_pool)) =
            widest.filter(|(other, its_pool)| other.overlaps(&range) && *its_pool != pool)
        {
            let ((kept, keeper), (lost, loser)) = match its_pool < pool {
                true => ((other, its_pool), (range, pool)),
                false => ((range, pool), (other, its_pool)),
            };
            let what = RangeError::Overlap { range: lost, other: kept };
            let what = format!("{what} of IPAddressPool {keeper}, which keeps what both have");
            problems.push(problem(ConfigKind::IpAddressPool, loser, what, true));
        }
        if widest.is_none_or(|(other, _)| other.last < range.last) {
            widest = Some((range, pool));
        }
    }
    problems
}

/// Why an advertisement does nothing, if so.
fn idle<'a>(advertisement: &'a Advertisement, cluster: &'a Cluster) -> impl Iterator<Item = String> + 'a {
    let has_pool = || cluster.pools.iter().any(|(name, pool)| advertisement.selects_pool(name, &pool.labels));
    let has_node = || {
        let mut nodes = cluster.nodes.values();
        let selectors = &advertisement.node_selectors;
        selectors.is_empty()
            || nodes.any(|node| selectors.iter().any(|selector| selector.matches(&node.labels)))
    };
    let no_pool = (!has_pool()).then(|| {
        "selects no IPAddressPool: look at ipAddressPools, ipAddressPoolSelectors and the pools' labels"
            .to_owned()
    });
    let no_node =
        (!has_node()).then(|| "selects no Node: look at nodeSelectors and the Nodes' labels".to_owned());
    no_pool.into_iter().chain(no_node)
}
