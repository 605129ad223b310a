//! Why a Service is announced or not, in words, with the values that decided each step.

mod advertisements;
mod nodes;

use std::{fmt::Display, sync::Arc};

use super::Step;
use crate::cluster::{
    objects::ObjectName,
    selection::{AddressVerdict, Options, Outcome, Reason, Selection, ServiceVerdict, Standing},
};

/// So many names of a list are told, and of the others the number.
const NAMES: usize = 12;

/// What the words are made from.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What the cluster comes to.
    pub selection: &'a Selection,
    /// What the agent was told besides.
    pub options: &'a Options,
}

/// A Service among them.
#[derive(Clone, Copy)]
struct OfService<'a> {
    told: Told<'a>,
    name: &'a ObjectName,
    verdict: &'a ServiceVerdict,
}

impl<'a> Told<'a> {
    /// The chain of one Service, from its class to its candidates.
    #[must_use]
    pub fn steps(self, name: &'a ObjectName, verdict: &'a ServiceVerdict) -> Vec<Step> {
        OfService { told: self, name, verdict }.steps()
    }

    /// Why this node is no candidate for Services that share a VIP and that others are candidates for.
    pub(super) fn why_not_here<'b>(self, services: impl Iterator<Item = &'b ObjectName>) -> Option<String> {
        let me = &self.options.me;
        if !self.selection.nodes.contains_key(&**me) {
            return Some(format!("there is no Node {me}"));
        }
        let standings: Vec<Standing> =
            services.filter_map(|service| self.selection.standing_of(service, me)).collect();
        if standings.iter().any(|standing| matches!(standing, Standing::Candidate(_))) {
            return None;
        }
        // What the others only follow from.
        let first = standings.iter().find(|standing| **standing != Standing::NotForAll);
        first.or(standings.first()).map(|&standing| nodes::why_not(standing).to_owned())
    }
}

impl OfService<'_> {
    fn steps(self) -> Vec<Step> {
        let Self { verdict, .. } = self;
        let mut steps = vec![self.class_step()];
        if let Outcome::NotAnnounced(Reason::OtherClass { .. }) = verdict.outcome {
            return steps;
        }
        steps.extend(verdict.problems.iter().map(|problem| Step::new("problem", None, problem.clone())));
        steps.extend(self.address_steps());
        if let Some(pool) = self.pool() {
            steps.extend(self.advertisement_steps(&pool));
        }
        steps.push(self.endpoint_step());
        steps.extend(self.sharing_step());
        steps.extend(self.node_steps());
        steps
    }

    fn class_step(self) -> Step {
        let Self { told, name, verdict } = self;
        match (&verdict.outcome, &told.options.lb_class) {
            (Outcome::NotAnnounced(reason @ Reason::OtherClass { .. }), _) => {
                Step::new("Service", false, format!("{name}: {reason}"))
            }
            (_, Some(class)) => Step::new("Service", true, format!("{name}, of class {class}")),
            (_, None) => Step::new("Service", true, format!("{name}, of no class")),
        }
    }

    fn address_steps(self) -> Vec<Step> {
        let Self { verdict, .. } = self;
        if verdict.addresses.is_empty() {
            let why = "its status has no address yet: a controller has to give it one, and tells in the Service's events if \
                       it cannot";
            return vec![Step::new("address", false, why)];
        }
        let mut steps: Vec<Step> =
            verdict.addresses.iter().map(|address| self.address_step(address)).collect();
        if let Outcome::NotAnnounced(reason @ Reason::SeveralPools { .. }) = &verdict.outcome {
            steps.push(Step::new("pool", false, reason.to_string()));
        }
        steps
    }

    fn address_step(self, AddressVerdict { address, pool, node }: &AddressVerdict) -> Step {
        let range = |pool: &Arc<str>| {
            let ranges = &self.told.selection.configuration.pools.get(pool)?.ranges;
            ranges.iter().find(|range| range.contains(*address))
        };
        match (node, pool) {
            (Some(node), _) => Step::new("address", false, format!("{address} is Node {node}'s own address")),
            (None, None) => Step::new("address", false, format!("no IPAddressPool has {address}")),
            (None, Some(pool)) => {
                let by = range(pool).map_or_else(String::new, |range| format!(", by {range}"));
                Step::new("address", true, format!("IPAddressPool {pool} has {address}{by}"))
            }
        }
    }

    /// The pool, where advertisements were looked at for it.
    fn pool(self) -> Option<Arc<str>> {
        match &self.verdict.outcome {
            Outcome::NotAnnounced(
                Reason::OtherClass { .. }
                | Reason::NoAddress
                | Reason::OutsideOfPools { .. }
                | Reason::SeveralPools { .. }
                | Reason::AddressOfNode { .. },
            ) => None,
            Outcome::NotAnnounced(
                Reason::NoAdvertisement { .. }
                | Reason::NoEndpoint
                | Reason::NoCandidate
                | Reason::NoCommonCandidate { .. },
            )
            | Outcome::Announced { .. } => self.verdict.addresses.first()?.pool.clone(),
        }
    }

    fn endpoint_step(self) -> Step {
        let Self { told, verdict, .. } = self;
        let (nodes, is_elsewhere) = (&verdict.serving.nodes, verdict.serving.is_elsewhere);
        let mut on = Vec::new();
        if !nodes.is_empty() {
            on.push(format!("on {}", names(nodes)));
        }
        if is_elsewhere {
            on.push("where it is not told".to_owned());
        }
        if on.is_empty() {
            return Step::new("endpoints", false, "none is ready or serving");
        }
        let on = on.join(" and ");
        let is_here = nodes.contains(told.options.me.as_str());
        match (verdict.is_local, is_here) {
            (false, _) => Step::new(
                "endpoints",
                true,
                format!("ready or serving {on}; by externalTrafficPolicy Cluster every node may answer"),
            ),
            (true, true) => {
                let why =
                    format!("ready or serving {on}; externalTrafficPolicy Local asks for one on this node");
                Step::new("endpoints", true, why)
            }
            (true, false) => {
                let why = format!(
                    "ready or serving {on}, but not on this node, as externalTrafficPolicy Local asks for"
                );
                Step::new("endpoints", false, why)
            }
        }
    }

    fn sharing_step(self) -> Option<Step> {
        let others = |services: &Arc<[ObjectName]>| {
            let others: Vec<&ObjectName> = services.iter().filter(|other| *other != self.name).collect();
            (!others.is_empty()).then(|| names(others))
        };
        match &self.verdict.outcome {
            Outcome::Announced { services, .. } => {
                let why = format!("{}: one node answers for all of them", others(services)?);
                Some(Step::new("shares VIPs", None, why))
            }
            Outcome::NotAnnounced(Reason::NoCommonCandidate { services }) => {
                let why = format!("{}: no Node may announce all of them", others(services)?);
                Some(Step::new("shares VIPs", false, why))
            }
            Outcome::NotAnnounced(_) => None,
        }
    }
}

/// Names in a row; of a long row the first ones.
fn names<N: Display>(all: impl IntoIterator<Item = N, IntoIter: ExactSizeIterator>) -> String {
    let all = all.into_iter();
    let more = all.len().saturating_sub(NAMES);
    let told: Vec<String> = all.take(NAMES).map(|name| name.to_string()).collect();
    let told = told.join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

#[cfg(test)]
mod tests;
