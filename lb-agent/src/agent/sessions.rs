//! Whom this node probes, and what the verdicts lead to.

use std::collections::BTreeMap;

use super::{Agent, story};
use crate::{
    model::{BoottimeNs, Interface},
    sbfd::{Liveness, SessionKey, Target},
};

/// How well the sessions serve what is held and waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Probing {
    /// They are what was chosen for it.
    Chosen,
    /// They are enough; perhaps fewer would do by now, which is looked at each second.
    Enough,
    /// Somebody may have to be probed who is not.
    Outdated,
}

impl Agent {
    /// A peer is up or down.
    pub fn judged(&mut self, key: SessionKey, liveness: Liveness, now: BoottimeNs) {
        let Some(node) = self.group.judged(key, liveness) else { return };
        let interface = self.interface_name(key.ifindex);
        story::tell_peer(&self.group.node_name(node), &interface, liveness);
        self.holding.liveness_changed(key.ifindex, node, Some(liveness), now);
        self.probing = Probing::Outdated; // so that the sessions are counted anew, too
        let Some(interface) = self.interfaces.iter().find(|interface| interface.index == key.ifindex) else {
            return;
        };
        match liveness {
            Liveness::Up { .. } if self.group.mac(key.ifindex, node).is_none() => {
                self.group.look_up(interface);
            }
            Liveness::Down => self.keep_at = now,
            Liveness::Up { .. } | Liveness::AdminDown => {}
        }
    }

    /// Whom to probe, if that has changed since the last call.
    pub fn new_sessions(&mut self, now: BoottimeNs) -> Option<BTreeMap<SessionKey, Target>> {
        let changed = self.holding.take_new_needs();
        if self.probing != Probing::Outdated && self.group.are_sessions_enough(&self.holding, &changed) {
            if !changed.is_empty() {
                self.probing = Probing::Enough;
            }
            return None;
        }
        self.probing = Probing::Chosen;
        let usable = self.interfaces.iter().filter(|interface| self.hooks.is_usable(interface.index));
        let sessions = self.group.sessions(usable, &mut self.holding, now);
        self.count_sessions();
        Some(sessions)
    }

    /// Where fewer sessions may do by now, they are chosen anew.
    pub(super) fn thin_sessions(&mut self) {
        if self.probing == Probing::Enough {
            self.probing = Probing::Outdated;
        }
    }

    /// Has the kernel find the link-layer addresses of the peers; says whether all of them are known.
    pub fn resolve_peers(&mut self) -> bool {
        let mut are_known = true;
        // Before anything is attached it is not known which will be used. A link-local peer could be on any of them.
        let is_anything_attached = !self.hooks.usable().is_empty();
        let may_carry_peers = |interface: &&Interface| {
            interface.mac.is_some() && (!is_anything_attached || self.hooks.is_usable(interface.index))
        };
        for interface in self.interfaces.iter().filter(may_carry_peers) {
            if !self.group.look_up(interface) {
                are_known = false;
                self.group.solicit(interface);
            }
        }
        are_known
    }

    fn count_sessions(&self) {
        let named = self
            .group
            .liveness()
            .filter_map(|(ifindex, liveness)| Some((self.interface(ifindex)?.name.as_str(), liveness)));
        self.counters.set_sessions(named);
    }
}
