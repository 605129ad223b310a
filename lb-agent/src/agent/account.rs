//! What the agent says of itself: the report, and explanations.

use std::{net::IpAddr, sync::Arc};

use super::Agent;
use crate::{
    attach::{self, Pin},
    explain::{
        Answer, Explanation, Step, Summary,
        facts::{CandidateFacts, EntryFacts, Facts, LeaseFacts},
    },
    model::{BoottimeNs, Interface, Place},
    report::Report,
};

impl Agent {
    /// What outputs have to know, if it may have changed since the last call.
    pub fn new_report(&mut self) -> Option<Report> {
        let has_lease = self.lease.has_lease();
        let state = (self.holding.version(), self.holding.needs_version(), self.news, has_lease);
        if self.reported.replace(state) == Some(state) {
            return None;
        }
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

    /// Explains VIPs; of each the source has given its own steps.
    #[must_use]
    pub fn explain(&self, vips: Vec<(IpAddr, Vec<Step>)>, now: BoottimeNs) -> Answer {
        let explain = |(vip, source)| Explanation {
            vip,
            node: self.group.node_name(self.group.me()).to_string(),
            source,
            interfaces: self
                .usable()
                .map(|interface| {
                    let place = Place { ifindex: interface.index, address: vip };
                    self.facts(place, interface, self.entry(place, now), now).explain()
                })
                .collect(),
        };
        Answer::Explained(vips.into_iter().map(explain).collect())
    }

    /// Every VIP, with a verdict only.
    #[must_use]
    pub fn summary(&self, now: BoottimeNs) -> Answer {
        let mut summaries = Vec::new();
        for interface in self.usable() {
            let units = self.holding.accounts().filter(|(at, _)| at.ifindex == interface.index);
            let places = units.flat_map(|(at, account)| {
                account.vips.iter().map(move |&address| Place { ifindex: at.ifindex, address })
            });
            summaries.extend(places.map(|place| {
                let entry = self.mirror.entry(place).map(|entry| EntryFacts {
                    role: entry.role(),
                    mac: entry.mac,
                    requests: 0,
                    answers: 0,
                    last_answer_ago_ms: None,
                });
                let verdict = self.facts(place, interface, entry, now).verdict();
                Summary { vip: place.address, interface: interface.name.clone(), verdict }
            }));
        }
        summaries.sort_by_key(|summary| summary.vip);
        Answer::List(summaries)
    }

    fn facts(
        &self,
        place: Place,
        interface: &Interface,
        entry: Option<EntryFacts>,
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
