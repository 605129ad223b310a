//! What in a cluster a question is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{Origin, Step, Subject, Survey, service::Told, view::View};
use crate::cluster::{
    objects::ObjectName,
    selection::{Outcome, Reason, ServiceVerdict},
};

/// Names are near by this, of 1: one slip in three letters.
const NEAR: f64 = 0.6;
/// So many near names are told.
const NEAREST: usize = 3;
const REMEDY: &str = "without a name `lb-agent explain` lists all that there are";

type Services<'a> = Vec<(&'a ObjectName, &'a ServiceVerdict)>;

impl<'a> Told<'a> {
    /// A VIP, or the VIPs of a Service, as `namespace/name` or as its name alone.
    ///
    /// # Errors
    /// When it is about nothing that is known, and what to ask instead.
    pub fn find(self, about: &str, view: &View) -> Result<Vec<Subject>, String> {
        let before = view.steps(self);
        if let Ok(vip) = about.parse() {
            let services = self.services_with(vip);
            if services.is_empty() {
                return Err(self.no_vip(vip));
            }
            return Ok(vec![self.subject(vip, &services, &before)]);
        }
        let (name, verdict) = self.service(about)?;
        let addresses: BTreeSet<IpAddr> = verdict.addresses.iter().map(|address| address.address).collect();
        if addresses.is_empty() {
            return Ok(vec![self.without_vip(name, verdict, before)]);
        }
        let with_vip = |vip| self.subject(vip, &[(name, verdict)], &before);
        Ok(addresses.into_iter().map(with_vip).collect())
    }

    /// All VIPs, and the Services that have none.
    #[must_use]
    pub fn survey(self, view: &View) -> Survey {
        let mut having: BTreeMap<IpAddr, Services<'a>> = BTreeMap::new();
        let mut without_vip = Vec::new();
        for (name, verdict) in self.selection.services.iter() {
            for address in &*verdict.addresses {
                having.entry(address.address).or_default().push((name, verdict));
            }
            if verdict.addresses.is_empty() && !is_of_other_class(verdict) {
                without_vip.extend(why_not_announced(verdict).map(|why| (name.to_string(), why)));
            }
        }
        // Those of other classes are other announcers' matter.
        having.retain(|_, services| !services.iter().all(|(_, verdict)| is_of_other_class(verdict)));
        let vips = having.into_iter().map(|(vip, services)| (vip, self.origin(&services))).collect();
        Survey { view: view.steps(self), vips, without_vip }
    }

    fn subject(
        self,
        vip: IpAddr,
        asked: &[(&'a ObjectName, &'a ServiceVerdict)],
        before: &[Step],
    ) -> Subject {
        let mut steps = before.to_vec();
        let origin = self.origin(&self.services_with(vip));
        for (name, verdict) in asked {
            steps.extend(self.steps(name, verdict));
            // Where it is the VIP's whole story, that says it.
            let why = why_not_announced(verdict).filter(|_| origin.nobody.is_none());
            steps.extend(
                why.map(|why| Step::new("outcome", false, format!("{name} is not announced: {why}"))),
            );
        }
        Subject { about: vip.to_string(), vip: Some(vip), steps, origin }
    }

    fn without_vip(self, name: &'a ObjectName, verdict: &'a ServiceVerdict, before: Vec<Step>) -> Subject {
        let mut steps = before;
        steps.extend(self.steps(name, verdict));
        let nobody = why_not_announced(verdict);
        let origin = Origin { services: vec![name.to_string()], nobody, not_here: None };
        Subject { about: name.to_string(), vip: None, steps, origin }
    }

    fn origin(self, services: &[(&'a ObjectName, &'a ServiceVerdict)]) -> Origin {
        let announced =
            || services.iter().filter(|(_, verdict)| is_announced(verdict)).map(|(name, _)| *name);
        let (nobody, not_here) = match announced().next() {
            Some(_) => (None, self.why_not_here(announced())),
            None => (nobody(services), None),
        };
        Origin { services: services.iter().map(|(name, _)| name.to_string()).collect(), nobody, not_here }
    }

    fn services_with(self, vip: IpAddr) -> Services<'a> {
        let has_vip =
            |verdict: &ServiceVerdict| verdict.addresses.iter().any(|address| address.address == vip);
        let services = self.selection.services.iter().filter(|(_, verdict)| has_vip(verdict));
        services.map(|(name, verdict)| (name, &**verdict)).collect()
    }

    fn service(self, about: &str) -> Result<(&'a ObjectName, &'a ServiceVerdict), String> {
        let services = &self.selection.services;
        let is_meant = |name: &ObjectName| match about.split_once('/') {
            Some((namespace, short)) => *name.namespace == *namespace && *name.name == *short,
            None => *name.name == *about,
        };
        let found: Services<'a> = services
            .iter()
            .filter(|(name, _)| is_meant(name))
            .map(|(name, verdict)| (name, &**verdict))
            .collect();
        match *found {
            [only] => Ok(only),
            [] => Err(self.no_service(about)),
            ref several => {
                let several: Vec<String> = several.iter().map(|(name, _)| name.to_string()).collect();
                Err(format!("there are several Services {about}: ask for {}", several.join(" or ")))
            }
        }
    }

    fn no_vip(self, vip: IpAddr) -> String {
        let Self { selection, .. } = self;
        let node = selection.nodes.iter().find(|(_, node)| node.addresses.contains(&vip));
        if let Some((node, _)) = node {
            return format!("{vip} is no VIP but Node {node}'s own address; {REMEDY}");
        }
        let mut pools = selection.configuration.pools.iter();
        let pool = pools.find(|(_, pool)| pool.ranges.iter().any(|range| range.contains(vip)));
        let pool = match pool {
            Some((pool, _)) => {
                format!("IPAddressPool {pool} has it, but no Service of type LoadBalancer does")
            }
            None => "neither a Service of type LoadBalancer nor an IPAddressPool has it".to_owned(),
        };
        format!("{vip} is no VIP: {pool}; {REMEDY}")
    }

    fn no_service(self, about: &str) -> String {
        let short = about.rsplit_once('/').map_or(about, |(_, short)| short);
        let near = |name: &ObjectName| {
            let likeness = strsim::normalized_damerau_levenshtein(short, &name.name);
            (if name.name.contains(short) { likeness.max(NEAR) } else { likeness }, name.to_string())
        };
        let mut near: Vec<(f64, String)> =
            self.selection.services.keys().map(near).filter(|(likeness, _)| *likeness >= NEAR).collect();
        near.sort_by(|(one, name), (other, other_name)| {
            other.total_cmp(one).then_with(|| name.cmp(other_name))
        });
        let near: Vec<String> = near.into_iter().take(NEAREST).map(|(_, name)| name).collect();
        let hint = match near.is_empty() {
            true => REMEDY.to_owned(),
            false => format!("did you mean {}?", near.join(" or ")),
        };
        format!("there is no Service {about} of type LoadBalancer; {hint}")
    }
}

fn is_announced(verdict: &ServiceVerdict) -> bool {
    matches!(verdict.outcome, Outcome::Announced { .. })
}

fn is_of_other_class(verdict: &ServiceVerdict) -> bool {
    matches!(verdict.outcome, Outcome::NotAnnounced(Reason::OtherClass { .. }))
}

fn why_not_announced(verdict: &ServiceVerdict) -> Option<String> {
    match &verdict.outcome {
        Outcome::Announced { .. } => None,
        Outcome::NotAnnounced(reason) => Some(reason.to_string()),
    }
}

/// Why none of the Services that have a VIP is announced.
fn nobody(services: &[(&ObjectName, &ServiceVerdict)]) -> Option<String> {
    let reason = |(_, verdict): &(&ObjectName, &ServiceVerdict)| why_not_announced(verdict);
    match services {
        [only] => reason(only),
        several => {
            let reasons = several.iter().filter_map(|one| Some(format!("{}: {}", one.0, reason(one)?)));
            Some(reasons.collect::<Vec<_>>().join("; "))
        }
    }
}

#[cfg(test)]
mod tests;
