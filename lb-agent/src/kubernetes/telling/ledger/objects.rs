//! The ServiceL2Statuses of this node, as far as they matter, by name and by Service.

use std::collections::{BTreeMap, HashMap};

use crate::{cluster::objects::ObjectName, outputs::l2_status::Existing};

/// What the watch tells of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// These are all, by name.
    Listed(BTreeMap<String, Existing>),
    /// This one is there, or has changed.
    Put(String, Existing),
    /// This one is gone, or is none of an agent any more.
    Gone(String),
}

/// Those that are there.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Objects {
    by_name: BTreeMap<String, Existing>,
    /// The names of each Service's, in order.
    names: HashMap<ObjectName, Vec<String>>,
}

impl Objects {
    /// Takes a change; says which Services it concerns.
    pub fn take(&mut self, change: Change) -> Vec<ObjectName> {
        match change {
            Change::Put(object, existing) => self.put(object, existing),
            Change::Gone(object) => self.remove(&object).into_iter().collect(),
            Change::Listed(all) => {
                let gone: Vec<String> =
                    self.by_name.keys().filter(|object| !all.contains_key(*object)).cloned().collect();
                let mut services: Vec<ObjectName> =
                    gone.iter().filter_map(|object| self.remove(object)).collect();
                services.extend(all.into_iter().flat_map(|(object, existing)| self.put(object, existing)));
                services
            }
        }
    }

    /// What this one says.
    pub fn get(&self, object: &str) -> Option<&Existing> {
        self.by_name.get(object)
    }

    /// Those of a Service, by name.
    pub fn of<'a>(&'a self, service: &ObjectName) -> impl Iterator<Item = (&'a str, &'a Existing)> {
        let named = |object: &'a String| Some((object.as_str(), self.by_name.get(object)?));
        self.names.get(service).into_iter().flatten().filter_map(named)
    }

    /// The Services that have one.
    pub fn services(&self) -> impl Iterator<Item = &ObjectName> {
        self.names.keys()
    }

    fn put(&mut self, object: String, existing: Existing) -> Vec<ObjectName> {
        let service = existing.service.clone();
        match self.by_name.get_mut(&object) {
            Some(known) if *known == existing => Vec::new(),
            Some(known) if known.service == service => {
                *known = existing;
                vec![service]
            }
            Some(_) | None => {
                let before = self.remove(&object);
                let names = self.names.entry(service.clone()).or_default();
                names.insert(names.partition_point(|other| *other < object), object.clone());
                self.by_name.insert(object, existing);
                before.into_iter().chain([service]).collect()
            }
        }
    }

    fn remove(&mut self, object: &str) -> Option<ObjectName> {
        let Existing { service, .. } = self.by_name.remove(object)?;
        if let Some(names) = self.names.get_mut(&service) {
            names.retain(|name| name != object);
            if names.is_empty() {
                self.names.remove(&service);
            }
        }
        Some(service)
    }
}

#[cfg(test)]
impl Objects {
    /// All, by name.
    pub fn all(&self) -> &BTreeMap<String, Existing> {
        &self.by_name
    }
}
