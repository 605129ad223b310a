//! What the kernel counts: read from the pinned maps when it is asked for, without the agent.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use lb_common::{
    maps::{Role, VipEntry, VipStats},
    reason::{Fate, FrameCounters},
};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tracing::debug;

use super::sample::{Metric, number};
use crate::{
    clock,
    model::{BoottimeNs, Place},
    netlink,
    pins::Pins,
    tables::{TableError, Tables},
};

/// Reads the maps of these pins.
#[derive(Debug)]
pub struct Kernel {
    pins: Pins,
}

/// What the maps say at one time.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// CLOCK_BOOTTIME.
    pub now: BoottimeNs,
    /// When the lease ends.
    pub valid_until_ns: BoottimeNs,
    /// What is done about each VIP.
    pub vips: BTreeMap<Place, VipEntry>,
    /// Questions and answers.
    pub stats: BTreeMap<Place, VipStats>,
    /// Frames by fate.
    pub frames: FrameCounters,
    /// Names of interfaces, by index.
    pub interfaces: BTreeMap<u32, String>,
}

impl Kernel {
    /// Those of `pins`.
    #[must_use]
    pub const fn new(pins: Pins) -> Self {
        Self { pins }
    }

    fn read(&self) -> Result<Readings, TableError> {
        let tables = Tables::open(&self.pins.maps())?;
        let interfaces = netlink::interfaces().unwrap_or_default();
        Ok(Readings {
            now: clock::boottime_ns(),
            valid_until_ns: tables.agent()?.valid_until_ns,
            vips: tables.vips()?,
            stats: tables.stats()?,
            frames: tables.frames()?,
            interfaces: interfaces.into_iter().map(|interface| (interface.index, interface.name)).collect(),
        })
    }
}

impl Collector for Kernel {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match self.read() {
            Ok(readings) => readings.encode(encoder),
            // The rest is still worth telling.
            Err(error) => {
                debug!("the kernel's counters are missing: {error}");
                Ok(())
            }
        }
    }
}

impl Readings {
    /// As metrics.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let help = "Time until the kernel stops to answer without the agent; negative when it has";
        let lease = Metric { name: "lb_lease_left_seconds", help };
        let left_ns = self.valid_until_ns.cast_signed().saturating_sub(self.now.cast_signed());
        lease.gauges(encoder, [(vec![], seconds(left_ns))])?;

        let vips = Metric { name: "lb_vips", help: "VIPs in the kernel's map, by interface and role" };
        vips.gauges(
            encoder,
            self.roles().map(|((interface, role), count)| {
                (vec![("interface", interface), ("role", role.to_owned())], number(count))
            }),
        )?;

        let requests =
            Metric { name: "metallb_layer2_requests_received", help: "Questions for a VIP, by ARP or NDP" };
        requests.untyped(encoder, self.by_vip(|stats| stats.requests))?;
        let answers = Metric { name: "metallb_layer2_responses_sent", help: "Answers for a VIP" };
        answers.untyped(encoder, self.by_vip(|stats| stats.answers))?;

        let frames = Metric { name: "lb_frames", help: "Frames that were the programs' to judge, by fate" };
        frames.counters(
            encoder,
            Fate::ALL.iter().map(|&fate| (vec![("fate", fate.name().to_owned())], self.frames.get(fate))),
        )
    }

    fn roles(&self) -> impl Iterator<Item = ((String, &'static str), u64)> + use<> {
        let mut counts = BTreeMap::new();
        for (place, entry) in &self.vips {
            let role = match entry.role() {
                Some(Role::Announce) => "announce",
                Some(Role::Suppress) => "suppress",
                Some(Role::Contested) => "contested",
                Some(Role::SelfTest) | None => continue,
            };
            let name = self.interfaces.get(&place.ifindex);
            let interface = name.cloned().unwrap_or_else(|| place.ifindex.to_string());
            *counts.entry((interface, role)).or_default() += 1;
        }
        counts.into_iter()
    }

    /// All interfaces of a VIP together.
    fn by_vip(&self, count: impl Fn(&VipStats) -> u64) -> impl Iterator<Item = (super::sample::Labels, f64)> {
        let mut sums = BTreeMap::<IpAddr, u64>::new();
        for (place, stats) in &self.stats {
            *sums.entry(place.address).or_default() += count(stats);
        }
        sums.into_iter().map(|(ip, sum)| (vec![("ip", ip.to_string())], number(sum)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a lease is a matter of seconds")]
const fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}
