//! Scenarios, each made from one number.

mod plot;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use lb_agent::{holding::Failback, sbfd::Timing};

use crate::{
    action::Schedule,
    cluster::{Cluster, ClusterView, Families, MS, S, UnitView},
};
use plot::Plot;

/// All that a run follows from.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub cluster: Cluster,
    pub view: ClusterView,
    pub loss_percent: u8,
    pub schedule: Schedule,
}

impl Scenario {
    pub fn new(seed: u64, families: Families) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed * 4 + families as u64));
        let cluster = dice.cluster(families);
        let view = dice.view(&cluster);
        let loss_percent = if dice.one_in(4) { dice.0.u8(1..=10) } else { 0 };
        let schedule = Plot::new(&mut dice, &cluster, view.clone(), loss_percent).schedule();
        Self { seed, cluster, view, loss_percent, schedule }
    }
}

/// Random choices.
struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, many: u32) -> bool {
        self.0.u32(0..many) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.0.usize(0..from.len())].clone())
    }

    fn between(&mut self, least_ns: u64, most_ns: u64) -> u64 {
        self.0.u64(least_ns..=most_ns)
    }

    fn cluster(&mut self, families: Families) -> Cluster {
        let fast = Timing { interval_ns: 10 * MS, detect_mult: 3 };
        let failbacks = [
            Failback::Immediate,
            Failback::After(2 * S),
            Failback::After(5 * S),
            Failback::default(),
            Failback::Never,
        ];
        let mut next = 0_u8;
        let units = 1 + self.0.usize(0..8);
        Cluster {
            families,
            nodes: 2 + self.0.usize(0..5),
            units: (0..units).map(|_| self.unit(families, &mut next)).collect(),
            timing: if self.one_in(8) { fast } else { Timing::default() },
            failback: self.pick(&failbacks).expect("some"),
            lease_ttl_ns: self.pick(&[3 * S, 5 * S, 30 * S]).expect("some"),
        }
    }

    /// One VIP mostly, of some units several; of both families one each at least.
    fn unit(&mut self, families: Families, next: &mut u8) -> Arc<[IpAddr]> {
        let vips = if self.one_in(3) { 1 + self.0.usize(0..3) } else { 1 };
        let first_is_v6 = self.one_in(3);
        let vip = |number: usize| {
            *next += 1;
            let is_v6 = match families {
                Families::Ipv4 => false,
                Families::Ipv6 => true,
                Families::Dual => first_is_v6 == (number.is_multiple_of(2)),
                Families::Mixed => {
                    if number == 0 {
                        first_is_v6
                    } else {
                        self.one_in(3)
                    }
                }
            };
            match is_v6 {
                true => Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 1, u16::from(*next)).into(),
                false => Ipv4Addr::new(10, 77, 1, *next).into(),
            }
        };
        (0..vips.max(if families == Families::Dual { 2 } else { 1 })).map(vip).collect()
    }

    /// Most often everyone is a candidate for everything.
    fn view(&mut self, cluster: &Cluster) -> ClusterView {
        let members: BTreeSet<usize> = (0..cluster.nodes).collect();
        let units = cluster.units.iter().map(|_| UnitView {
            is_absent: self.one_in(16),
            excluded: self.excluded(&members),
            preferred: if self.one_in(8) { self.excluded(&members) } else { BTreeSet::new() },
        });
        ClusterView { units: units.collect(), members, not_ready: BTreeSet::new() }
    }

    fn excluded(&mut self, members: &BTreeSet<usize>) -> BTreeSet<usize> {
        if !self.one_in(4) {
            return BTreeSet::new();
        }
        members.iter().copied().filter(|_| self.one_in(3)).collect()
    }
}
