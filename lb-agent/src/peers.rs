//! The other nodes of the group: which of them are probed where, and whose frames are theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::wire::ethernet::Mac;

use crate::{
    choose::{Need, choose, is_served},
    election::NodeId,
    model::{Interface, is_link_local},
    own::Own,
    roster::{Node, Roster, discriminator},
    sbfd::{Liveness, SessionKey, Target},
};

/// A peer, as far as probing goes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Peer {
    addresses: Vec<IpAddr>,
    discriminator: u32,
}

/// The peers by number.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<NodeId, Peer>,
    own_addresses: Vec<IpAddr>,
    /// Whose address it is.
    nodes: BTreeMap<IpAddr, NodeId>,
    macs: BTreeMap<(u32, Mac), NodeId>,
    /// By interface: the peers that are probed.
    probed: BTreeMap<u32, BTreeMap<NodeId, Probed>>,
    /// By interface: the peers that were chosen to be probed, whether or not they can be.
    chosen: BTreeMap<u32, BTreeSet<NodeId>>,
}

/// A peer that is probed on an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Probed {
    address: IpAddr,
    /// The last verdict, by whichever of its addresses.
    liveness: Option<Liveness>,
}

impl Peers {
    /// Follows the configuration: `nodes` are all of the group, `me` among them or not.
    pub fn follow(&mut self, nodes: &[Node], me: &str, roster: &mut Roster) {
        self.peers.clear();
        self.nodes.clear();
        self.own_addresses.clear();
        for node in nodes {
            if node.name == me {
                self.own_addresses.clone_from(&node.addresses);
                continue;
            }
            let Some(number) = roster.number(&node.name) else { continue };
            self.nodes.extend(node.addresses.iter().map(|&address| (address, number)));
            let peer = Peer { addresses: node.addresses.clone(), discriminator: discriminator(&node.name) };
            self.peers.insert(number, peer);
        }
        // Link-layer addresses are kept: a node that has just left answers on for a moment, and is no stranger.
    }

    /// The addresses by which this node speaks on an interface: those that its peers know go before.
    #[must_use]
    pub fn own(&self, interface: &Interface, is_vip: impl Fn(IpAddr) -> bool) -> Own {
        Own::of(interface, &self.own_addresses, is_vip)
    }

    /// The peers' addresses on an interface.
    pub fn addresses_on<'a>(&'a self, interface: &'a Interface) -> impl Iterator<Item = IpAddr> + 'a {
        self.nodes.keys().copied().filter(|&address| interface.covers(address))
    }

    /// Peers on an interface whose link-layer address is not known.
    pub fn unresolved_on<'a>(&'a self, interface: &'a Interface) -> impl Iterator<Item = IpAddr> + 'a {
        let is_known = |node: &NodeId| {
            self.macs.iter().any(|(&(ifindex, _), known)| ifindex == interface.index && known == node)
        };
        self.addresses_on(interface).filter(move |address| !is_known(&self.nodes[address]))
    }

    /// Takes note of neighbours as the kernel has resolved them.
    pub fn resolved(&mut self, ifindex: u32, neighbours: impl IntoIterator<Item = (IpAddr, Mac)>) {
        for (address, mac) in neighbours {
            if let Some(&node) = self.nodes.get(&address) {
                // One address for each node: the one it had before may be another's by now.
                self.macs.retain(|&(on, known), of| on != ifindex || *of != node || known == mac);
                self.macs.insert((ifindex, mac), node);
            }
        }
    }

    /// Whose link-layer address it is, if a peer's.
    #[must_use]
    pub fn by_mac(&self, ifindex: u32, mac: Mac) -> Option<NodeId> {
        self.macs.get(&(ifindex, mac)).copied()
    }

    /// The link-layer address of a peer.
    #[must_use]
    pub fn mac(&self, ifindex: u32, node: NodeId) -> Option<Mac> {
        self.macs.iter().find(|&(&(on, _), &of)| on == ifindex && of == node).map(|(&(_, mac), _)| mac)
    }

    /// Peers that are probed on an interface and are down, with their last known link-layer addresses.
    pub fn down_on(&self, ifindex: u32) -> impl Iterator<Item = (IpAddr, Mac)> + '_ {
        let probed = self.probed.get(&ifindex).into_iter().flatten();
        let down = probed.filter(|(_, probed)| probed.liveness == Some(Liveness::Down));
        down.filter_map(move |(&node, probed)| Some((probed.address, self.mac(ifindex, node)?)))
    }

    /// The last verdict about each peer that is probed, with its interface.
    pub fn liveness(&self) -> impl Iterator<Item = (u32, Option<Liveness>)> + '_ {
        let probed =
            self.probed.iter().flat_map(|(&ifindex, probed)| probed.values().map(move |p| (ifindex, p)));
        probed.map(|(ifindex, probed)| (ifindex, probed.liveness))
    }

    /// A verdict about a session. Says whose it is; `None` for one that is no longer wanted.
    pub fn judged(&mut self, key: SessionKey, liveness: Liveness) -> Option<NodeId> {
        let node = *self.nodes.get(&key.peer)?;
        let probed = self.probed.get_mut(&key.ifindex)?.get_mut(&node)?;
        if probed.address != key.peer {
            return None;
        }
        probed.liveness = Some(liveness);
        Some(node)
    }

    /// Whether those that were last chosen tell all that a unit needs; nothing is chosen for an interface that is not known.
    #[must_use]
    pub fn are_enough(&self, ifindex: u32, need: &Need<'_>) -> bool {
        let probed = self.probed.get(&ifindex);
        let liveness = |node| probed?.get(&node)?.liveness;
        self.chosen.get(&ifindex).is_some_and(|chosen| is_served(need, liveness, chosen))
    }

    /// Whom to probe on an interface, given this node's own addresses there and what the units need; and the peers that
    /// are no longer probed there.
    pub fn sessions<'a>(
        &mut self,
        ifindex: u32,
        own: &Own,
        needs: impl Iterator<Item = Need<'a>>,
    ) -> (BTreeMap<SessionKey, Target>, Vec<NodeId>) {
        let probed = self.probed.entry(ifindex).or_default();
        let before: BTreeSet<NodeId> = probed.keys().copied().collect();
        let needs: Vec<Need<'a>> = needs.collect();
        let chosen = choose(&needs, |node| probed.get(&node)?.liveness, &before);
        let mut sessions = BTreeMap::new();
        let mut now = BTreeMap::new();
        for &node in &chosen {
            let Some(Peer { addresses, discriminator }) = self.peers.get(&node) else { continue };
            let Some((local, address)) = between(own, addresses) else { continue };
            let key = SessionKey { ifindex, peer: address };
            sessions.insert(key, Target { local, your_discriminator: *discriminator });
            let liveness = probed.get(&node).and_then(|probed| probed.liveness);
            now.insert(node, Probed { address, liveness });
        }
        let dropped = before.into_iter().filter(|node| !now.contains_key(node)).collect();
        *probed = now;
        self.chosen.insert(ifindex, chosen);
        (sessions, dropped)
    }
}

/// The two addresses of a session: IPv4 where both sides have it, else IPv6 of a common prefix, else link-local.
fn between(own: &Own, peer: &[IpAddr]) -> Option<(IpAddr, IpAddr)> {
    let both = peer.iter().filter_map(|&peer| Some((own.facing(peer)?, peer)));
    both.min_by_key(|&(_, peer)| (peer.is_ipv6(), is_link_local(peer)))
}

#[cfg(test)]
mod tests;
