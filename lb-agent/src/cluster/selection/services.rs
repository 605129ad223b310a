//! What was found of all Services: copied for every change of one of them, and so as flat as can be.

use std::{collections::BTreeMap, ops::Index, sync::Arc};

use super::ServiceVerdict;
use crate::cluster::objects::ObjectName;

/// The verdicts of all Services, in the order of their names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Services(Vec<Arc<ServiceVerdict>>);

impl Services {
    /// The verdict of a Service.
    #[must_use]
    pub fn get(&self, name: &ObjectName) -> Option<&Arc<ServiceVerdict>> {
        let at = self.0.binary_search_by(|verdict| verdict.name.cmp(name)).ok()?;
        self.0.get(at)
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectName> {
        self.values().map(|verdict| &verdict.name)
    }

    /// The verdicts.
    pub fn values(&self) -> impl Iterator<Item = &Arc<ServiceVerdict>> {
        self.0.iter()
    }

    /// Both.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectName, &Arc<ServiceVerdict>)> {
        self.values().map(|verdict| (&verdict.name, verdict))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&BTreeMap<ObjectName, Arc<ServiceVerdict>>> for Services {
    fn from(by_name: &BTreeMap<ObjectName, Arc<ServiceVerdict>>) -> Self {
        Self(by_name.values().cloned().collect())
    }
}

impl Index<&ObjectName> for Services {
    type Output = Arc<ServiceVerdict>;

    /// # Panics
    /// When there is no such Service.
    fn index(&self, name: &ObjectName) -> &Self::Output {
        self.get(name).expect("a Service of that name")
    }
}
