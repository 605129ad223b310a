//! The decision loop's body: one turn takes everything that is known, writes the maps, then sends.
//!
//! Invariant: only a full turn renews the lease, and a write that should have silenced a VIP and failed keeps it
//! from being renewed.

mod hooks;
mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use hooks::Hooks;
use ipnet::Ipv4Net;
use lb_common::{
    maps::{Iface, Role, VipEntry},
    wire::ethernet::Mac,
};
use tracing::{error, info, warn};

use crate::{
    attach::{AttachError, Programs},
    clock,
    diff::{MapOp, diff},
    holding::Holding,
    hook::HookChoice,
    model::{BoottimeNs, Interface, MacText, Place},
    pace::Pace,
    pins::{LockedPins, PinError},
    tables::{TableError, Tables},
    wire::{self, Sender},
    wishes::{Vips, wishes},
};

/// Between two comparisons of the kernel's map with what the agent has written.
const RESYNC_INTERVAL_NS: u64 = 60_000_000_000;

/// What the operator has set on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which hook to take.
    pub hook: HookChoice,
    /// How long the kernel goes on answering without the agent, in ns.
    pub lease_ttl_ns: u64,
}

/// What the configuration says, resolved to plain values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Names of the interfaces to announce on; `None`: that of the default route.
    pub interfaces: Option<Vec<String>>,
    /// The VIPs.
    pub vips: Vips,
}

/// What ends the agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The maps.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The programs.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The pin directory.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A socket.
    #[error("open a packet socket: {source}{}", crate::privileges::remedy(source))]
    Socket {
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// All that the decision loop knows.
pub struct Agent {
    settings: Settings,
    pins: LockedPins,
    programs: Programs,
    tables: Tables,
    sender: Sender,
    plan: Plan,
    all_vips: BTreeSet<IpAddr>,
    /// Every interface of the network namespace, by index.
    interfaces: Vec<Interface>,
    hooks: Hooks,
    holding: Holding,
    pace: Pace,
    /// What the kernel's map says.
    actual: BTreeMap<Place, VipEntry>,
    /// The version of `holding` that `actual` follows.
    written_version: Option<u64>,
    /// A write that would have silenced a VIP has failed.
    is_silence_owed: bool,
    is_drained: bool,
    is_view_new: bool,
    /// VIPs that were announced under a lease that has not ended when this agent began.
    adopted: BTreeSet<Place>,
    resync_at: BoottimeNs,
    last_trouble: Option<String>,
}

impl Agent {
    /// Takes over what the pins hold. VIPs announced under a valid lease go on being announced.
    ///
    /// # Errors
    /// [`AgentError`], when maps cannot be read or a socket cannot be opened.
    pub fn new(
        settings: Settings,
        pins: LockedPins,
        programs: Programs,
        mut tables: Tables,
        now: BoottimeNs,
    ) -> Result<Self, AgentError> {
        let sender = Sender::new().map_err(|source| AgentError::Socket { source })?;
        tables.add_self_test()?;
        let actual = tables.vips()?;
        let has_lease = now < tables.valid_until()?;
        let is_announced = |entry: &VipEntry| entry.role() == Some(Role::Announce);
        let adopted: BTreeSet<Place> = actual
            .iter()
            .filter(|(_, entry)| has_lease && is_announced(entry))
            .map(|(&place, _)| place)
            .collect();
        if !adopted.is_empty() {
            info!(vips = adopted.len(), "went on with the VIPs that the kernel answers for");
        }
        let hooks = Hooks::new(!pins.foreign_maps().is_empty());
        Ok(Self {
            settings,
            pins,
            programs,
            tables,
            sender,
            plan: Plan::default(),
            all_vips: BTreeSet::new(),
            interfaces: Vec::new(),
            hooks,
            holding: Holding::default(),
            pace: Pace::default(),
            actual,
            written_version: None,
            is_silence_owed: false,
            is_drained: false,
            is_view_new: true,
            adopted,
            resync_at: now + RESYNC_INTERVAL_NS,
            last_trouble: None,
        })
    }

    /// The pins that this agent has locked.
    #[must_use]
    pub fn pins(&self) -> &LockedPins {
        &self.pins
    }

    /// Takes a new configuration.
    pub fn set_plan(&mut self, plan: Plan) {
        self.all_vips = plan.vips.announce.iter().chain(&plan.vips.suppress).copied().collect();
        self.is_view_new |= self.plan != plan;
        self.plan = plan;
    }

    /// Takes a new view of the interfaces.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.is_view_new |= self.interfaces != interfaces;
        self.interfaces = interfaces;
    }

    /// Every interface, as last seen.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Another station said that it has an address.
    pub fn heard(&mut self, place: Place, station: Mac, now: BoottimeNs) {
        let is_own = self.interfaces.iter().any(|interface| interface.mac == Some(station));
        if !is_own {
            self.holding.heard(place, station, now);
        }
    }

    /// As [`Self::heard`], by way of the kernel side. On a VIP that is announced here it is an address conflict
    /// (RFC 5227, 2.4).
    pub fn claimed(&mut self, place: Place, station: Mac, now: BoottimeNs) {
        if self.actual.get(&place).is_some_and(|entry| entry.role() == Some(Role::Announce)) {
            warn!(
                vip = %place.address,
                interface = self.interface_name(place.ifindex),
                station = %MacText(station),
                "address conflict: another station claims a VIP that is announced here"
            );
        }
        self.heard(place, station, now);
    }

    /// Whether answers of other stations matter now.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.holding.is_listening()
    }

    /// When the next turn is due, events apart.
    #[must_use]
    pub fn next_due(&self) -> Option<BoottimeNs> {
        self.holding.next_due().map(|due| due.max(self.pace.ready_at()))
    }

    /// One turn. Every error is reported and left for the next turn to mend. Without a lease nothing is asked and
    /// nothing is announced: no one would answer for it.
    pub fn turn(&mut self, now: BoottimeNs) {
        let has_lease = self.check_lease(now);
        self.check_drained();
        if self.is_view_new {
            self.follow(now);
        }
        let messages = match has_lease {
            true => self.holding.due(now, self.pace.allowance(now)),
            false => Vec::new(),
        };
        match self.write() {
            Ok(()) => self.send(&messages, now),
            Err(error) => self.report(error.to_string()), // a frame not sent is one lost: the next one follows
        }
        story::tell(self.holding.take_changes(), |ifindex| self.interface_name(ifindex));
    }

    /// The turn of each second: the programs are checked, and the lease is renewed if all is well.
    pub fn tick(&mut self) {
        let now = clock::boottime_ns();
        if now >= self.resync_at {
            self.resync_at = now + RESYNC_INTERVAL_NS;
            self.resync();
        }
        self.ensure_hooks(true);
        self.turn(now);
        if let Err(trouble) = self.renew() {
            self.report(trouble);
        }
        // What had to wait for the lease goes on now. A drain meanwhile must not lose to the renewal: it left its
        // mark before it ended the lease.
        self.turn(clock::boottime_ns());
    }

    /// Whether there is a lease. One that has lapsed is a fresh start.
    fn check_lease(&mut self, now: BoottimeNs) -> bool {
        let valid_until = match self.tables.valid_until() {
            Ok(valid_until) => valid_until,
            Err(error) => {
                self.report(error.to_string());
                return false;
            }
        };
        if now < valid_until {
            return true;
        }
        if self.holding.is_holding() {
            let late_ms = (now - valid_until) / 1_000_000;
            warn!(late_ms, "the lease has lapsed: every VIP is asked for before it is announced again");
            self.holding.start_afresh(now);
        }
        self.adopted.clear();
        false
    }

    fn check_drained(&mut self) {
        let is_drained = self.pins.is_drained();
        if is_drained != self.is_drained {
            self.is_drained = is_drained;
            self.is_view_new = true;
            if is_drained {
                info!("drained: no VIP is announced until `lb-agent undrain`");
            } else {
                info!("undrained");
            }
        }
    }

    fn follow(&mut self, now: BoottimeNs) {
        self.is_view_new = false;
        self.ensure_hooks(false);
        let usable = self.interfaces.iter().filter(|interface| self.hooks.is_usable(interface.index));
        let ifaces: BTreeMap<u32, Iface> =
            usable.clone().map(|interface| (interface.index, self.iface(interface))).collect();
        let wishes = wishes(&self.plan.vips, usable, self.is_drained);
        let adopted = std::mem::take(&mut self.adopted);
        self.holding.follow(&wishes, |place| adopted.contains(place), now);
        if let Err(error) = self.tables.set_ifaces(&ifaces) {
            self.report(error.to_string());
        }
    }

    fn iface(&self, interface: &Interface) -> Iface {
        let own = interface.addresses.iter().find_map(|&(address, prefix_len)| match address {
            IpAddr::V4(own) if !self.all_vips.contains(&address) => Ipv4Net::new(own, prefix_len).ok(),
            _ => None,
        });
        Iface {
            ipv4: own.map_or([0; 4], |own| own.addr().octets()),
            ipv4_mask: own.map_or([0; 4], |own| own.netmask().octets()),
            mac: interface.mac.unwrap_or_default(),
            reserved: [0; 2],
        }
    }

    /// Writes what has changed. What fails stays to be written next time; the first error is told.
    fn write(&mut self) -> Result<(), TableError> {
        if self.written_version == Some(self.holding.version()) {
            return Ok(());
        }
        let mut result = Ok(());
        self.is_silence_owed = false;
        for op in diff(&self.holding.desired(), &self.actual) {
            match self.tables.apply(&op) {
                Ok(()) => self.note(op),
                Err(error) => {
                    self.is_silence_owed |= !op.speaks();
                    result = result.and(Err(error));
                }
            }
        }
        self.written_version = result.is_ok().then(|| self.holding.version());
        result
    }

    fn note(&mut self, op: MapOp) {
        match op {
            MapOp::Remove(place) => self.actual.remove(&place),
            MapOp::Set(place, entry) => self.actual.insert(place, entry),
        };
    }

    /// Looks at what the kernel's map really says.
    fn resync(&mut self) {
        match self.tables.vips() {
            Ok(actual) => {
                if actual != self.actual {
                    warn!("the map of VIPs was changed by someone else: it is written anew");
                    self.actual = actual;
                    self.written_version = None;
                }
            }
            Err(error) => self.report(error.to_string()),
        }
    }

    fn send(&mut self, messages: &[(Place, crate::holding::Message)], now: BoottimeNs) {
        self.pace.spend(messages.len(), now);
        for &(place, message) in messages {
            let Some(interface) = self.interface(place.ifindex) else { continue };
            let is_vip = |address| self.all_vips.contains(&address);
            let Some(frame) = wire::frame(message, place.address, interface, is_vip) else { continue };
            // A frame that does not go out is one that got lost: asks and announcements are repeated anyway.
            if let Err(error) = self.sender.send(place.ifindex, &frame) {
                tracing::debug!(vip = %place.address, interface = interface.name, %error, "frame not sent");
            }
        }
    }

    fn renew(&mut self) -> Result<(), String> {
        self.hooks.self_test(&mut self.programs)?;
        if self.is_silence_owed {
            return Err("the lease is not renewed while the map says that VIPs are announced which are not"
                .to_owned());
        }
        let valid_until = clock::boottime_ns() + self.settings.lease_ttl_ns;
        self.tables.set_valid_until(valid_until).map_err(|error| error.to_string())
    }

    /// Attaches what is to be attached. VIPs of an interface that refuses are not announced there.
    fn ensure_hooks(&mut self, verify: bool) {
        let usable_before = self.hooks.usable();
        let request = hooks::Request {
            choice: self.settings.hook,
            wanted: self.plan.interfaces.as_deref(),
            interfaces: &self.interfaces,
            needs_egress: self.has_local_vip(),
            may_swap: self.written_version.is_some() && !self.holding.is_asking(),
            verify,
        };
        let result = self.hooks.ensure(&request, &mut self.programs, &self.pins, &self.sender);
        self.is_view_new |= verify && self.hooks.usable() != usable_before;
        if let Err(trouble) = result {
            self.report(trouble);
        }
    }

    /// Whether a VIP is an address of this host, as under kube-proxy IPVS.
    fn has_local_vip(&self) -> bool {
        let mut local = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        local.any(|(address, _)| self.all_vips.contains(address))
    }

    /// Says what is wrong, once.
    fn report(&mut self, trouble: String) {
        if self.last_trouble.as_ref() != Some(&trouble) {
            error!("{trouble}");
            self.last_trouble = Some(trouble);
        }
    }

    fn interface(&self, ifindex: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == ifindex)
    }

    fn interface_name(&self, ifindex: u32) -> String {
        self.interface(ifindex).map_or_else(|| ifindex.to_string(), |interface| interface.name.clone())
    }
}
