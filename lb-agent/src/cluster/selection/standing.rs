//! How each Node stands towards a Service, for whoever asks why it is no candidate.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Selection,
    verdict::{NodeVerdict, Outcome, Reason, ServiceVerdict, Standing},
};
use crate::cluster::objects::ObjectName;

impl Selection {
    /// Each Node's standing, by name. `None` for a Service that is not known.
    #[must_use]
    pub fn standings(&self, service: &ObjectName) -> Option<BTreeMap<Arc<str>, Standing>> {
        let verdict = self.services.get(service)?;
        let standing =
            |(name, node): (&Arc<str>, &NodeVerdict)| (Arc::clone(name), self.standing(verdict, name, node));
        Some(self.nodes.iter().map(standing).collect())
    }

    /// One Node's standing. `None` for a Service or a Node that is not known.
    #[must_use]
    pub fn standing_of(&self, service: &ObjectName, node: &str) -> Option<Standing> {
        let (name, node) = self.nodes.get_key_value(node)?;
        Some(self.standing(self.services.get(service)?, name, node))
    }

    fn standing(&self, verdict: &ServiceVerdict, name: &Arc<str>, node: &NodeVerdict) -> Standing {
        let obstacle = obstacle(node).or_else(|| verdict.obstacle(name));
        match (obstacle, &verdict.outcome) {
            (Some(obstacle), _) => obstacle,
            (None, Outcome::Announced { unit, services }) => {
                let mut candidates = unit.candidates.iter().flat_map(|candidates| candidates.iter());
                match candidates.find(|candidate| candidate.node == *name) {
                    Some(candidate) => Standing::Candidate(candidate.score),
                    None if !self.is_for_all(services, name) => Standing::NotForAll,
                    None if !node.is_ready => Standing::NotReady,
                    None => Standing::NoAddress,
                }
            }
            (None, Outcome::NotAnnounced(Reason::NoCommonCandidate { .. })) => Standing::NotForAll,
            (None, Outcome::NotAnnounced(_)) => Standing::NotAnnounced,
        }
    }

    /// Whether a node could announce each of these Services.
    fn is_for_all(&self, services: &[ObjectName], node: &Arc<str>) -> bool {
        let mut verdicts = services.iter().filter_map(|service| self.services.get(service));
        verdicts.all(|verdict| verdict.obstacle(node).is_none())
    }
}

impl ServiceVerdict {
    /// What keeps this Service from being announced by a node.
    fn obstacle(&self, node: &Arc<str>) -> Option<Standing> {
        if self.advertised.by.is_empty() {
            return None; // not for the node's sake
        }
        let is_without_endpoint = self.is_local && !self.serving.nodes.contains(node);
        match self.advertised.nodes.contains_key(node) {
            false => Some(Standing::NotSelected),
            true if is_without_endpoint => Some(Standing::NoLocalEndpoint),
            true => None,
        }
    }
}

/// What keeps a node from being a candidate for anything.
const fn obstacle(node: &NodeVerdict) -> Option<Standing> {
    let NodeVerdict { has_agent, is_excluded, is_network_unavailable, is_ready: _, addresses: _ } = node;
    match (has_agent, is_excluded, is_network_unavailable) {
        (false, ..) => Some(Standing::NoAgent),
        (_, true, _) => Some(Standing::Excluded),
        (_, _, true) => Some(Standing::NetworkUnavailable),
        (true, false, false) => None,
    }
}
