//! What the Services stand on: nodes, pools and advertisements, matched with each other once for all Services.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::{
    Options,
    config_problems::{config_problems, selects_no_service},
    configuration::{self, AdvertisementInUse, Configuration},
    fields::{Entry, Field, Fields},
    nodes,
    verdict::{Advertised, NodeVerdict, Problem},
};
use crate::{
    cluster::{
        Cluster,
        objects::{Advertisement, Labels, Node, Pool, Selector},
    },
    plan::Interfaces,
    roster,
};

/// Everything but Services and their endpoints.
#[derive(Debug, Default)]
pub(super) struct Ground {
    pub(super) nodes: Arc<BTreeMap<Arc<str>, NodeVerdict>>,
    pub(super) members: Vec<roster::Node>,
    pub(super) interfaces: Interfaces,
    pub(super) problems: Vec<Problem>,
    pub(super) configuration: Arc<Configuration>,
    pub(super) fields: Fields,
    own_addresses: HashMap<IpAddr, Arc<str>>,
    pools: Vec<PoolGround>,
    advertisements: Vec<AdvertisementGround>,
    sums: HashMap<Vec<usize>, Sum>,
    /// What advertisements came to, by their names: what is equal stays the same object.
    advertised: HashMap<Vec<Arc<str>>, Arc<Advertised>>,
}

/// A pool, and the advertisements that select it.
#[derive(Debug)]
struct PoolGround {
    name: Arc<str>,
    pool: Arc<Pool>,
    advertisements: Vec<usize>,
}

/// An advertisement, and the nodes that it selects.
#[derive(Debug)]
struct AdvertisementGround {
    name: Arc<str>,
    advertisement: Arc<Advertisement>,
    /// All, with what it prefers them by.
    nodes: Arc<BTreeMap<Arc<str>, i64>>,
    selects_me: bool,
}

/// What several advertisements come to.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    pub(super) advertised: Arc<Advertised>,
    pub(super) field: Arc<Field>,
}

impl Ground {
    /// From the cluster. What equals what was `before` is shared with it.
    pub(super) fn new(cluster: &Cluster, options: &Options, before: Self) -> Self {
        let nodes = nodes::verdicts(cluster);
        let nodes = if nodes == *before.nodes { before.nodes } else { Arc::new(nodes) };
        let advertisement = |(name, advertisement): (&String, &Arc<Advertisement>)| {
            let nodes = Arc::new(selected_nodes(advertisement, cluster, &nodes));
            AdvertisementGround {
                name: name.as_str().into(),
                advertisement: Arc::clone(advertisement),
                selects_me: nodes.contains_key(options.me.as_str()),
                nodes,
            }
        };
        let advertisements: Vec<AdvertisementGround> =
            cluster.advertisements.iter().map(advertisement).collect();
        let pool = |(name, pool): (&String, &Arc<Pool>)| PoolGround {
            name: name.as_str().into(),
            pool: Arc::clone(pool),
            advertisements: selecting(&advertisements, name, &pool.labels),
        };
        let configuration = configuration(cluster, &advertisements);
        Self {
            members: nodes::members(&nodes),
            interfaces: interfaces(&options.interfaces, &advertisements),
            problems: config_problems(cluster),
            configuration: if configuration == *before.configuration {
                before.configuration
            } else {
                Arc::new(configuration)
            },
            fields: Fields::new(nodes.iter(), before.fields),
            own_addresses: nodes::own_addresses(cluster, &nodes),
            pools: cluster.pools.iter().map(pool).collect(),
            advertisements,
            sums: HashMap::new(),
            advertised: before.advertised,
            nodes,
        }
    }

    /// What is to be told of advertisements that select pools, and Services by their labels, but none of all Services.
    pub(super) fn without_service(&self, has_service: impl Fn(&Arc<str>) -> bool) -> Vec<Problem> {
        let with_pool: BTreeSet<usize> =
            self.pools.iter().flat_map(|pool| &pool.advertisements).copied().collect();
        let all = self.advertisements.iter().enumerate();
        let idle = all.filter(|(number, AdvertisementGround { name, advertisement, .. })| {
            !advertisement.service_selectors.is_empty() && with_pool.contains(number) && !has_service(name)
        });
        idle.map(|(_, advertisement)| selects_no_service(&advertisement.name)).collect()
    }

    /// The Node that has an address for its own.
    pub(super) fn node_with(&self, address: IpAddr) -> Option<Arc<str>> {
        self.own_addresses.get(&address).cloned()
    }

    /// The pool that has an address: of several the first by name, so that all nodes see it alike, whatever came first.
    pub(super) fn pool_with(&self, address: IpAddr) -> Option<Arc<str>> {
        let pool =
            self.pools.iter().find(|pool| pool.pool.ranges.iter().any(|range| range.contains(address)))?;
        Some(Arc::clone(&pool.name))
    }

    /// What the advertisements come to that select a pool and a Service with these labels.
    pub(super) fn sum(&mut self, pool: &str, labels: &Labels) -> Sum {
        let found = self.pools.binary_search_by(|known| (*known.name).cmp(pool));
        let of_pool = found.map_or(&[][..], |found| &self.pools[found].advertisements);
        let selects = |&&number: &&usize| {
            any_or_all(&self.advertisements[number].advertisement.service_selectors, labels)
        };
        let selecting: Vec<usize> = of_pool.iter().filter(selects).copied().collect();
        if let Some(sum) = self.sums.get(&selecting) {
            return sum.clone();
        }
        let sum = self.add_up(&selecting);
        self.sums.insert(selecting, sum.clone());
        sum
    }

    fn add_up(&mut self, selecting: &[usize]) -> Sum {
        let advertisements = || selecting.iter().map(|&number| &self.advertisements[number]);
        let mut nodes: BTreeMap<Arc<str>, i64> = BTreeMap::new();
        for (node, score) in advertisements().flat_map(|advertisement| &*advertisement.nodes) {
            *nodes.entry(Arc::clone(node)).or_default() += score;
        }
        let by: Vec<Arc<str>> =
            advertisements().map(|advertisement| Arc::clone(&advertisement.name)).collect();
        let here = advertisements().filter(|advertisement| advertisement.selects_me);
        let here: Vec<&BTreeSet<String>> =
            here.map(|advertisement| &advertisement.advertisement.interfaces).collect();
        let is_restricted = !here.is_empty() && here.iter().all(|interfaces| !interfaces.is_empty());
        let interfaces = is_restricted.then(|| Arc::new(here.into_iter().flatten().cloned().collect()));
        let entry =
            |(number, name): (usize, &Arc<str>)| -> Option<Entry> { Some((number, *nodes.get(name)?)) };
        let entries = self.fields.names().enumerate().filter_map(entry).collect();
        let field = self.fields.of(entries);
        let advertised = Advertised { by: by.clone(), nodes, interfaces };
        let known = self.advertised.get(&by).filter(|known| ***known == advertised).cloned();
        let advertised = known.unwrap_or_else(|| Arc::new(advertised));
        self.advertised.insert(by, Arc::clone(&advertised));
        Sum { advertised, field }
    }
}

/// What all this is made from, for whoever asks why.
fn configuration(cluster: &Cluster, advertisements: &[AdvertisementGround]) -> Configuration {
    let advertisement = |AdvertisementGround { name, advertisement, nodes, selects_me: _ }: &_| {
        let (object, nodes) = (Arc::clone(advertisement), Arc::clone(nodes));
        (Arc::clone(name), AdvertisementInUse { object, nodes })
    };
    let pool = |(name, pool): (&String, &Arc<Pool>)| (name.as_str().into(), Arc::clone(pool));
    Configuration {
        pools: cluster.pools.iter().map(pool).collect(),
        advertisements: advertisements.iter().map(advertisement).collect(),
        rejected: configuration::rejected(cluster),
    }
}

/// The nodes that an advertisement selects, and by how much it prefers them. Its preference for nodes that it does not select
/// is none: it speaks for others.
fn selected_nodes(
    advertisement: &Advertisement,
    cluster: &Cluster,
    names: &BTreeMap<Arc<str>, NodeVerdict>,
) -> BTreeMap<Arc<str>, i64> {
    let selected = |(node, name): (&Arc<Node>, &Arc<str>)| {
        let preferred =
            advertisement.preferred.iter().filter(|(_, preference)| preference.matches(&node.labels));
        let score = preferred.map(|(weight, _)| weight).sum();
        any_or_all(&advertisement.node_selectors, &node.labels).then(|| (Arc::clone(name), score))
    };
    cluster.nodes.values().zip(names.keys()).filter_map(selected).collect()
}

/// The advertisements that select a pool: by name, by one of their selectors, or for want of either.
fn selecting(advertisements: &[AdvertisementGround], pool: &str, labels: &Labels) -> Vec<usize> {
    let selects = |(number, ground): (usize, &AdvertisementGround)| {
        ground.advertisement.selects_pool(pool, labels).then_some(number)
    };
    advertisements.iter().enumerate().filter_map(selects).collect()
}

/// Those of the options, and, where interfaces are discovered, those that advertisements name for this node.
fn interfaces(options: &Interfaces, advertisements: &[AdvertisementGround]) -> Interfaces {
    let mut interfaces = options.clone();
    if let Interfaces::Discovered { also, .. } = &mut interfaces {
        let here = advertisements.iter().filter(|advertisement| advertisement.selects_me);
        also.extend(here.flat_map(|advertisement| advertisement.advertisement.interfaces.iter().cloned()));
    }
    interfaces
}

/// Whether one of the selectors matches, or there are none.
fn any_or_all(selectors: &[Selector], labels: &Labels) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels))
}

impl Advertisement {
    /// Whether it selects a pool: by its name or by its labels; all, where it says neither.
    pub(crate) fn selects_pool(&self, name: &str, labels: &Labels) -> bool {
        let is_for_all = self.pools.is_empty() && self.pool_selectors.is_empty();
        is_for_all
            || self.pools.contains(name)
            || self.pool_selectors.iter().any(|selector| selector.matches(labels))
    }
}
