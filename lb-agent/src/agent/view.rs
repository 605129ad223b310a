//! What follows from a new view of the configuration or the interfaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lb_common::maps::Iface;
use tracing::warn;

use super::{Agent, hooks, sessions::Probing, story};
use crate::{
    model::{BoottimeNs, Interface, Place},
    multicast::{self, Membership},
    wishes::{Carrier, Changed, changed_wishes, wishes},
};

impl Agent {
    /// Looks at everything.
    pub(super) fn follow(&mut self, now: BoottimeNs) {
        self.is_view_new = false;
        self.news += 1;
        self.ensure_hooks(false);
        let peers: BTreeSet<Place> = self
            .usable()
            .flat_map(|interface| {
                let ifindex = interface.index;
                self.group.peer_addresses(interface).map(move |address| Place { ifindex, address })
            })
            .collect();
        self.without_ipv6 =
            story::tell_without_ipv6(&self.group.view.units, self.carriers(), &self.without_ipv6);
        let wishes = wishes(&self.group.view, self.group.me(), self.carriers(), self.is_drained);
        self.want_groups();
        self.compare_groups();
        let adopted = std::mem::take(&mut self.adopted);
        self.holding.follow(&wishes, self.group.view.failback, |place| adopted.contains(place), now);
        self.probing = Probing::Outdated;
        self.resolve_peers();
        let ifaces = self.ifaces();
        let written = self.tables.set_ifaces(&ifaces).and_then(|()| self.tables.set_peers(&peers));
        if let Err(error) = written {
            self.report(error.to_string());
        }
    }

    /// Looks only at the units that have changed: of very many it is mostly one.
    pub(super) fn follow_some(&mut self, changed: &Changed, now: BoottimeNs) {
        let usable_before = self.hooks.usable();
        self.ensure_hooks(false);
        let is_vip = |address| self.group.is_vip(address);
        let (view, me) = (&self.group.view, self.group.me());
        let wishes = changed_wishes(view, changed, me, self.carriers(), self.is_drained, is_vip);
        let Some(wishes) = wishes.filter(|_| self.hooks.usable() == usable_before) else {
            return self.follow(now);
        };
        let addresses = || changed.addresses_gone().chain(changed.addresses_new(view));
        let has_ipv6 = addresses().any(|address| address.is_ipv6());
        let is_own = addresses().any(|address| self.host_addresses().any(|own| own == address));
        if has_ipv6 {
            self.want_groups();
        }
        self.holding.follow_some(&wishes, now);
        if is_own {
            self.own_addresses_changed();
        }
    }

    /// The addresses of this host, on any interface.
    fn host_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        addresses.map(|&(address, _)| address)
    }

    /// An own address is a VIP now, or none any more: it may be what this node has probed from.
    fn own_addresses_changed(&mut self) {
        self.news += 1;
        self.probing = Probing::Outdated;
        let ifaces = self.ifaces();
        if let Err(error) = self.tables.set_ifaces(&ifaces) {
            self.report(error.to_string());
        }
    }

    /// The interfaces that carry programs.
    pub(super) fn usable(&self) -> impl Iterator<Item = &Interface> + Clone {
        self.interfaces.iter().filter(|interface| self.hooks.is_usable(interface.index))
    }

    fn carriers(&self) -> impl Iterator<Item = Carrier<'_>> + Clone {
        self.usable().map(|interface| {
            let is_default = self.hooks.is_default(interface.index);
            Carrier { interface, is_default }
        })
    }

    /// This node's own addresses, for the kernel side.
    fn ifaces(&self) -> BTreeMap<u32, Iface> {
        let iface = |interface: &Interface| {
            let mac = interface.mac.unwrap_or_default();
            (interface.index, self.group.own(interface).iface(mac))
        };
        self.usable().map(iface).collect()
    }

    fn want_groups(&mut self) {
        let wanted = multicast::wanted(&self.group.view.units, self.group.me(), self.carriers());
        self.groups.follow(wanted);
    }

    /// Goes on with the multicast groups that are wanted.
    pub(super) fn join_groups(&mut self) {
        let mirror = &self.mirror;
        let refused = self.groups.step(|| mirror.announced().filter_map(Membership::of).collect());
        for refused in refused {
            warn!("{}", refused.text(&self.interface_name(refused.membership.ifindex)));
        }
    }

    /// Looks at what groups the kernel really is in.
    pub(super) fn compare_groups(&mut self) {
        match multicast::memberships() {
            Ok(actual) => self.groups.compare(actual),
            Err(error) => self.report(format!("multicast groups: {error}")),
        }
    }

    /// Attaches what is to be attached. VIPs of an interface that refuses are not announced there.
    pub(super) fn ensure_hooks(&mut self, verify: bool) {
        let usable_before = self.hooks.usable();
        let request = hooks::Request {
            choice: self.settings.hook,
            wanted: &self.plan.interfaces,
            interfaces: &self.interfaces,
            needs_egress: self.has_local_vip(),
            may_swap: &|| self.mirror.is_whole() && !self.holding.is_asking(),
            verify,
        };
        let result = self.hooks.ensure(&request, &mut self.programs, &self.pins, &self.sender);
        self.is_view_new |= verify && self.hooks.usable() != usable_before;
        if let Err(trouble) = result {
            self.report(trouble);
        }
    }

    /// Whether a VIP is an address of this host, as under kube-proxy IPVS.
    pub(super) fn has_local_vip(&self) -> bool {
        self.host_addresses().any(|address| self.group.is_vip(address))
    }
}

#[cfg(test)]
mod tests;
