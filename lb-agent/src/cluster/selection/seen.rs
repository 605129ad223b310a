//! What was looked at last, and what is different now.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use super::verdict::Serving;
use crate::{
    cluster::{
        Cluster,
        changes::Changes,
        objects::{ObjectName, Service, Slice},
    },
    side_by_side::changes,
};

type Endpoints = HashMap<ObjectName, Vec<(ObjectName, Arc<Slice>)>>;

/// The cluster as it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) services: BTreeMap<ObjectName, Arc<Service>>,
    slices: BTreeMap<ObjectName, Arc<Slice>>,
    endpoints: Endpoints,
    /// Without the above.
    rest: Cluster,
}

impl Seen {
    /// Takes a look at what may have changed. Says which Services have changed, themselves or their endpoints, and whether anything else has.
    pub(super) fn follow(&mut self, cluster: &Cluster, changes: &Changes) -> (Vec<ObjectName>, bool) {
        let Changes { services, slices, is_rest, is_all } = changes;
        let (services, slices) = ((!is_all).then_some(services), (!is_all).then_some(slices));
        let mut changed = Vec::new();
        for (name, service) in differences(&self.services, &cluster.services, services) {
            changed.push(name.clone());
            put(&mut self.services, name, service);
        }
        for (name, slice) in differences(&self.slices, &cluster.slices, slices) {
            if let Some(before) = self.slices.get(&name) {
                changed.push(before.service.clone());
                forget(&mut self.endpoints, &before.service, &name);
            }
            if let Some(slice) = &slice {
                changed.push(slice.service.clone());
                self.endpoints
                    .entry(slice.service.clone())
                    .or_default()
                    .push((name.clone(), Arc::clone(slice)));
            }
            put(&mut self.slices, name, slice);
        }
        changed.sort_unstable();
        changed.dedup();
        (changed, *is_rest && self.follow_rest(cluster))
    }

    /// Where a Service has endpoints.
    pub(super) fn serving(&self, service: &ObjectName) -> Serving {
        let slices = self.endpoints.get(service).into_iter().flatten();
        let mut serving = Serving::default();
        for node in slices.flat_map(|(_, slice)| &slice.serving_nodes) {
            match node {
                Some(node) => _ = serving.nodes.insert(Arc::clone(node)),
                None => serving.is_elsewhere = true,
            }
        }
        serving
    }

    /// What Services and slices do not tell. Exhaustive, so that a new kind is not forgotten.
    fn follow_rest(&mut self, cluster: &Cluster) -> bool {
        let Cluster {
            services: _,
            slices: _,
            nodes,
            pools,
            rejected_pools,
            advertisements,
            rejected_advertisements,
            agent_slices: _,
            agent_addresses: _,
            agents,
        } = cluster;
        let rest = &mut self.rest;
        let mut has_changed = follow(&mut rest.nodes, nodes);
        has_changed |= follow(&mut rest.pools, pools);
        has_changed |= follow(&mut rest.rejected_pools, rejected_pools);
        has_changed |= follow(&mut rest.advertisements, advertisements);
        has_changed |= follow(&mut rest.rejected_advertisements, rejected_advertisements);
        has_changed | follow(&mut rest.agents, agents)
    }
}

fn forget(endpoints: &mut Endpoints, service: &ObjectName, slice: &ObjectName) {
    if let Entry::Occupied(mut known) = endpoints.entry(service.clone()) {
        known.get_mut().retain(|(known, _)| known != slice);
        if known.get().is_empty() {
            known.remove();
        }
    }
}

fn follow<T: Clone + PartialEq>(seen: &mut T, now: &T) -> bool {
    let has_changed = seen != now;
    if has_changed {
        seen.clone_from(now);
    }
    has_changed
}

fn put<V>(all: &mut BTreeMap<ObjectName, Arc<V>>, name: ObjectName, value: Option<Arc<V>>) {
    match value {
        Some(value) => _ = all.insert(name, value),
        None => _ = all.remove(&name),
    }
}

/// What has to be put or taken away to make `now` of `before`, where no more than these may have changed; `None`: all may.
fn differences<V: PartialEq>(
    before: &BTreeMap<ObjectName, Arc<V>>,
    now: &BTreeMap<ObjectName, Arc<V>>,
    may: Option<&BTreeSet<ObjectName>>,
) -> Vec<(ObjectName, Option<Arc<V>>)> {
    let difference = |(name, old, new): (&ObjectName, Option<&Arc<V>>, Option<&Arc<V>>)| {
        (old != new).then(|| (name.clone(), new.cloned()))
    };
    match may {
        Some(names) => {
            names.iter().filter_map(|name| difference((name, before.get(name), now.get(name)))).collect()
        }
        None => changes(before, now).filter_map(difference).collect(),
    }
}
