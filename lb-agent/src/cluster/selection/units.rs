//! Services that share a VIP go together: one node announces them all.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    assess::Assessed,
    fields::{Field, Fields},
};
use crate::{cluster::objects::ObjectName, election, plan::PlannedUnit};

/// A Service that may be announced, with the nodes that may announce it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) name: &'a ObjectName,
    assessed: &'a Assessed,
    field: &'a Arc<Field>,
}

impl<'a> Part<'a> {
    /// `None` for a Service that nobody may announce: it takes no part, and binds nobody.
    pub(super) fn of(name: &'a ObjectName, assessed: &'a Assessed) -> Option<Self> {
        Some(Self { name, assessed, field: assessed.stand.as_ref().ok()? })
    }
}

/// Puts those together that share a VIP, at one remove or more.
pub(super) fn groups<'a>(parts: impl Iterator<Item = Part<'a>>) -> Vec<Vec<Part<'a>>> {
    let mut groups: Vec<Vec<Part<'a>>> = Vec::new();
    let mut group_of: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for part in parts {
        let vips = &part.assessed.vips;
        let met: BTreeSet<usize> = vips.iter().filter_map(|vip| group_of.get(vip).copied()).collect();
        let number = met.first().copied().unwrap_or(groups.len());
        let mut joined = vec![part];
        for other in met {
            joined.append(&mut groups[other]);
        }
        group_of.extend(joined.iter().flat_map(|part| part.assessed.vips.iter()).map(|&vip| (vip, number)));
        match groups.get_mut(number) {
            Some(group) => *group = joined,
            None => groups.push(joined),
        }
    }
    groups.retain(|group| !group.is_empty());
    for group in &mut groups {
        group.sort_unstable_by_key(|part| part.name);
    }
    groups
}

/// What a group comes to; `None` when no node may announce all of it.
pub(super) fn unit(group: &[Part<'_>], fields: &mut Fields) -> Option<PlannedUnit> {
    let addresses: Arc<[IpAddr]> = match group {
        [only] if only.assessed.vips.is_sorted() => Arc::clone(&only.assessed.vips),
        parts => {
            let all: BTreeSet<IpAddr> =
                parts.iter().flat_map(|part| part.assessed.vips.iter()).copied().collect();
            all.into_iter().collect()
        }
    };
    let firsts: Vec<IpAddr> = group.iter().filter_map(|part| part.assessed.first()).collect();
    let field = match group {
        [only] => Arc::clone(only.field),
        parts => fields.common(&parts.iter().map(|part| &**part.field).collect::<Vec<_>>()),
    };
    let key = election::key(&firsts).filter(|_| !field.is_empty())?;
    let candidates = Some(Arc::clone(&field.candidates));
    Some(PlannedUnit { addresses, key, candidates, interfaces: interfaces(group) })
}

/// All that one of them names, unless one is for all interfaces.
fn interfaces(group: &[Part<'_>]) -> Option<Arc<BTreeSet<String>>> {
    let all: Vec<&Arc<BTreeSet<String>>> =
        group.iter().map(|part| part.assessed.interfaces()).collect::<Option<_>>()?;
    match *all {
        [only] => Some(Arc::clone(only)),
        ref several => Some(Arc::new(several.iter().flat_map(|names| names.iter().cloned()).collect())),
    }
}
