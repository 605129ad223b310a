//! What is known of a VIP on an interface, and what it means.

use std::{net::IpAddr, sync::Arc};

use lb_common::{maps::Role, wire::ethernet::Mac};

use super::{OnInterface, Step, Verdict};
use crate::{
    holding::{Part, Stance},
    model::MacText,
    report::{History, Takeover, Told},
    sbfd::Liveness,
};

/// A candidate, best first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CandidateFacts {
    /// Its name.
    pub name: Arc<str>,
    /// It is this node.
    pub is_me: bool,
    /// What S-BFD says; `None`: it is not probed.
    pub liveness: Option<Liveness>,
    /// It is up and did not answer for the VIP.
    pub is_silent: bool,
}

/// What the kernel's map says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryFacts {
    /// What is done with requests; `None`: an unknown word.
    pub role: Option<Role>,
    /// The link-layer address of the answers, or of the other station.
    pub mac: Mac,
    /// Requests seen.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// Time since the last answer, in ms.
    pub last_answer_ago_ms: Option<u64>,
}

/// The kernel's word that it may answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeaseFacts {
    /// None was ever given.
    None,
    /// It ends in so many ms.
    Valid(u64),
    /// It ended so many ms ago.
    Lapsed(u64),
}

/// Everything about one VIP on one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The interface's name.
    pub interface: String,
    /// It is up and has a carrier.
    pub is_running: bool,
    /// The programs that run there, as `tcx-ingress (program 42)`.
    pub hook: Option<String>,
    /// The VIPs that go together with this one.
    pub together: Vec<IpAddr>,
    /// The candidates, best first.
    pub candidates: Vec<CandidateFacts>,
    /// What this node has to do with it; `None`: it is not known there.
    pub part: Option<Part>,
    /// The unit names interfaces, and not this one.
    pub is_elsewhere: bool,
    /// How this node stands to it.
    pub stance: Option<Stance<Arc<str>>>,
    /// What has happened to it.
    pub history: History,
    /// What the map says.
    pub entry: Option<EntryFacts>,
    /// The lease.
    pub lease: LeaseFacts,
    /// The node is drained.
    pub is_drained: bool,
    /// Why no node is to announce it, by its source.
    pub nobody: Option<String>,
    /// Why this node is no candidate, by its source.
    pub not_here: Option<String>,
}

impl Facts {
    /// The chain in words.
    #[must_use]
    pub fn explain(&self) -> OnInterface {
        let mut steps = Vec::new();
        steps.extend(self.candidate_steps());
        steps.extend(self.unit_step());
        if self.is_drained {
            steps.push(Step::new("drained", false, "until `lb-agent undrain` this node answers for no VIP"));
        }
        steps.push(self.interface_step());
        steps.push(match &self.hook {
            Some(hook) => Step::new("hook", true, hook.clone()),
            None => Step::new("hook", false, "no program of the agent runs there"),
        });
        steps.extend(self.stance_step());
        steps.extend(self.history_steps());
        steps.push(self.lease_step());
        steps.extend(self.entry_steps());
        OnInterface { interface: self.interface.clone(), steps, verdict: self.verdict() }
    }

    fn candidate_steps(&self) -> Vec<Step> {
        if self.candidates.is_empty() && self.part.is_some() {
            return vec![Step::new("candidates", false, "no node may announce it")];
        }
        let step = |(number, candidate): (usize, &CandidateFacts)| {
            let CandidateFacts { name, is_me, .. } = candidate;
            let (_, why) = candidate.standing();
            Step::new(format!("candidate {number}"), is_me.then_some(true), format!("{name}: {why}"))
        };
        let mut steps: Vec<Step> = (1..).zip(&self.candidates).map(step).collect();
        if self.part.is_some() && !self.candidates.iter().any(|candidate| candidate.is_me) {
            steps.push(Step::new("candidates", false, "this node is not among them"));
        }
        steps
    }

    fn unit_step(&self) -> Option<Step> {
        if self.together.len() > 1 {
            let all: Vec<String> = self.together.iter().map(ToString::to_string).collect();
            return Some(Step::new("goes with", None, all.join(", ")));
        }
        None
    }

    fn interface_step(&self) -> Step {
        match (self.is_running, self.is_elsewhere) {
            (false, _) => Step::new("interface", false, "it is down, or has no carrier"),
            (true, true) => {
                Step::new("interface", false, "the VIP is to be announced on other interfaces only")
            }
            (true, false) => Step::new("interface", true, "it is up, with carrier"),
        }
    }

    fn stance_step(&self) -> Option<Step> {
        let stance = self.stance.as_ref()?;
        Some(Step::new("state", matches!(stance, Stance::Held | Stance::Leaving), self.stance_words(stance)))
    }

    fn stance_words(&self, stance: &Stance<Arc<str>>) -> String {
        match stance {
            Stance::Held => "this node holds it".to_owned(),
            Stance::Leaving => {
                "this node is to announce it no more, and answers until another one does, for a second at most"
                    .to_owned()
            }
            Stance::Asking => "this node asks on the wire whether anybody has it".to_owned(),
            Stance::StandingBy { holder: Some(holder) } => format!("{holder} was last heard to hold it"),
            Stance::StandingBy { holder: None } => match self.live_predecessor() {
                Some(name) => format!("{name} goes before this node, and is up"),
                None => "this node waits to hear how the candidates before it are".to_owned(),
            },
            Stance::Suppressed => match self.part {
                Some(Part::Candidate { .. }) => "it is not announced yet".to_owned(),
                _ if self.is_elsewhere => "it is not to be announced on this interface".to_owned(),
                _ if self.is_drained => "the node is drained".to_owned(),
                _ if !self.is_running => "the interface is down".to_owned(),
                _ if self.candidates.iter().any(|candidate| candidate.is_me) => "it is not announced yet".to_owned(),
                _ if self.candidates.is_empty() => match &self.nobody {
                    Some(why) => why.clone(),
                    None => "it is a VIP of others".to_owned(),
                },
                _ => match &self.not_here {
                    Some(why) => format!("this node is no candidate for it: {why}"),
                    None => "this node is no candidate for it".to_owned(),
                },
            },
            Stance::Contested(station) => {
                format!("{} answers for it, which is no node of the group", MacText(*station))
            }
        }
    }

    fn live_predecessor(&self) -> Option<&str> {
        let before = self.candidates.iter().take_while(|candidate| !candidate.is_me);
        let lives = |candidate: &&CandidateFacts| candidate.standing().0;
        before.into_iter().find(lives).map(|candidate| &*candidate.name)
    }

    fn history_steps(&self) -> Vec<Step> {
        let History { taken, conflict, split } = &self.history;
        let taken = taken.as_ref().map(|Told { what, .. }| Step::new("last taken", None, why_taken(what)));
        let conflict = conflict.as_ref().map(|Told { what, .. }| {
            Step::new(
                "conflict",
                None,
                format!("{} has claimed it too, which is no node of the group", MacText(*what)),
            )
        });
        let split = split.as_ref().map(|Told { what: (one, other), .. }| {
            Step::new(
                "split",
                None,
                format!("{one} and {other} have both answered: do they hear each other?"),
            )
        });
        [taken, conflict, split].into_iter().flatten().collect()
    }

    fn lease_step(&self) -> Step {
        let why = match self.lease {
            LeaseFacts::None => "the kernel has not been told that it may answer".to_owned(),
            LeaseFacts::Valid(left) => format!("it ends in {left} ms unless it is renewed"),
            LeaseFacts::Lapsed(ago) => {
                format!("it ended {ago} ms ago: until it is renewed the kernel is silent")
            }
        };
        Step::new("lease", matches!(self.lease, LeaseFacts::Valid(_)), why)
    }

    fn entry_steps(&self) -> Vec<Step> {
        let Some(EntryFacts { role, mac, requests, answers, last_answer_ago_ms }) = &self.entry else {
            return vec![Step::new("map", false, "it has no entry for the VIP")];
        };
        let mac = MacText(*mac);
        let map = match role {
            Some(Role::Announce) => {
                Step::new("map", true, format!("announce: requests are answered with {mac}"))
            }
            Some(Role::Suppress) => {
                Step::new("map", false, "suppress: requests are dropped, so that the host does not answer")
            }
            Some(Role::Contested) => Step::new("map", false, format!("contested: left to {mac}")),
            Some(Role::SelfTest) | None => Step::new("map", false, "it has an entry that is none of a VIP"),
        };
        let last = last_answer_ago_ms.map_or_else(|| "none yet".to_owned(), |ms| format!("{ms} ms ago"));
        let counters =
            Step::new("last answer", None, format!("{last} ({requests} requests, {answers} answers)"));
        vec![map, counters]
    }

    /// Whether the kernel answers, and why.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let role = self.entry.as_ref().and_then(|entry| entry.role);
        let stance = self.stance.as_ref().map(|stance| self.stance_words(stance));
        let (answers, because) = match (role, self.lease) {
            _ if self.hook.is_none() => (false, "no program of the agent runs there".to_owned()),
            (Some(Role::Announce), LeaseFacts::Valid(_)) if !self.is_running => {
                (false, "the interface is down".to_owned())
            }
            (Some(Role::Announce), LeaseFacts::Valid(_)) => {
                (true, stance.unwrap_or_else(|| "the map says so".to_owned()))
            }
            _ if self.is_drained => (false, "the node is drained".to_owned()),
            (_, LeaseFacts::None) => (false, "the agent has no lease yet".to_owned()),
            (_, LeaseFacts::Lapsed(ago)) => (false, format!("the lease lapsed {ago} ms ago")),
            (Some(Role::Suppress | Role::Contested), _) => {
                (false, stance.unwrap_or_else(|| "the map says so".to_owned()))
            }
            (Some(Role::SelfTest) | None, _) => match &self.nobody {
                Some(why) => (false, why.clone()),
                None => (false, "the kernel's map does not have it".to_owned()),
            },
        };
        Verdict { answers, because }
    }
}

impl CandidateFacts {
    /// Whether others wait for it, and why.
    fn standing(&self) -> (bool, &'static str) {
        match self.liveness {
            _ if self.is_me => (true, "this node"),
            _ if self.is_silent => (false, "up, but it did not answer for the VIP: passed over"),
            Some(Liveness::Up { is_agent_seen: true }) => (true, "up"),
            Some(Liveness::Up { is_agent_seen: false }) => {
                (false, "up, its agent is not: it keeps what it holds and takes nothing more")
            }
            Some(Liveness::Down) => (false, "down: it does not answer S-BFD"),
            Some(Liveness::AdminDown) => (false, "withdrawn: it is drained, or its agent is gone"),
            None => (false, "not probed: others are enough"),
        }
    }
}

fn why_taken(Takeover { cause, peer }: &Takeover) -> String {
    let peer = peer.as_deref().unwrap_or("another node");
    match *cause {
        "unanswered" => "nobody else answered for it".to_owned(),
        "unasked" => "nobody is to be asked outside of the interface's prefixes".to_owned(),
        "peers_gone" => "the nodes before this one were gone".to_owned(),
        "silent" => format!("{peer} was up but did not answer for it"),
        "failback" => format!("back from {peer}"),
        "given_back" => format!("{peer} gave it back"),
        _ => format!("{peer} was to announce it no more"),
    }
}

#[cfg(test)]
mod tests;
