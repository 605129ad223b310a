//! What follows from the cluster: the agent's plan, and for each Service why it is announced or not.
//!
//! A pure function of the cluster and the options. What an earlier run found is used again where nothing that it depends on
//! has changed: a change of one Service looks at that Service and at those that share a VIP with it. A change of a pool, an
//! advertisement, a Node or an agent looks at everything.

mod assess;
mod config_problems;
mod configuration;
mod fields;
mod ground;
mod nodes;
mod seen;
mod services;
mod standing;
mod units;
pub mod verdict;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    net::IpAddr,
    sync::Arc,
};

use assess::{Assessed, assess};
use ground::Ground;
use seen::Seen;

pub use configuration::{AdvertisementInUse, Configuration};
pub use services::Services;
pub use verdict::{
    AddressVerdict, Advertised, NodeVerdict, Outcome, Problem, Reason, ServiceVerdict, Serving, Standing,
};

use units::Part;

use super::{Cluster, changes::Changes, objects::ObjectName};
use crate::{
    holding::Failback,
    plan::{Interfaces, Plan, PlannedUnit},
};

/// What the agent was told besides the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// This node's name.
    pub me: String,
    /// Services of this class only; `None`: only those without one.
    pub lb_class: Option<String>,
    /// Where VIPs may be announced; discovered ones are joined by those that advertisements name for this node.
    pub interfaces: Interfaces,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

/// What the cluster comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// What the agent is to do.
    pub plan: Arc<Plan>,
    /// Why each Service is announced or not.
    pub services: Services,
    /// What each Node is fit for.
    pub nodes: Arc<BTreeMap<Arc<str>, NodeVerdict>>,
    /// What is wrong with pools and advertisements.
    pub problems: Arc<[Problem]>,
    /// The pools and advertisements that this follows from.
    pub configuration: Arc<Configuration>,
}

impl Selection {
    /// Whether part of the configuration is not used as it stands: an invalid object, or the last valid version of one.
    #[must_use]
    pub fn is_config_stale(&self) -> bool {
        self.problems.iter().any(|problem| problem.is_invalid)
    }
}

/// Selects, and remembers what it found.
#[derive(Debug, Default)]
pub struct Selector {
    options: Options,
    seen: Seen,
    ground: Ground,
    assessed: HashMap<ObjectName, Assessed>,
    /// The Services that have a VIP.
    sharing: HashMap<IpAddr, Vec<ObjectName>>,
    /// How many Services each advertisement selects.
    selected: HashMap<Arc<str>, usize>,
    /// What is announced, by the first VIP of each unit.
    units: BTreeMap<IpAddr, Arc<PlannedUnit>>,
    suppress: BTreeSet<IpAddr>,
    verdicts: BTreeMap<ObjectName, Arc<ServiceVerdict>>,
    selection: Arc<Selection>,
}

/// What a change concerns.
struct Touched {
    /// The Services that have changed, and those that share a VIP with them, before or now.
    services: BTreeSet<ObjectName>,
    /// Their units as they were.
    former: BTreeMap<IpAddr, Arc<PlannedUnit>>,
}

impl Selector {
    /// What the cluster comes to: the same object as before when that is the same.
    pub fn select(&mut self, cluster: &Cluster, options: &Options) -> Arc<Selection> {
        self.select_changes(cluster, &Changes::all(), options)
    }

    /// The same, where no more may have changed since the last call than that.
    pub fn select_changes(
        &mut self,
        cluster: &Cluster,
        changes: &Changes,
        options: &Options,
    ) -> Arc<Selection> {
        let (own, is_rest_new) = self.seen.follow(cluster, changes);
        let is_ground_new = is_rest_new || self.options != *options;
        if is_ground_new {
            self.options.clone_from(options);
            self.ground = Ground::new(cluster, options, std::mem::take(&mut self.ground));
        } else if own.is_empty() {
            return Arc::clone(&self.selection);
        }
        let touched = self.assess(own, is_ground_new);
        let has_changed = self.settle(touched);
        if has_changed || is_ground_new {
            let selection = self.look();
            if has_changed || *self.selection != selection {
                self.selection = Arc::new(selection);
            }
        }
        Arc::clone(&self.selection)
    }

    /// Looks at Services by themselves: at those that have changed, or at all.
    fn assess(&mut self, own: Vec<ObjectName>, all: bool) -> Touched {
        let mut vips = BTreeSet::new();
        let mut services: BTreeSet<ObjectName> = own.iter().cloned().collect();
        services.extend(self.seen.services.keys().filter(|_| all).cloned());
        for name in &services {
            let before = self.assessed.remove(name);
            let now = self.seen.services.get(name).map(|service| {
                let same = before.as_ref().filter(|_| own.binary_search(name).is_err());
                let serving = same.map_or_else(|| Arc::new(self.seen.serving(name)), Assessed::serving);
                assess(service, serving, &self.options, &mut self.ground)
            });
            let vips_of =
                |assessed: &Option<Assessed>| assessed.as_ref().map(|assessed| Arc::clone(&assessed.vips));
            let [old, new] = [&before, &now].map(|assessed| vips_of(assessed).unwrap_or_default());
            vips.extend(old.iter().chain(&*new));
            if old != new {
                self.share(name, &old, &new);
            }
            self.count_selected(before.as_ref(), now.as_ref());
            self.assessed.extend(now.map(|now| (name.clone(), now)));
        }
        self.spread(services, vips)
    }

    /// Other advertisements select a Service now.
    fn count_selected(&mut self, before: Option<&Assessed>, now: Option<&Assessed>) {
        let [before, now] =
            [before, now].map(|assessed| assessed.map(Assessed::advertised_by).unwrap_or_default());
        if before == now {
            return;
        }
        for name in now {
            *self.selected.entry(Arc::clone(name)).or_default() += 1;
        }
        for name in before {
            if let Entry::Occupied(mut count) = self.selected.entry(Arc::clone(name)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    /// What is wrong with pools and advertisements: the same object as before when that is the same.
    fn problems(&self) -> Arc<[Problem]> {
        let idle = self.ground.without_service(|name| self.selected.contains_key(name));
        let problems = config_problems::merged(&self.ground.problems, idle);
        if *problems == *self.selection.problems {
            return Arc::clone(&self.selection.problems);
        }
        problems.into()
    }

    /// A Service has other VIPs now.
    fn share(&mut self, name: &ObjectName, old: &[IpAddr], new: &[IpAddr]) {
        for vip in old {
            self.sharing.entry(*vip).or_default().retain(|known| known != name);
        }
        for vip in new {
            self.sharing.entry(*vip).or_default().push(name.clone());
        }
    }

    /// Follows the VIPs to all Services that are connected by them, and takes out what was found of these VIPs.
    fn spread(&mut self, mut services: BTreeSet<ObjectName>, vips: BTreeSet<IpAddr>) -> Touched {
        let mut former = BTreeMap::new();
        let mut open: Vec<IpAddr> = vips.iter().copied().collect();
        let mut met = vips;
        while let Some(vip) = open.pop() {
            former.extend(self.units.remove(&vip).map(|unit| (vip, unit)));
            self.suppress.remove(&vip);
            for name in self.sharing.get(&vip).into_iter().flatten() {
                if let Some(assessed) = self.assessed.get(name) {
                    open.extend(assessed.vips.iter().filter(|&&vip| met.insert(vip)));
                }
                services.insert(name.clone());
            }
            if self.sharing.get(&vip).is_some_and(Vec::is_empty) {
                self.sharing.remove(&vip);
            }
        }
        Touched { services, former }
    }

    /// Finds what the touched Services come to, together. Says whether that is anything new.
    fn settle(&mut self, Touched { services, former }: Touched) -> bool {
        let parts = services.iter().filter_map(|name| Part::of(name, self.assessed.get(name)?));
        let mut outcomes: BTreeMap<&ObjectName, Outcome> = BTreeMap::new();
        let mut announced: BTreeSet<IpAddr> = BTreeSet::new();
        for group in units::groups(parts) {
            let names: Arc<[ObjectName]> = group.iter().map(|part| part.name.clone()).collect();
            let unit = units::unit(&group, &mut self.ground.fields).and_then(|unit| {
                let first = *unit.addresses.first()?;
                let same = former.get(&first).filter(|former| ***former == unit).cloned();
                Some((first, same.unwrap_or_else(|| Arc::new(unit))))
            });
            for part in group {
                let services = Arc::clone(&names);
                let outcome = match &unit {
                    Some((_, unit)) => Outcome::Announced { unit: Arc::clone(unit), services },
                    None => Outcome::NotAnnounced(Reason::NoCommonCandidate { services }),
                };
                outcomes.insert(part.name, outcome);
            }
            announced.extend(unit.iter().flat_map(|(_, unit)| unit.addresses.iter()));
            self.units.extend(unit);
        }
        let mut has_changed = false;
        for name in &services {
            let Some(assessed) = self.assessed.get(name) else {
                has_changed |= self.verdicts.remove(name).is_some();
                continue;
            };
            self.suppress.extend(assessed.vips.iter().filter(|vip| !announced.contains(vip)));
            let Some(outcome) = outcomes.remove(name).or_else(|| assessed.not_announced()) else { continue };
            let verdict = assessed.verdict(name, outcome);
            if self.verdicts.get(name).is_none_or(|known| **known != verdict) {
                has_changed = true;
                self.verdicts.insert(name.clone(), Arc::new(verdict));
            }
        }
        has_changed
    }

    fn look(&self) -> Selection {
        let Ground { nodes, members, interfaces, configuration, .. } = &self.ground;
        let plan = Plan {
            interfaces: interfaces.clone(),
            nodes: Some(members.clone()),
            units: self.units.values().cloned().collect(),
            suppress: self.suppress.iter().copied().collect(),
            failback: self.options.failback,
        };
        Selection {
            plan: Arc::new(plan),
            services: Services::from(&self.verdicts),
            nodes: Arc::clone(nodes),
            problems: self.problems(),
            configuration: Arc::clone(configuration),
        }
    }
}

#[cfg(test)]
mod tests;
