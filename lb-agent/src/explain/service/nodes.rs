//! Which nodes are candidates, in which order, and why the others are none.

use std::{collections::BTreeMap, sync::Arc};

use super::{OfService, names};
use crate::{
    cluster::selection::{Outcome, Standing},
    election::{Contender, KeyText},
    explain::Step,
    plan::{Candidate, PlannedUnit},
};

impl OfService<'_> {
    pub(super) fn node_steps(self) -> Vec<Step> {
        let mut steps = Vec::new();
        let me = self.told.options.me.as_str();
        if let Outcome::Announced { unit, .. } = &self.verdict.outcome {
            steps.extend(order_step(unit, me));
        }
        let mut others: BTreeMap<&str, Vec<Arc<str>>> = BTreeMap::new();
        for (node, standing) in self.told.selection.standings(self.name).unwrap_or_default() {
            match standing {
                Standing::Candidate(_) | Standing::NotAnnounced => {}
                standing => others.entry(why_not(standing)).or_default().push(node),
            }
        }
        steps.extend(others.into_iter().map(|(why, nodes)| {
            let verdict = nodes.iter().any(|node| **node == *me).then_some(false);
            Step::new("no candidate", verdict, format!("{}: {why}", names(&nodes)))
        }));
        if !self.told.selection.nodes.contains_key(me) {
            steps.push(Step::new("no candidate", false, format!("{me}: there is no Node of this name")));
        }
        steps
    }
}

/// The candidates, best first.
fn order_step(unit: &PlannedUnit, me: &str) -> Option<Step> {
    let candidates = unit.candidates.as_ref()?;
    let key = KeyText::of(unit.key);
    let mut ranked: Vec<(Contender<'_>, &Candidate)> =
        candidates.iter().map(|candidate| (Contender::new(&*candidate.node), candidate)).collect();
    ranked.sort_by(|(one, of_one), (other, of_other)| {
        one.rank(of_one.score, &key).cmp(&other.rank(of_other.score, &key))
    });
    let is_scored = candidates.iter().any(|candidate| candidate.score != 0);
    let text = |(_, Candidate { node, score }): &(Contender<'_>, &Candidate)| match is_scored {
        true => format!("{node} (preferred by {score})"),
        false => node.to_string(),
    };
    let order: Vec<String> = ranked.iter().map(text).collect();
    let is_mine = candidates.iter().any(|candidate| *candidate.node == *me);
    let why = format!("{}; the order for {}, best first", names(&order), unit.key);
    Some(Step::new("candidates", is_mine.then_some(true), why))
}

/// Why a node is no candidate.
pub(super) const fn why_not(standing: Standing) -> &'static str {
    match standing {
        Standing::Candidate(_) => "it is a candidate",
        Standing::NoAgent => "no agent runs there that was ever ready",
        Standing::Excluded => "excluded by the label node.kubernetes.io/exclude-from-external-load-balancers",
        Standing::NetworkUnavailable => "its condition NetworkUnavailable is True",
        Standing::NotSelected => "no L2Advertisement that selects the Service selects it",
        Standing::NoLocalEndpoint => "no endpoint there, as externalTrafficPolicy Local asks for",
        Standing::NotForAll => "no candidate for another Service that shares a VIP",
        Standing::NotReady => "its condition Ready is not True, and that of others is",
        Standing::NoAddress => "it has no address to be probed at, and others have",
        Standing::NotAnnounced => "the Service is not announced",
    }
}
