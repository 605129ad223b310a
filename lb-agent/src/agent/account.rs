//! What the agent says of itself: the report, and explanations.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use super::Agent;
use crate::{
    attach::{self, Pin},
    explain::{
        Answer, Explanation, List, Origin, Subject, Summary, Survey, Verdict,
        facts::{CandidateFacts, EntryFacts, Facts, LeaseFacts},
    },
    model::{BoottimeNs, Interface, Place},
    report::Report,
};

/// Between two reports: among very many units they cost some milliseconds.
const REPORT_INTERVAL_NS: u64 = 1_000_000_000;

impl Agent {
    /// What outputs have to know, if it may have changed since the last one. What changes all the time is told once a second.
    pub fn new_report(&mut self, now: BoottimeNs) -> Option<Report> {
        let has_lease = self.lease.has_lease();
        let state = (self.holding.version(), self.news, has_lease);
        if self.reported == Some(state) || now < self.report_from {
            return None;
        }
        self.reported = Some(state);
        self.report_from = now + REPORT_INTERVAL_NS;
        let Self { group, holding, chronicle, .. } = self;
        let units = chronicle.units(holding, |node| group.node_name(node));
        let name = |interface: &Interface| (interface.index, Arc::from(interface.name.as_str()));
        Some(Report {
            node: self.group.node_name(self.group.me()),
            has_lease,
            is_drained: self.is_drained,
            trouble: self.last_trouble.clone(),
            config_problem: self.config_problem.clone(),
            interfaces: self.usable().map(name).collect(),
            addresses: self.own_addresses().collect(),
            units,
        })
    }

    /// By which peers may reach this node on the interfaces that may carry VIPs.
    fn own_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = self.usable().flat_map(|interface| &interface.addresses);
        addresses.map(|&(address, _)| address).filter(|&address| !self.group.is_vip(address))
    }

    /// Explains VIPs, of each of which the source has told where it comes from.
    #[must_use]
    pub fn explain(&self, subjects: Vec<Subject>, now: BoottimeNs) -> Answer {
        let explain = |Subject { about, vip, steps, origin }| {
            let on = |interface: &Interface| {
                let place = Place { ifindex: interface.index, address: vip? };
                Some(self.facts(place, interface, self.entry(place, now), &origin, now).explain())
            };
            Explanation {
                about,
                vip,
                node: self.group.node_name(self.group.me()).to_string(),
                source: steps,
                interfaces: self.usable().filter_map(on).collect(),
                nobody: origin.nobody,
            }
        };
        Answer::Explained(subjects.into_iter().map(explain).collect())
    }

    /// Every VIP, with a verdict only.
    #[must_use]
    pub fn summary(&self, survey: Survey, now: BoottimeNs) -> Answer {
        let Survey { view, mut vips, without_vip } = survey;
        let mut lines = Vec::new();
        let mut met = BTreeSet::new();
        for interface in self.usable() {
            let units = self.holding.accounts().filter(|(at, _)| at.ifindex == interface.index);
            let places = units.flat_map(|(at, account)| {
                account.vips.iter().map(move |&address| Place { ifindex: at.ifindex, address })
            });
            lines.extend(places.map(|place| {
                met.insert(place.address);
                let origin = vips.get(&place.address).cloned().unwrap_or_default();
                self.line(place, interface, origin, now)
            }));
        }
        vips.retain(|vip, _| !met.contains(vip));
        lines.extend(vips.into_iter().map(|(vip, Origin { services, nobody, not_here })| {
            let because =
                nobody.or(not_here).unwrap_or_else(|| "no interface of this node carries it".to_owned());
            let verdict = Verdict { answers: false, because };
            Summary { vip: Some(vip), services, interface: None, verdict }
        }));
        lines.sort_by_key(|line| line.vip);
        lines.extend(without_vip.into_iter().map(|(service, because)| {
            let verdict = Verdict { answers: false, because };
            Summary { vip: None, services: vec![service], interface: None, verdict }
        }));
        Answer::List(List { view, lines })
    }

    fn line(&self, place: Place, interface: &Interface, origin: Origin, now: BoottimeNs) -> Summary {
        let entry = self.mirror.entry(place).map(|entry| EntryFacts {
            role: entry.role(),
            mac: entry.mac,
            requests: 0,
            answers: 0,
            last_answer_ago_ms: None,
        });
        let verdict = self.facts(place, interface, entry, &origin, now).verdict();
        let interface = Some(interface.name.clone());
        Summary { vip: Some(place.address), services: origin.services, interface, verdict }
    }

    fn facts(
        &self,
        place: Place,
        interface: &Interface,
        entry: Option<EntryFacts>,
        origin: &Origin,
        now: BoottimeNs,
    ) -> Facts {
        let account = self.holding.account(place);
        let name = |node| self.group.node_name(node);
        let candidate = |&node: &_| CandidateFacts {
            name: name(node),
            is_me: node == self.group.me(),
            liveness: self.holding.liveness(interface.index, node),
            is_silent: account.is_some_and(|account| account.silent.contains(&node)),
        };
        let valid_until = self.state.valid_until_ns;
        Facts {
            interface: interface.name.clone(),
            is_running: interface.is_running,
            hook: self.hook_text(interface.index),
            together: account.map(|account| account.vips.to_vec()).unwrap_or_default(),
            candidates: account
                .map(|account| account.order.iter().map(candidate).collect())
                .unwrap_or_default(),
            part: account.map(|account| account.part),
            is_elsewhere: self.group.is_elsewhere(
                place.address,
                interface,
                self.hooks.is_default(interface.index),
            ),
            stance: account.map(|account| account.stance.named(name)),
            history: self.chronicle.history(self.holding.unit_at(place)),
            entry,
            lease: match (valid_until, valid_until.checked_sub(now)) {
                (0, _) => LeaseFacts::None,
                (_, Some(left)) if left > 0 => LeaseFacts::Valid(left / 1_000_000),
                _ => LeaseFacts::Lapsed((now - valid_until) / 1_000_000),
            },
            is_drained: self.is_drained,
            nobody: origin.nobody.clone(),
            not_here: origin.not_here.clone(),
        }
    }

    /// What the kernel's map itself says.
    fn entry(&self, place: Place, now: BoottimeNs) -> Option<EntryFacts> {
        let (entry, stats) = self.tables.vip(place).ok().flatten()?;
        let ago = |at: BoottimeNs| now.saturating_sub(at) / 1_000_000;
        Some(EntryFacts {
            role: entry.role(),
            mac: entry.mac,
            requests: stats.requests,
            answers: stats.answers,
            last_answer_ago_ms: (stats.last_answer_ns != 0).then(|| ago(stats.last_answer_ns)),
        })
    }

    fn hook_text(&self, ifindex: u32) -> Option<String> {
        let slots = self.hooks.slots(ifindex)?;
        let texts: Option<Vec<String>> = slots
            .iter()
            .map(|&slot| {
                let pin = Pin { ifindex, slot, mechanism: attach::mechanism(slot) };
                let program = attach::running(&self.pins, &pin)?;
                Some(format!("{} (program {program})", pin.kind()))
            })
            .collect();
        texts.map(|texts| texts.join(", "))
    }
}
