//! The group as this agent sees it: who is a candidate for what, who is probed, and whose frames are whose.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use lb_common::wire::ethernet::Mac;
use tracing::{debug, warn};

use crate::{
    election::NodeId,
    holding::{Holding, Station},
    model::{BoottimeNs, Interface, Place},
    netlink,
    own::Own,
    peers::Peers,
    plan::{Plan, PlannedUnit},
    ranks::Ranks,
    roster::{Node, Roster},
    sbfd::{Liveness, SessionKey, Target},
    wishes::{Carrier, Changed, Unit, View, window},
};

/// The kernel is asked for its neighbours on account of an unknown station no more often than this.
const LOOKUP_INTERVAL_NS: u64 = 100_000_000;

/// Addresses, with how often each was added.
#[derive(Debug, Default)]
struct Counted(BTreeMap<IpAddr, u32>);

impl Counted {
    fn contains(&self, address: IpAddr) -> bool {
        self.0.contains_key(&address)
    }

    fn add(&mut self, address: IpAddr) {
        *self.0.entry(address).or_default() += 1;
    }

    fn remove(&mut self, address: IpAddr) {
        match self.0.get_mut(&address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(&address)),
        }
    }
}

/// Everything about the other nodes.
pub struct Group {
    name: String,
    me: NodeId,
    roster: Roster,
    ranks: Ranks,
    peers: Peers,
    /// What the plan comes to.
    pub view: View,
    vips: Counted,
    has_plan: bool,
    looked_up_at: BoottimeNs,
}

impl Group {
    /// The group of a node that knows no other yet.
    pub fn new(name: &str) -> Self {
        let mut roster = Roster::default();
        let me = roster.number(name).expect("the first name");
        Self {
            name: name.to_owned(),
            me,
            roster,
            ranks: Ranks::default(),
            peers: Peers::default(),
            view: View::default(),
            vips: Counted::default(),
            has_plan: false,
            looked_up_at: 0,
        }
    }

    /// This node's number.
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// Follows a plan that replaces another one, which was followed before. Says what has changed.
    pub fn follow(&mut self, before: &Plan, plan: &Plan) -> Changed {
        let has_new_nodes = self.follow_nodes(before, plan);
        let (units_gone, units_new) = self.follow_units(&before.units, &plan.units, has_new_nodes);
        let (suppress_gone, suppress_new) = window(&before.suppress, &plan.suppress);
        let suppress_gone: Vec<IpAddr> = self
            .view
            .suppress
            .splice(suppress_gone, plan.suppress[suppress_new.clone()].iter().copied())
            .collect();
        self.view.failback = plan.failback;
        let changed = Changed { units_gone, units_new, suppress_gone, suppress_new, is_all: has_new_nodes };
        changed.addresses_gone().for_each(|address| self.vips.remove(address));
        changed.addresses_new(&self.view).for_each(|address| self.vips.add(address));
        changed
    }

    fn follow_nodes(&mut self, before: &Plan, plan: &Plan) -> bool {
        if std::mem::replace(&mut self.has_plan, true) && before.nodes == plan.nodes {
            return false;
        }
        let alone = [Node { name: self.name.clone(), addresses: Vec::new() }];
        let nodes = plan.nodes.as_deref().unwrap_or(&alone);
        if !nodes.iter().any(|node| node.name == self.name) {
            warn!(node = self.name, "this node is not among `nodes`: it announces nothing");
        }
        self.peers.follow(nodes, &self.name, &mut self.roster);
        let roster = &mut self.roster;
        let numbered: Vec<(NodeId, &str)> =
            nodes.iter().filter_map(|node| Some((roster.number(&node.name)?, node.name.as_str()))).collect();
        self.ranks.follow(&numbered);
        true
    }

    /// Says which units are gone or have changed, and where the new ones and the changed ones stand. Those that are the same
    /// objects as before stay what they are, unless `is_all`.
    fn follow_units(
        &mut self,
        before: &[Arc<PlannedUnit>],
        now: &[Arc<PlannedUnit>],
        is_all: bool,
    ) -> (Vec<Unit>, Vec<usize>) {
        let (gone, new) = if is_all { (0..before.len(), 0..now.len()) } else { window(before, now) };
        let begin = new.start;
        let (before, now) = (&before[gone.clone()], &now[new]);
        let mut same: HashMap<*const PlannedUnit, usize> = HashMap::new();
        if !is_all {
            same.extend((0..).zip(before).map(|(at, unit)| (Arc::as_ptr(unit), at)));
        }
        let mut old: Vec<Option<Unit>> = self.view.units.drain(gone).map(Some).collect();
        let stays = |unit| same.remove(&Arc::as_ptr(unit)).and_then(|at| old[at].take());
        let kept: Vec<Option<Unit>> = now.iter().map(stays).collect();
        let is_new = |&(_, kept): &(usize, &Option<Unit>)| kept.is_none();
        let new: Vec<usize> = (0..).zip(&kept).filter(is_new).map(|(at, _)| at).collect();
        let keys_gone: BTreeSet<IpAddr> =
            before.iter().zip(&old).filter_map(|(unit, old)| old.as_ref().map(|_| unit.key)).collect();
        let keys_now: BTreeSet<IpAddr> = new.iter().map(|&at| now[at].key).collect();
        self.ranks.forget(keys_gone.difference(&keys_now).copied());
        let units: Vec<Unit> =
            kept.into_iter().zip(now).map(|(kept, unit)| kept.unwrap_or_else(|| self.unit(unit))).collect();
        self.view.units.splice(begin..begin, units);
        (old.into_iter().flatten().collect(), new.into_iter().map(|at| begin + at).collect())
    }

    fn unit(&mut self, planned: &PlannedUnit) -> Unit {
        Unit {
            addresses: Arc::clone(&planned.addresses),
            order: self.ranks.order(planned.key, planned.candidates.as_ref()),
            interfaces: planned.interfaces.clone(),
        }
    }

    /// Whether an address is a VIP.
    pub fn is_vip(&self, address: IpAddr) -> bool {
        self.vips.contains(address)
    }

    /// Whether a VIP is to be announced on other interfaces than this one.
    pub fn is_elsewhere(&self, vip: IpAddr, interface: &Interface, is_default: bool) -> bool {
        let unit = self.view.units.iter().find(|unit| unit.addresses.contains(&vip));
        unit.is_some_and(|unit| !unit.is_on(Carrier { interface, is_default }))
    }

    /// What a node is called.
    pub fn node_name(&self, node: NodeId) -> Arc<str> {
        self.roster.name(node)
    }

    /// The addresses by which this node speaks, and is probed, on an interface.
    pub fn own(&self, interface: &Interface) -> Own {
        self.peers.own(interface, |address| self.is_vip(address))
    }

    /// The peers' addresses on an interface, for the kernel side.
    pub fn peer_addresses<'a>(&'a self, interface: &'a Interface) -> impl Iterator<Item = IpAddr> + 'a {
        self.peers.addresses_on(interface)
    }

    /// Whose frame it is. A link-layer address that is not known is looked up among the kernel's neighbours.
    pub fn station(&mut self, interface: &Interface, mac: Mac, now: BoottimeNs) -> Station {
        if let Some(node) = self.peers.by_mac(interface.index, mac) {
            return Station::Peer(node);
        }
        if now >= self.looked_up_at + LOOKUP_INTERVAL_NS
            && self.peers.addresses_on(interface).next().is_some()
        {
            self.looked_up_at = now;
            self.look_up(interface);
            // Those that are not found now are, next time they are heard.
            self.solicit(interface);
        }
        self.peers.by_mac(interface.index, mac).map_or(Station::Stranger(mac), Station::Peer)
    }

    /// The link-layer address of a peer.
    pub fn mac(&self, ifindex: u32, node: NodeId) -> Option<Mac> {
        self.peers.mac(ifindex, node)
    }

    /// Takes what the kernel knows of the peers' link-layer addresses. Says whether that is all of them.
    pub fn look_up(&mut self, interface: &Interface) -> bool {
        match netlink::neighbours(interface.index) {
            Ok(neighbours) => self.peers.resolved(interface.index, neighbours),
            Err(error) => debug!(interface = interface.name, %error, "neighbours not read"),
        }
        self.peers.unresolved_on(interface).next().is_none()
    }

    /// Has the kernel ask for the link-layer addresses that are not known. Not too early: what it could not send it would
    /// make up for a second later, and until then a peer would be a stranger.
    pub fn solicit(&self, interface: &Interface) {
        let unresolved = self.peers.unresolved_on(interface);
        for address in unresolved.filter(|&address| !interface.is_too_early_for(address)) {
            if let Err(error) = netlink::solicit(interface.index, address) {
                debug!(interface = interface.name, %address, %error, "neighbour not asked for");
            }
        }
    }

    /// Peers that are down are to be probed where they were last seen, so that they are found as soon as they can be
    /// reached again, and not only when the kernel next looks for them.
    pub fn keep_lost_peers(&mut self, interface: &Interface) {
        if self.peers.down_on(interface.index).next().is_none() {
            return;
        }
        self.look_up(interface); // they may have come back elsewhere
        for (address, mac) in self.peers.down_on(interface.index) {
            if let Err(error) = netlink::keep(interface.index, address, mac) {
                debug!(interface = interface.name, %address, %error, "neighbour not kept");
            }
        }
    }

    /// A verdict about a session; says which node it is about.
    pub fn judged(&mut self, key: SessionKey, liveness: Liveness) -> Option<NodeId> {
        self.peers.judged(key, liveness)
    }

    /// The last verdict about each peer that is probed, with its interface.
    pub fn liveness(&self) -> impl Iterator<Item = (u32, Option<Liveness>)> + '_ {
        self.peers.liveness()
    }

    /// Whether whom this node probes, by the last call of [`Self::sessions`], tells all that these units need.
    pub fn are_sessions_enough(&self, holding: &Holding, units: &BTreeSet<Place>) -> bool {
        let is_served =
            |&at: &Place| holding.need(at).is_none_or(|need| self.peers.are_enough(at.ifindex, &need));
        units.iter().all(is_served)
    }

    /// Whom to probe, on all of `interfaces`. What is known of peers that are no longer probed is forgotten.
    pub fn sessions<'a>(
        &mut self,
        interfaces: impl Iterator<Item = &'a Interface>,
        holding: &mut Holding,
        now: BoottimeNs,
    ) -> BTreeMap<SessionKey, Target> {
        let mut all = BTreeMap::new();
        for interface in interfaces {
            let own = self.own(interface);
            let (sessions, dropped) =
                self.peers.sessions(interface.index, &own, holding.needs(interface.index));
            all.extend(sessions);
            for node in dropped {
                holding.liveness_changed(interface.index, node, None, now);
            }
        }
        all
    }
}
