//! A row of the tables: what stands in the maps, what comes in, what has to come of it.

use std::net::IpAddr;

use lb_agent::clock::boottime_ns;
use lb_common::{
    maps::{
        ABANDONED_AFTER_NS, AGENT_STALE_AFTER_NS, Agent, Claim, ClaimKind, Iface, Role, UnknownLimit,
        VipEntry,
    },
    reason::{Action, Fate, FrameCounters},
};

use crate::{
    arp::{Mac, NODE, NODE_IP, VIP},
    family::{Family, Question},
    kernel::{Kernel, LOOPBACK, Outcome, Program, not_run, once},
    ndp::{NODE_IP6, NODE_LINK_LOCAL, NODE_MASK},
    probe::DISCRIMINATOR,
};

/// The node's interface.
pub const NODE_IFACE: Iface = Iface {
    ipv4: NODE_IP,
    ipv4_mask: [255, 255, 0, 0],
    mac: NODE,
    reserved: [0; 2],
    ipv6_link_local: NODE_LINK_LOCAL,
    ipv6: NODE_IP6,
    ipv6_mask: NODE_MASK,
};

const A_MINUTE_NS: u64 = 60_000_000_000;

/// The lease at the time of the frame.
#[derive(Clone, Copy, Debug)]
pub enum Lease {
    Valid,
    Expired,
    /// Ended more than a day ago; without effect on a machine that has not been up for so long.
    DayOld,
    Never,
}

/// What comes out.
#[derive(Clone, Debug)]
pub enum Output {
    /// The frame as it came in.
    Same,
    /// Another frame.
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// Interface of the entry and of the peer; frames come in by the loopback.
    pub ifindex: u32,
    pub address: IpAddr,
    pub entry: Option<VipEntry>,
    pub lease: Lease,
    pub iface: Option<Iface>,
    /// The agent was last seen more than a second ago.
    pub is_agent_stale: bool,
    pub admin_down: u32,
    pub discriminator: u32,
    /// The only known peer.
    pub peer: Option<IpAddr>,
    /// Unknown senders have had all replies that they get.
    pub is_limit_spent: bool,
    pub input: Vec<u8>,
    pub fate: Option<Fate>,
    pub output: Output,
    pub requests: u64,
    pub answers: u64,
    /// Events, each with 0 for its time.
    pub claims: Vec<Claim>,
    /// Replies to the known peer.
    pub reflected: u64,
    /// A reply counts against the limit of unknown senders.
    pub spends: bool,
}

impl Case {
    /// The VIP is announced under a valid lease; the frame passes as it is, uncounted.
    pub fn new(name: impl Into<String>, input: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            ifindex: LOOPBACK,
            address: VIP.into(),
            entry: Some(VipEntry::new(Role::Announce, NODE)),
            lease: Lease::Valid,
            iface: Some(NODE_IFACE),
            is_agent_stale: false,
            admin_down: 0,
            discriminator: DISCRIMINATOR,
            peer: None,
            is_limit_spent: false,
            input,
            fate: None,
            output: Output::Same,
            requests: 0,
            answers: 0,
            claims: vec![],
            reflected: 0,
            spends: false,
        }
    }

    /// A question; the VIP is that of its family.
    pub fn asked(name: impl Into<String>, question: &Question) -> Self {
        Self::new(name, question.bytes()).of(question.family())
    }

    /// About the VIP of this family.
    pub fn of(self, family: Family) -> Self {
        Self { address: family.vip(), name: format!("{family:?}: {}", self.name), ..self }
    }

    pub fn role(self, role: Role) -> Self {
        self.entry(Some(VipEntry::new(role, NODE)))
    }

    pub fn entry(self, entry: Option<VipEntry>) -> Self {
        Self { entry, ..self }
    }

    pub fn lease(self, lease: Lease) -> Self {
        Self { lease, ..self }
    }

    pub fn counted_as(self, fate: Fate) -> Self {
        Self { fate: Some(fate), ..self }
    }

    /// Counted as a request for the VIP that is not answered.
    pub fn requested(self) -> Self {
        Self { requests: 1, ..self }
    }

    /// The agent hears that `claimant` says it has the VIP.
    pub fn reported(self, kind: ClaimKind, claimant: Mac) -> Self {
        let (address_len, address) = match self.address {
            IpAddr::V4(address) => (4, [&address.octets()[..], &[0; 12]].concat()),
            IpAddr::V6(address) => (16, address.octets().to_vec()),
        };
        let (ifindex, kind) = (self.ifindex, kind as u8);
        let address = address.try_into().expect("16 bytes");
        let claim = Claim { seen_ns: 0, ifindex, address_len, kind, reserved: 0, claimant, address };
        Self { claims: vec![claim], ..self }
    }

    pub fn comes_out_as(self, bytes: Vec<u8>) -> Self {
        Self { output: Output::Bytes(bytes), ..self }
    }

    /// Answered by the node.
    pub fn answered(self, question: &Question) -> Self {
        let answer = question.answered_by(NODE, &self.input);
        Self { answers: 1, ..self.requested() }.counted_as(Fate::Answered).comes_out_as(answer)
    }

    /// Answered by the reflector, to the known peer.
    pub fn reflected(self, fate: Fate, answer: Vec<u8>) -> Self {
        Self { reflected: 1, ..self }.counted_as(fate).comes_out_as(answer)
    }

    /// Puts the case into the maps; false where it cannot be, which is said.
    pub fn set_up(&self, kernel: &mut Kernel) -> bool {
        let now = boottime_ns();
        let valid_until_ns = match self.lease {
            Lease::Valid => now + A_MINUTE_NS,
            Lease::Expired => now,
            Lease::Never => 0,
            Lease::DayOld => match now.checked_sub(ABANDONED_AFTER_NS) {
                Some(day_ago) if day_ago > 0 => day_ago,
                _ => {
                    not_run(&self.name, "this machine has been up for less than a day");
                    return false;
                }
            },
        };
        kernel.set_agent(Agent {
            valid_until_ns,
            // A minute on, lest a slow machine makes the agent stale.
            agent_seen_ns: if self.is_agent_stale {
                now - AGENT_STALE_AFTER_NS - 1
            } else {
                now + A_MINUTE_NS
            },
            discriminator: self.discriminator,
            admin_down: self.admin_down,
        });
        kernel.clear();
        if let Some(peer) = self.peer {
            kernel.add_peer((self.ifindex, peer));
        }
        if let Some(entry) = self.entry {
            kernel.add_vip((self.ifindex, self.address), entry);
        }
        kernel.set_limit(UnknownLimit {
            spent_until_ns: if self.is_limit_spent { now + A_MINUTE_NS } else { 0 },
        });
        kernel.set_iface(LOOPBACK, self.iface);
        true
    }

    pub fn expected(&self) -> Outcome {
        Outcome {
            action: Ok(self.fate.map_or(Action::Pass, Fate::action)),
            output: match &self.output {
                Output::Same => self.input.clone(),
                Output::Bytes(bytes) => bytes.clone(),
            },
            frames: match self.fate {
                None | Some(Fate::SelfTest) => FrameCounters::default(),
                Some(fate) => once(fate),
            },
            requests: self.requests,
            answers: self.answers,
            is_answer_timed: self.answers > 0,
            claims: self.claims.clone(),
            reflected: self.reflected,
            is_peer_timed: self.reflected > 0,
            is_limit_spent: self.spends,
        }
    }
}

/// Runs each case through each program for incoming frames.
pub fn check_ingress(cases: &[Case]) {
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, cases);
}

/// Runs each case through each program, and reports everything that differs at once.
pub fn check(kernel: &mut Kernel, programs: &[Program], cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        for &program in programs {
            if !case.set_up(kernel) {
                continue;
            }
            let outcome = kernel.run(program, &case.input, (case.ifindex, case.address));
            let expected = case.expected();
            if outcome != expected {
                wrong.push(format!(
                    "{} ({program:?})\n  expected {expected:?}\n  got      {outcome:?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
