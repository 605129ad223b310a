//! The group as this agent sees it: who is a candidate for what, who is probed, and whose frames are whose.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
};

use lb_common::wire::ethernet::Mac;
use tracing::{debug, warn};

use crate::{
    election::NodeId,
    holding::{Holding, Station},
    model::{BoottimeNs, Interface},
    netlink,
    own::Own,
    peers::Peers,
    plan::{Plan, PlannedUnit},
    ranks::Ranks,
    roster::{Node, Roster},
    sbfd::{Liveness, SessionKey, Target},
    wishes::{Unit, View},
};

/// The kernel is asked for its neighbours on account of an unknown station no more often than this.
const LOOKUP_INTERVAL_NS: u64 = 100_000_000;

/// Everything about the other nodes.
pub struct Group {
    name: String,
    me: NodeId,
    roster: Roster,
    ranks: Ranks,
    peers: Peers,
    /// What the plan comes to.
    pub view: View,
    vips: BTreeSet<IpAddr>,
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
            vips: BTreeSet::new(),
            looked_up_at: 0,
        }
    }

    /// This node's number.
    pub const fn me(&self) -> NodeId {
        self.me
    }

    /// Follows a plan.
    pub fn follow(&mut self, plan: &Plan) {
        let alone = [Node { name: self.name.clone(), addresses: Vec::new() }];
        let nodes = plan.nodes.as_deref().unwrap_or(&alone);
        if !nodes.iter().any(|node| node.name == self.name) {
            warn!(node = self.name, "this node is not among `nodes`: it announces nothing");
        }
        self.peers.follow(nodes, &self.name, &mut self.roster);
        let roster = &mut self.roster;
        let candidates: Vec<(NodeId, &str)> =
            nodes.iter().filter_map(|node| Some((roster.number(&node.name)?, node.name.as_str()))).collect();
        self.ranks.follow(&candidates);
        let unit = |planned: &Arc<PlannedUnit>| Unit {
            addresses: Arc::clone(&planned.addresses),
            order: self.ranks.order(planned.key, planned.candidates.as_ref()),
            interfaces: planned.interfaces.clone(),
        };
        self.view = View {
            units: plan.units.iter().map(unit).collect(),
            suppress: plan.suppress.clone(),
            failback: plan.failback,
        };
        let keys: HashSet<IpAddr> = plan.units.iter().map(|unit| unit.key).collect();
        self.ranks.retain(|key| keys.contains(&key));
        self.vips = self.view.addresses().collect();
    }

    /// Whether an address is a VIP.
    pub fn is_vip(&self, address: IpAddr) -> bool {
        self.vips.contains(&address)
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
