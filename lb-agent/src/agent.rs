//! The decision loop's body: one turn takes everything that is known, writes the maps, then sends.
//!
//! Invariant: only a full turn renews the lease, and a write that should have silenced a VIP and failed keeps it
//! from being renewed.

mod account;
mod departure;
mod group;
mod hooks;
mod renewal;
mod sessions;
mod story;
mod view;

use std::{collections::BTreeSet, io, sync::Arc};

use departure::Departure;
use group::Group;
use hooks::Hooks;
use lb_common::maps;
use sessions::Probing;
use tracing::{error, info, warn};

use crate::{
    attach::{AttachError, Programs},
    claims::Heard,
    clock,
    holding::{Holding, Message, Rules},
    hook::HookChoice,
    lease::LeaseWatch,
    metrics::AgentCounters,
    mirror::Mirror,
    model::{BoottimeNs, Interface, Place},
    multicast::Groups,
    pace::Pace,
    pins::{LockedPins, PinError},
    plan::Plan,
    report::Chronicle,
    roster::discriminator,
    shutdown::Shutdown,
    tables::{TableError, Tables},
    wire::{self, Sender},
    wishes::Changed,
};

/// Between two comparisons of the kernel's map with what the agent has written.
const RESYNC_INTERVAL_NS: u64 = 60_000_000_000;
/// The kernel sends to a neighbour that does not answer for somewhat longer than this.
const KEEP_INTERVAL_NS: u64 = 5_000_000_000;

/// What the operator has set on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which hook to take.
    pub hook: HookChoice,
    /// How long the kernel goes on answering without the agent, in ns.
    pub lease_ttl_ns: u64,
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
    plan: Arc<Plan>,
    group: Group,
    /// Every interface of the network namespace, by index.
    interfaces: Vec<Interface>,
    hooks: Hooks,
    holding: Holding,
    /// The multicast groups of IPv6 VIPs.
    groups: Groups,
    /// Interfaces that should carry IPv6 VIPs and have no IPv6, as has been told.
    without_ipv6: BTreeSet<u32>,
    pace: Pace,
    /// Messages that answer what was heard, to be sent with the next turn.
    at_once: Vec<(Place, Message)>,
    mirror: Mirror,
    is_drained: bool,
    departure: Departure,
    is_view_new: bool,
    is_view_stale: bool,
    /// What has changed, if it is not the whole view.
    changed: Option<Changed>,
    /// How well the sessions serve.
    probing: Probing,
    /// When the kernel is next told to keep the addresses of lost peers.
    keep_at: BoottimeNs,
    lease: LeaseWatch,
    /// What the kernel was last told of this agent.
    state: maps::Agent,
    /// VIPs that were announced under a lease that has not ended when this agent began.
    adopted: BTreeSet<Place>,
    resync_at: BoottimeNs,
    last_trouble: Option<String>,
    config_problem: Option<String>,
    counters: AgentCounters,
    /// What was told of the units.
    chronicle: Chronicle,
    /// The states of holding that were last reported.
    reported: Option<(u64, u64, bool)>,
    /// No report before that.
    report_from: BoottimeNs,
    /// Counts up with every other change that a report shows.
    news: u64,
}

impl Agent {
    /// Takes over what the pins hold. VIPs announced under a valid lease go on being announced.
    ///
    /// # Errors
    /// [`AgentError`], when maps cannot be read or a socket cannot be opened.
    pub fn new(
        settings: Settings,
        node: &str,
        pins: LockedPins,
        programs: Programs,
        mut tables: Tables,
        now: BoottimeNs,
    ) -> Result<Self, AgentError> {
        let sender = Sender::new().map_err(|source| AgentError::Socket { source })?;
        tables.add_self_test()?;
        let mirror = Mirror::new(tables.vips()?);
        let state = maps::Agent { discriminator: discriminator(node), ..tables.agent()? };
        let has_lease = now < state.valid_until_ns;
        let adopted: BTreeSet<Place> = mirror.announced().filter(|_| has_lease).collect();
        if !adopted.is_empty() {
            info!(vips = adopted.len(), "went on with the VIPs that the kernel answers for");
        }
        let hooks = Hooks::new(!pins.foreign_maps().is_empty());
        let group = Group::new(node);
        Ok(Self {
            settings,
            pins,
            programs,
            tables,
            sender,
            plan: Arc::default(),
            holding: Holding::new(group.me(), Rules::default()),
            group,
            interfaces: Vec::new(),
            hooks,
            groups: Groups::default(),
            without_ipv6: BTreeSet::new(),
            pace: Pace::default(),
            at_once: Vec::new(),
            mirror,
            is_drained: false,
            departure: Departure::default(),
            is_view_new: true,
            is_view_stale: false,
            changed: None,
            probing: Probing::Outdated,
            keep_at: 0,
            lease: LeaseWatch::new(has_lease),
            state,
            adopted,
            resync_at: now + RESYNC_INTERVAL_NS,
            last_trouble: None,
            config_problem: None,
            counters: AgentCounters::default(),
            chronicle: Chronicle::default(),
            reported: None,
            report_from: 0,
            news: 0,
        })
    }

    /// The pins that this agent has locked.
    #[must_use]
    pub fn pins(&self) -> &LockedPins {
        &self.pins
    }

    /// Has what it does counted there.
    pub fn set_counters(&mut self, counters: AgentCounters) {
        self.counters = counters;
    }

    /// Where what it does is counted.
    #[must_use]
    pub const fn counters(&self) -> &AgentCounters {
        &self.counters
    }

    /// When the lease ends.
    #[must_use]
    pub const fn valid_until(&self) -> BoottimeNs {
        self.state.valid_until_ns
    }

    /// Whether there is an interface with its programs.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        !self.hooks.usable().is_empty()
    }

    /// Takes a new configuration.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        if self.plan == plan {
            return;
        }
        let changed = self.group.follow(&self.plan, &plan);
        let are_only_units = self.plan.interfaces == plan.interfaces && self.plan.failback == plan.failback;
        self.plan = plan;
        // A second change before the first one was followed.
        self.is_view_new |= !are_only_units || self.changed.replace(changed).is_some();
    }

    /// Takes note of whether what the source says may be old.
    pub fn set_view_stale(&mut self, is_stale: bool, now: BoottimeNs) {
        if std::mem::replace(&mut self.is_view_stale, is_stale) != is_stale {
            match is_stale {
                true => {
                    warn!("the view of the cluster may be old: a VIP is left to a live node that claims it")
                }
                false => info!("the view of the cluster is up to date"),
            }
        }
        self.holding.set_view_stale(is_stale, now);
    }

    /// Takes a new view of the interfaces.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.is_view_new |= self.interfaces != interfaces;
        self.interfaces = interfaces;
    }

    /// What is wrong with the newest configuration, so that the last valid one stays, is left for `lb-agent status` too.
    ///
    /// # Errors
    /// When the pin directory may not be written.
    pub fn set_config_problem(&mut self, problem: Option<String>) -> Result<(), PinError> {
        if self.config_problem == problem {
            return Ok(());
        }
        self.pins.mark_stale(problem.as_deref())?;
        self.config_problem = problem;
        self.news += 1;
        Ok(())
    }

    /// Every interface, as last seen.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Another station said that it has an address.
    pub fn heard(&mut self, heard: &Heard, now: BoottimeNs) {
        let Heard { at, station, saying } = *heard;
        if self.interfaces.iter().any(|interface| interface.mac == Some(station)) {
            return;
        }
        let Some(interface) = self.interfaces.iter().find(|interface| interface.index == at.ifindex) else {
            return;
        };
        let from = self.group.station(interface, station, now);
        let holder = self.holding.holder(at);
        self.at_once.extend(self.holding.heard(at, from, saying, now));
        self.news += u64::from(self.holding.holder(at) != holder);
    }

    /// The machine is about to shut down, or goes on after all.
    pub fn shutting_down(&mut self, shutdown: Shutdown) {
        if let Err(error) = self.departure.follow(shutdown, &self.pins, clock::boottime_ns()) {
            self.report(error.to_string());
        }
    }

    /// When the next turn is due, events apart. Without a lease nothing goes out that would be worth one.
    #[must_use]
    pub fn next_due(&self) -> Option<BoottimeNs> {
        if !self.lease.has_lease() {
            return None;
        }
        self.holding.next_due().map(|due| due.max(self.pace.ready_at()))
    }

    /// One turn. Every error is reported and left for the next turn to mend. Without a lease nothing is asked and
    /// nothing is announced: no one would answer for it.
    pub fn turn(&mut self, now: BoottimeNs) {
        let has_lease = self.check_lease(now);
        self.check_drained();
        match self.changed.take() {
            _ if self.is_view_new => self.follow(now),
            Some(changed) => self.follow_some(&changed, now),
            None => {}
        }
        let mut messages = std::mem::take(&mut self.at_once);
        if has_lease {
            messages.extend(self.holding.due(now, self.pace.allowance(now)));
        }
        if let Err(error) = self.mirror.write(&mut self.holding, |op| self.tables.apply(op), now) {
            self.report(error.to_string());
        }
        // Asks go out whatever could not be written: unasked, a holder would be taken for silent.
        messages.retain(|&(place, message)| self.mirror.backs(place, message));
        self.send(&messages, now);
        self.join_groups();
        self.departure.let_go(self.holding.is_holding(), now);
        let changes = self.holding.take_changes();
        changes.iter().for_each(|(_, change)| self.counters.changed(*change));
        self.chronicle.note(&changes, |node| self.group.node_name(node));
        self.news += u64::try_from(changes.len()).unwrap_or(1);
        story::tell(&changes, |ifindex| self.interface_name(ifindex), |node| self.group.node_name(node));
    }

    /// Stamps the kernel's record of this agent: it thinks. Each second the lease is renewed as well.
    pub fn tick(&mut self) {
        let now = clock::boottime_ns();
        if self.lease.is_renewal_due(now) {
            self.renewal_turn();
        } else {
            self.turn(now);
            self.stamp();
        }
        if now >= self.keep_at {
            self.keep_at = now + KEEP_INTERVAL_NS;
            self.interfaces.iter().for_each(|interface| self.group.keep_lost_peers(interface));
        }
    }

    /// The turn of each second: the programs are checked, and the lease is renewed if all is well.
    fn renewal_turn(&mut self) {
        let now = clock::boottime_ns();
        if now >= self.resync_at {
            self.resync_at = now + RESYNC_INTERVAL_NS;
            self.resync(now);
        }
        self.ensure_hooks(true);
        self.thin_sessions();
        self.turn(now);
        if let Err(trouble) = self.renew() {
            self.report(trouble);
        }
        // What had to wait for the lease goes on now. A drain meanwhile must not lose to the renewal: it left its
        // mark before it ended the lease.
        self.turn(clock::boottime_ns());
    }

    /// Looks at what the kernel's map really says.
    fn resync(&mut self, now: BoottimeNs) {
        self.compare_groups();
        match self.tables.vips() {
            Ok(actual) => {
                if self.mirror.resync(actual, &mut self.holding, now) {
                    warn!("the map of VIPs was changed by someone else: it is written anew");
                }
            }
            Err(error) => self.report(error.to_string()),
        }
    }

    fn send(&mut self, messages: &[(Place, Message)], now: BoottimeNs) {
        self.pace.spend(messages.len(), now);
        for &(place, message) in messages {
            let Some(interface) = self.interface(place.ifindex) else { continue };
            let group = &self.group;
            let mac = |node| group.mac(place.ifindex, node);
            let is_vip = |address| group.is_vip(address);
            let Some(frame) = wire::frame(message, place.address, interface, is_vip, mac) else { continue };
            // A frame that does not go out is one that got lost: asks and announcements are repeated anyway.
            if let Err(error) = self.sender.send(place.ifindex, &frame) {
                tracing::debug!(vip = %place.address, interface = interface.name, %error, "frame not sent");
            } else if matches!(message, Message::Announce(_) | Message::Claim(_)) {
                self.counters.announced(place.address);
            }
        }
    }

    /// Says what is wrong, once.
    fn report(&mut self, trouble: String) {
        if self.last_trouble.as_ref() != Some(&trouble) {
            error!("{trouble}");
            self.last_trouble = Some(trouble);
            self.news += 1;
        }
    }

    fn interface(&self, ifindex: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == ifindex)
    }

    fn interface_name(&self, ifindex: u32) -> String {
        self.interface(ifindex).map_or_else(|| ifindex.to_string(), |interface| interface.name.clone())
    }
}
