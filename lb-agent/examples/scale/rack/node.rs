//! One survivor: the core and the initiator, wired as the agent wires them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use lb_agent::{
    choose::{Need, choose},
    election::NodeId,
    holding::{Change, Holding, Message, Saying, Station},
    model::{BoottimeNs, Place},
    run::TICK_NS,
    sbfd::{Initiator, Liveness, SessionKey, Target, Timing},
};
use lb_common::wire::bfd::{CONTROL_LEN, Control, Diag, ON_LINK_TTL, State};

use crate::segment::{IFINDEX, NOW, Segment};

/// A node that was not in the rack.
pub struct Node {
    me: NodeId,
    holding: Holding,
    initiator: Initiator,
    probed: BTreeMap<NodeId, Option<Liveness>>,
    is_probing_outdated: bool,
    next_tick: BoottimeNs,
    /// Something has come in.
    is_stirred: bool,
}

impl Node {
    pub fn new(segment: &Segment, me: NodeId, units: &[usize]) -> Self {
        Self {
            me,
            holding: segment.settled(me, units, None),
            initiator: Initiator::new(Timing::default(), me.into()),
            probed: BTreeMap::new(),
            is_probing_outdated: true,
            next_tick: NOW,
            is_stirred: false,
        }
    }

    /// When it has something to do, now included.
    pub fn next_wake(&self) -> BoottimeNs {
        if self.is_stirred {
            return 0;
        }
        let due = [Some(self.next_tick), self.holding.next_due(), self.initiator.next_due()];
        due.into_iter().flatten().min().expect("the tick")
    }

    /// Probes to send, each with the peer that it goes to.
    pub fn probe(&mut self, now: BoottimeNs) -> Vec<(NodeId, [u8; CONTROL_LEN])> {
        let probes = self.initiator.due(now);
        probes.into_iter().map(|probe| (node_at(probe.key.peer), *probe.packet.as_bytes())).collect()
    }

    /// A peer's kernel has answered a probe.
    pub fn reflected(&mut self, by: NodeId, packet: [u8; CONTROL_LEN]) {
        let mut control = Control::parse(&packet).expect("a probe of ours");
        control.reflect(State::Up, Diag::None);
        self.initiator.received(key(by), ON_LINK_TTL, control.as_bytes());
        self.is_stirred = true;
    }

    pub fn hear(
        &mut self,
        place: Place,
        from: NodeId,
        saying: Saying,
        now: BoottimeNs,
    ) -> Option<(Place, Message)> {
        self.is_stirred = true;
        self.holding.heard(place, Station::Peer(from), saying, now)
    }

    /// Once round: verdicts, what is due, and whom to probe from now on.
    pub fn turn(&mut self, now: BoottimeNs) -> Vec<(Place, Message)> {
        self.is_stirred = false;
        if now >= self.next_tick {
            self.next_tick = now + TICK_NS;
        }
        for (key, liveness) in self.initiator.take_changes() {
            let peer = node_at(key.peer);
            if let Some(known) = self.probed.get_mut(&peer) {
                *known = Some(liveness);
                self.holding.liveness_changed(IFINDEX, peer, Some(liveness), now);
                self.is_probing_outdated = true;
            }
        }
        let messages = self.holding.due(now, usize::MAX);
        self.follow_needs(now);
        messages
    }

    pub fn take_changes(&mut self) -> Vec<(Place, Change)> {
        self.holding.take_changes()
    }

    fn follow_needs(&mut self, now: BoottimeNs) {
        if !std::mem::take(&mut self.is_probing_outdated) & self.holding.take_new_needs().is_empty() {
            return;
        }
        let needs: Vec<Need<'_>> = self.holding.needs(IFINDEX).collect();
        let before: BTreeSet<NodeId> = self.probed.keys().copied().collect();
        let chosen = choose(&needs, |peer| *self.probed.get(&peer)?, &before);
        for &peer in before.difference(&chosen) {
            self.probed.remove(&peer);
            self.holding.liveness_changed(IFINDEX, peer, None, now);
        }
        for &peer in &chosen {
            self.probed.entry(peer).or_default();
        }
        let target =
            |peer: NodeId| Target { local: address(self.me), your_discriminator: 1 + u32::from(peer) };
        let sessions = chosen.iter().map(|&peer| (key(peer), target(peer))).collect();
        self.initiator.set_sessions(&sessions, now);
    }
}

fn address(node: NodeId) -> IpAddr {
    Ipv4Addr::from(0x0a4d_0000 + u32::from(node)).into()
}

fn node_at(address: IpAddr) -> NodeId {
    let IpAddr::V4(address) = address else { unreachable!("nodes have IPv4 addresses here") };
    NodeId::from_be_bytes([address.octets()[2], address.octets()[3]])
}

fn key(peer: NodeId) -> SessionKey {
    SessionKey { ifindex: IFINDEX, peer: address(peer) }
}
