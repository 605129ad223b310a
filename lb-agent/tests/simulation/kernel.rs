//! A node's kernel side: it answers, reflects and reports by its maps alone, whatever becomes of the agent.

use std::{collections::BTreeMap, net::IpAddr};

use lb_agent::{
    announcements::Form,
    claims::Heard,
    diff::MapOp,
    holding::Saying,
    model::{BoottimeNs, Place},
};
use lb_common::{
    maps::{Agent, ClaimKind, ClaimLimit, Lease, Role, VipEntry},
    wire::{bfd::Control, ethernet::Mac},
};

use crate::{
    cluster::{STRANGER, mac, place},
    wire::{Body, End, Frame},
};

/// An entry of the map of VIPs, with what the kernel keeps beside it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    entry: VipEntry,
    limit: ClaimLimit,
    written_at: BoottimeNs,
}

/// A write that the kernel does not take.
#[derive(Debug)]
pub struct Refused;

/// The kernel side of one node.
#[derive(Debug)]
pub struct Kernel {
    node: usize,
    agent: Agent,
    vips: BTreeMap<Place, Slot>,
    /// No memory, say.
    pub refuses_writes: bool,
    /// It has been so: what stands in the map may be older than the decision that it stand there.
    pub has_refused: bool,
    /// What the agent has not read yet.
    pub ring: Vec<Heard>,
    /// VIPs that were announced before a lease ended, and still when the next one began.
    pub stale: Vec<Place>,
}

impl Kernel {
    /// As after a boot.
    pub fn new(node: usize) -> Self {
        Self {
            node,
            agent: Agent::default(),
            vips: BTreeMap::new(),
            refuses_writes: false,
            has_refused: false,
            ring: Vec::new(),
            stale: Vec::new(),
        }
    }

    pub const fn agent(&self) -> Agent {
        self.agent
    }

    pub fn set_agent(&mut self, new: Agent, now: BoottimeNs) {
        let ended = self.agent.valid_until_ns;
        if ended <= now && now < new.valid_until_ns {
            let is_stale = |slot: &Slot| slot.entry.role() == Some(Role::Announce) && slot.written_at < ended;
            self.stale.extend(self.vips.iter().filter(|(_, slot)| is_stale(slot)).map(|(&place, _)| place));
        }
        self.agent = new;
    }

    /// Makes a write, if writes are made at all.
    pub fn apply(&mut self, op: MapOp, now: BoottimeNs) -> Result<(), Refused> {
        if self.refuses_writes {
            self.has_refused = true;
            return Err(Refused);
        }
        match op {
            MapOp::Remove(place) => drop(self.vips.remove(&place)),
            MapOp::Set(place, entry) => {
                let limit = self.vips.get(&place).map_or_else(ClaimLimit::default, |slot| slot.limit);
                self.vips.insert(place, Slot { entry, limit, written_at: now });
            }
        }
        Ok(())
    }

    /// Somebody else has taken the entry out of the map.
    pub fn lose(&mut self, vip: IpAddr) {
        self.vips.remove(&place(vip));
    }

    /// The map of VIPs.
    pub fn entries(&self) -> BTreeMap<Place, VipEntry> {
        self.vips.iter().map(|(&place, slot)| (place, slot.entry)).collect()
    }

    pub fn has_lease(&self, now: BoottimeNs) -> bool {
        self.agent.lease(now) == Lease::Valid
    }

    /// Whether a request for the VIP is answered.
    pub fn answers(&self, vip: IpAddr, now: BoottimeNs) -> bool {
        self.has_lease(now) && self.role(vip) == Some(Role::Announce)
    }

    pub fn announces_any(&self) -> bool {
        self.vips.values().any(|slot| slot.entry.role() == Some(Role::Announce))
    }

    pub fn role(&self, vip: IpAddr) -> Option<Role> {
        self.vips.get(&place(vip))?.entry.role()
    }

    /// Takes a frame in; says what goes back.
    pub fn receive(&mut self, frame: &Frame, now: BoottimeNs) -> Option<Frame> {
        let back = |body| Some(Frame { from: End::Node(self.node), to: Some(frame.from), body });
        match frame.body {
            Body::Ask(vip) => self.answers(vip, now).then(|| back(Body::Answer(vip)))?,
            Body::Probe(control) => {
                self.reflect(control, now).and_then(|control| back(Body::Reflection(control)))
            }
            Body::Answer(vip) => self.claim(vip, frame.from, ClaimKind::Answer, now),
            Body::Announcement(vip, form) => {
                let kind = match (frame.to, form) {
                    (Some(_), _) => ClaimKind::ToOne,
                    (None, Form::Request) => ClaimKind::Announcement,
                    (None, Form::Reply) => ClaimKind::GratuitousReply,
                };
                self.claim(vip, frame.from, kind, now)
            }
            Body::Reflection(_) => None, // for the agent's socket
        }
    }

    fn reflect(&self, mut control: Control, now: BoottimeNs) -> Option<Control> {
        if self.agent.discriminator != control.your_discriminator() {
            return None;
        }
        let (state, diag) = self.agent.reflection(now)?;
        control.reflect(state, diag);
        Some(control)
    }

    fn claim(&mut self, vip: IpAddr, from: End, kind: ClaimKind, now: BoottimeNs) -> Option<Frame> {
        let station = station(from)?;
        let at = place(vip);
        let slot = self.vips.get_mut(&at)?;
        if slot.limit.admits(station, kind, now) {
            let saying = match kind {
                ClaimKind::Announcement | ClaimKind::GratuitousReply => Saying::Announcement,
                ClaimKind::ToOne => Saying::ClaimToUs,
                ClaimKind::Answer => Saying::Answer,
            };
            self.ring.push(Heard { at, station, saying });
        }
        None
    }
}

fn station(from: End) -> Option<Mac> {
    match from {
        End::Node(node) => Some(mac(node)),
        End::Stranger => Some(STRANGER),
        End::Client(_) => None,
    }
}
