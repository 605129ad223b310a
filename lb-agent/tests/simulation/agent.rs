//! An agent: the real core, wired as `lb_agent::agent` wires it, with a simulated kernel in place of maps and sockets.

mod words;

use std::{collections::BTreeSet, sync::Arc};

use lb_agent::{
    claims::Heard,
    election::NodeId,
    holding::{Change, Holding, Message, Rules, Station},
    lease::{LeaseWatch, Look},
    mirror::Mirror,
    model::{BoottimeNs, Interface, Place},
    pace::Pace,
    peers::Peers,
    ranks::Ranks,
    roster::{Roster, discriminator},
    run::TICK_NS,
    sbfd::{Initiator, Liveness, SessionKey},
    wishes::{Carrier, Unit, View, wishes},
};
use lb_common::{
    maps::Agent as Record,
    wire::bfd::{Control, ON_LINK_TTL},
};

use crate::{
    cluster::{Cluster, ClusterView, Families, IFINDEX, interface, mac, name, node_at, roster_entry},
    kernel::Kernel,
    wire::{Body, Frame},
};

/// Between two comparisons of the kernel's map with what the agent has written.
const RESYNC_INTERVAL_NS: u64 = 60_000_000_000;

/// What an agent did when it was awake.
#[derive(Debug, Default)]
pub struct Deeds {
    pub frames: Vec<Frame>,
    pub changes: Vec<(Place, Change)>,
    pub verdicts: Vec<(usize, Liveness)>,
    pub has_renewed: bool,
    pub has_started_afresh: bool,
}

/// The agent of one node, as long as its process lives.
pub struct Agent {
    node: usize,
    families: Families,
    me: NodeId,
    lease_ttl_ns: u64,
    interface: Interface,
    roster: Roster,
    ranks: Ranks,
    peers: Peers,
    view: View,
    is_view_new: bool,
    is_view_stale: bool,
    is_drained: bool,
    holding: Holding,
    initiator: Initiator,
    pace: Pace,
    lease: LeaseWatch,
    state: Record,
    mirror: Mirror,
    adopted: BTreeSet<Place>,
    at_once: Vec<(Place, Message)>,
    verdicts: Vec<(SessionKey, Liveness)>,
    /// Control packets that its sockets have taken in.
    pub inbox: Vec<(usize, Control)>,
    are_sessions_outdated: bool,
    /// Fewer of them may do.
    are_sessions_surplus: bool,
    next_tick: BoottimeNs,
    resync_at: BoottimeNs,
}

impl Agent {
    /// A process that begins, over whatever the kernel holds.
    pub fn new(
        cluster: &Cluster,
        node: usize,
        kernel: &Kernel,
        rules: Rules,
        seed: u64,
        now: BoottimeNs,
    ) -> Self {
        let mut roster = Roster::default();
        let me = roster.number(&name(node)).expect("the first name");
        let mirror = Mirror::new(kernel.entries());
        let has_lease = kernel.has_lease(now);
        let adopted = mirror.announced().filter(|_| has_lease).collect();
        Self {
            node,
            families: cluster.families,
            me,
            lease_ttl_ns: cluster.lease_ttl_ns,
            interface: interface(node, cluster.families),
            roster,
            ranks: Ranks::default(),
            peers: Peers::default(),
            view: View { failback: cluster.failback, ..View::default() },
            is_view_new: true,
            is_view_stale: false,
            is_drained: false,
            holding: Holding::new(me, rules),
            initiator: Initiator::new(cluster.timing, seed),
            pace: Pace::default(),
            lease: LeaseWatch::new(has_lease),
            state: Record { discriminator: discriminator(&name(node)), ..kernel.agent() },
            mirror,
            adopted,
            at_once: Vec::new(),
            verdicts: Vec::new(),
            inbox: Vec::new(),
            are_sessions_outdated: true,
            are_sessions_surplus: false,
            next_tick: now,
            resync_at: now + RESYNC_INTERVAL_NS,
        }
    }

    /// Takes a new view.
    pub fn set_view(&mut self, cluster: &Cluster, view: &ClusterView) {
        let entries: Vec<_> = view.members.iter().map(|&node| roster_entry(node, self.families)).collect();
        self.peers.follow(&entries, &name(self.node), &mut self.roster);
        let roster = &mut self.roster;
        let nodes: Vec<(NodeId, &str)> = entries
            .iter()
            .map(|entry| (roster.number(&entry.name).expect("few names"), entry.name.as_str()))
            .collect();
        self.ranks.follow(&nodes);
        self.view.units.clear();
        for (unit, addresses) in
            cluster.units.iter().enumerate().filter(|(unit, _)| !view.units[*unit].is_absent)
        {
            let candidates = view.candidates(unit);
            let order = self.ranks.order(addresses[0], Some(&candidates));
            self.view.units.push(Unit { addresses: Arc::clone(addresses), order, interfaces: None });
        }
        let absent = (0..cluster.units.len()).filter(|&unit| view.units[unit].is_absent);
        self.ranks.forget(absent.map(|unit| cluster.units[unit][0]));
        self.is_view_new = true;
    }

    /// Whether the source has been silent for long.
    pub fn set_view_stale(&mut self, is_stale: bool) {
        self.is_view_stale = is_stale;
        self.is_view_new = true;
    }

    /// When it wakes up of itself.
    pub fn next_wake(&self) -> BoottimeNs {
        let due = self.holding.next_due().map(|due| due.max(self.pace.ready_at()));
        let due = due.filter(|_| self.lease.has_lease());
        [Some(self.next_tick), due, self.initiator.next_due()].into_iter().flatten().min().expect("the tick")
    }

    /// What the threads of the process do when they are awake at `now`.
    pub fn wake(&mut self, kernel: &mut Kernel, is_drained: bool, now: BoottimeNs) -> Deeds {
        let mut deeds = Deeds::default();
        self.probe(now, &mut deeds);
        let is_tick = now >= self.next_tick;
        let is_due = is_tick || self.is_view_new || now >= self.next_wake();
        if is_due || !kernel.ring.is_empty() || !self.verdicts.is_empty() || is_drained != self.is_drained {
            self.go_round(kernel, is_tick, is_drained, now, &mut deeds);
        }
        deeds
    }

    /// The thread that probes.
    fn probe(&mut self, now: BoottimeNs, deeds: &mut Deeds) {
        for (from, control) in std::mem::take(&mut self.inbox) {
            for peer in self.families.addresses(from) {
                let key = SessionKey { ifindex: IFINDEX, peer };
                self.initiator.received(key, ON_LINK_TTL, control.as_bytes());
            }
        }
        for probe in self.initiator.due(now) {
            deeds.frames.push(self.frame(Some(node_at(probe.key.peer)), Body::Probe(probe.packet)));
        }
        self.verdicts.extend(self.initiator.take_changes());
    }

    /// Once round the decision loop: what has been heard comes before what is decided.
    fn go_round(
        &mut self,
        kernel: &mut Kernel,
        is_tick: bool,
        is_drained: bool,
        now: BoottimeNs,
        deeds: &mut Deeds,
    ) {
        for heard in std::mem::take(&mut kernel.ring) {
            self.heard(&heard, now);
        }
        for (key, liveness) in std::mem::take(&mut self.verdicts) {
            if let Some(id) = self.peers.judged(key, liveness) {
                self.holding.liveness_changed(IFINDEX, id, Some(liveness), now);
                self.are_sessions_outdated = true;
                deeds.verdicts.push((self.number(id), liveness));
            }
        }
        if is_tick {
            self.next_tick = now + TICK_NS;
            self.tick(kernel, is_drained, now, deeds);
        } else {
            self.turn(kernel, is_drained, now, deeds);
        }
        self.follow_sessions(now);
    }

    fn heard(&mut self, heard: &Heard, now: BoottimeNs) {
        let Heard { at, station, saying } = *heard;
        let from = self.peers.by_mac(IFINDEX, station).map_or(Station::Stranger(station), Station::Peer);
        self.at_once.extend(self.holding.heard(at, from, saying, now));
    }

    fn tick(&mut self, kernel: &mut Kernel, is_drained: bool, now: BoottimeNs, deeds: &mut Deeds) {
        if !self.lease.is_renewal_due(now) {
            self.turn(kernel, is_drained, now, deeds);
            self.stamp(kernel, now);
            return;
        }
        if now >= self.resync_at {
            self.resync_at = now + RESYNC_INTERVAL_NS;
            self.mirror.resync(kernel.entries(), &mut self.holding, now);
        }
        self.are_sessions_outdated |= self.are_sessions_surplus;
        self.turn(kernel, is_drained, now, deeds);
        if !self.mirror.is_silence_owed() {
            self.state.valid_until_ns = now + self.lease_ttl_ns;
            self.stamp(kernel, now);
            deeds.has_renewed = true;
        }
        self.turn(kernel, is_drained, now, deeds);
    }

    fn turn(&mut self, kernel: &mut Kernel, is_drained: bool, now: BoottimeNs, deeds: &mut Deeds) {
        let has_lease = self.check_lease(kernel, now, deeds);
        if is_drained != self.is_drained {
            self.is_drained = is_drained;
            self.is_view_new = true;
            self.stamp(kernel, now);
        }
        if std::mem::take(&mut self.is_view_new) {
            self.follow(now);
        }
        let mut messages = std::mem::take(&mut self.at_once);
        if has_lease {
            messages.extend(self.holding.due(now, self.pace.allowance(now)));
        }
        // What fails is tried again next time.
        if self.mirror.write(&mut self.holding, |op| kernel.apply(*op, now), now).is_ok() {
            assert_eq!(
                self.mirror.entries(),
                &self.holding.desired(),
                "what has changed is all that differs"
            );
        }
        messages.retain(|&(place, message)| self.mirror.backs(place, message));
        self.pace.spend(messages.len(), now);
        deeds.frames.extend(messages.into_iter().filter_map(|(place, message)| self.spoken(place, message)));
        let changes = self.holding.take_changes();
        deeds.changes.extend(changes.into_iter().map(|(place, change)| (place, self.in_numbers(change))));
    }

    fn check_lease(&mut self, kernel: &Kernel, now: BoottimeNs, deeds: &mut Deeds) -> bool {
        self.state.valid_until_ns = kernel.agent().valid_until_ns;
        match self.lease.look(self.state.valid_until_ns, now) {
            Look::Valid => return true,
            Look::Lapsed { .. } => {
                self.holding.start_afresh(now);
                deeds.has_started_afresh = true;
            }
            Look::Absent => {}
        }
        self.adopted.clear();
        false
    }

    fn follow(&mut self, now: BoottimeNs) {
        let carrier = Carrier { interface: &self.interface, is_default: true };
        let wanted = wishes(&self.view, self.me, [carrier], self.is_drained);
        let adopted = std::mem::take(&mut self.adopted);
        self.holding.follow(&wanted, self.view.failback, |place| adopted.contains(place), now);
        self.holding.set_view_stale(self.is_view_stale, now);
        self.are_sessions_outdated = true;
        // The kernel's neighbours: whoever is there has been heard of.
        let neighbours =
            |node| self.families.addresses(node).into_iter().map(move |address| (address, mac(node)));
        self.peers.resolved(IFINDEX, (0..16).flat_map(neighbours));
    }

    fn stamp(&mut self, kernel: &mut Kernel, now: BoottimeNs) {
        self.state.agent_seen_ns = now;
        self.state.admin_down = u32::from(self.is_drained);
        kernel.set_agent(self.state, now);
    }

    fn follow_sessions(&mut self, now: BoottimeNs) {
        let changed = self.holding.take_new_needs();
        let is_served =
            |&at: &Place| self.holding.need(at).is_none_or(|need| self.peers.are_enough(IFINDEX, &need));
        if !self.are_sessions_outdated && changed.iter().all(is_served) {
            self.are_sessions_surplus |= !changed.is_empty();
            return;
        }
        (self.are_sessions_outdated, self.are_sessions_surplus) = (false, false);
        let own = self.peers.own(&self.interface, |_| false);
        let (sessions, dropped) = self.peers.sessions(IFINDEX, &own, self.holding.needs(IFINDEX));
        for id in dropped {
            self.holding.liveness_changed(IFINDEX, id, None, now);
        }
        self.initiator.set_sessions(&sessions, now);
    }
}
