use std::{net::IpAddr, sync::Arc, time::Duration};

use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;

use super::*;
use crate::{
    agent::group::Group,
    holding::{Holding, Rules},
    mirror::Mirror,
    plan::{Candidate, Plan, PlannedUnit},
    roster::Node,
};

const S: u64 = 1_000_000_000;

fn candidate(node: u8, score: i64) -> Candidate {
    Candidate { node: format!("n{node}").into(), score }
}

fn nodes(count: u8) -> Vec<Node> {
    (0..count)
        .map(|number| Node { name: format!("n{number}"), addresses: vec![[10, 77, 0, number].into()] })
        .collect()
}

fn unit(addresses: &[IpAddr], candidates: Option<Arc<[Candidate]>>) -> Option<Arc<PlannedUnit>> {
    let key = *addresses.first()?;
    Some(Arc::new(PlannedUnit { addresses: addresses.into(), key, candidates, interfaces: None }))
}

/// What follows from plans on one interface, by looking at everything, or only at what has changed.
struct Follower {
    group: Group,
    holding: Holding,
    plan: Plan,
    looks_at_all: bool,
}

impl Follower {
    fn new(looks_at_all: bool) -> Self {
        let group = Group::new("n1");
        let holding = Holding::new(group.me(), Rules::default());
        Self { group, holding, plan: Plan::default(), looks_at_all }
    }

    fn follow(&mut self, plan: &Plan, now: BoottimeNs) {
        let interface = Interface::eth0([2, 0, 0, 0, 0, 1], &["10.77.0.1/8"]);
        let changed = self.group.follow(&self.plan, plan);
        self.plan.clone_from(plan);
        let Self { group, holding, .. } = self;
        let carriers = [Carrier { interface: &interface, is_default: true }].into_iter();
        let is_vip = |address| group.is_vip(address);
        match changed_wishes(&group.view, &changed, group.me(), carriers.clone(), false, is_vip) {
            Some(wishes) if !self.looks_at_all => holding.follow_some(&wishes, now),
            _ => {
                let wishes = wishes(&group.view, group.me(), carriers, false);
                holding.follow(&wishes, group.view.failback, |_| false, now);
            }
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let address = || (0..8_u8).prop_map(|last| IpAddr::from([10, 77, 1, last]));
    let candidates = prop::option::of(prop::collection::vec((0..4_u8, 0..2_i64), 0..4).prop_map(|all| {
        all.into_iter().map(|(node, score)| candidate(node, score)).collect::<Arc<[Candidate]>>()
    }));
    let addresses = prop::collection::vec(address(), 1..3);
    let unit = (addresses, candidates)
        .prop_filter_map("no address", |(addresses, candidates)| unit(&addresses, candidates));
    let units = prop::collection::vec(unit, 0..5);
    let suppress = prop::collection::btree_set(address(), 0..3);
    let plan = (2..4_u8, units, suppress).prop_map(|(count, units, mut suppress)| {
        let announced = units.iter().flat_map(|unit| unit.addresses.iter());
        announced.for_each(|address| _ = suppress.remove(address));
        let suppress = suppress.into_iter().collect();
        Plan { nodes: Some(nodes(count)), units, suppress, ..Plan::default() }
    });
    prop::collection::vec(plan, 1..6)
}

/// As a cluster gives them: what has not changed is the same object, and no two units have a VIP in common.
fn plans_that_share_units() -> impl Strategy<Value = Vec<Plan>> {
    let candidates = [(1, 0), (0, 1), (2, 2)].map(|(node, score)| -> Arc<[Candidate]> {
        [candidate(0, 0), candidate(1, 0), candidate(node, score)].into()
    });
    let unit_at = move |last: u8| {
        let variants = candidates.each_ref().map(|candidates| {
            unit(&[IpAddr::from([10, 77, 1, last])], Some(Arc::clone(candidates))).expect("a VIP")
        });
        prop::option::of(prop::sample::select(variants.to_vec()))
    };
    let units = (0..8).map(unit_at).collect::<Vec<_>>();
    let plan = (2..4_u8, units).prop_map(|(count, units)| Plan {
        nodes: Some(nodes(count)),
        units: units.into_iter().flatten().collect(),
        ..Plan::default()
    });
    prop::collection::vec(plan, 1..8)
}

/// Fails unless looking at what has changed comes to the same as looking at everything.
fn assert_same(plans: &[Plan]) -> Result<(), TestCaseError> {
    let mut followers = [Follower::new(true), Follower::new(false)];
    for (plan, number) in plans.iter().zip(1..) {
        let [all, some] = followers.each_mut().map(|follower| {
            follower.follow(plan, number * S);
            let messages = follower.holding.due(number * S, 1_000);
            let is_vip =
                (0..8).map(|last| follower.group.is_vip([10, 77, 1, last].into())).collect::<Vec<_>>();
            let needs = follower.holding.needs(2).map(|need| need.predecessors.to_vec()).collect::<Vec<_>>();
            (follower.holding.desired(), follower.holding.take_changes(), messages, needs, is_vip)
        });
        prop_assert_eq!(all, some);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_follows_from_changes_is_what_follows_from_the_whole(plans in plans()) {
        assert_same(&plans)?;
    }

    #[test]
    fn units_that_are_the_same_objects_stay_what_they_are(plans in plans_that_share_units()) {
        assert_same(&plans)?;
    }
}

/// What this thread has taken of a CPU: others may run on this machine.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into()
}

/// How long each part takes, median of all rounds: 10 000 units, 200 sets of candidates among 100 nodes, one unit with
/// another set each time.
#[test]
fn a_change_of_one_unit_among_very_many_takes_few_milliseconds() {
    let sets: Vec<Arc<[Candidate]>> = (0..200_u8)
        .map(|set| {
            let score = |node: u8| i64::from(node.is_multiple_of(3));
            (0..100).filter(|node| (node ^ set) % 7 != 0).map(|node| candidate(node, score(node))).collect()
        })
        .collect();
    let address = |number: u32| IpAddr::from((0x0a4e_0000 + number).to_be_bytes());
    let units = (0..10_000)
        .filter_map(|number| unit(&[address(number)], Some(Arc::clone(&sets[number as usize % sets.len()]))));
    let mut plan = Plan { nodes: Some(nodes(100)), units: units.collect(), ..Plan::default() };
    let (mut follower, mut mirror) = (Follower::new(false), Mirror::default());
    let interface = Interface::eth0([2, 0, 0, 0, 0, 1], &["10.77.0.1/8"]);
    let mut rounds: Vec<[Duration; 3]> = Vec::new();
    for round in 0..20_u64 {
        let begun = cpu_time();
        follower.follow(&plan, round * S);
        let followed = cpu_time() - begun;
        let mut writes = 0;
        let count = |_: &_| -> Result<(), ()> {
            writes += 1;
            Ok(())
        };
        mirror.write(&mut follower.holding, count, round * S).unwrap();
        let written = cpu_time() - begun;
        let Follower { group, holding, .. } = &mut follower;
        let changed = holding.take_new_needs();
        if round == 0 || !group.are_sessions_enough(holding, &changed) {
            group.sessions([&interface].into_iter(), holding, round * S);
        }
        let took = [followed, written - followed, cpu_time() - begun - written];
        if round == 0 {
            assert_eq!(writes, 10_000);
            println!("at first: {took:?}");
        } else {
            rounds.push(took);
        }
        let changed = PlannedUnit::clone(&plan.units[5_000]);
        let candidates = plan.units[usize::try_from(round + 1).unwrap()].candidates.clone();
        plan.units[5_000] = Arc::new(PlannedUnit { candidates, ..changed });
    }
    let median = |part: usize| {
        let mut all: Vec<Duration> = rounds.iter().map(|round| round[part]).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let [follow, write, sessions] = [0, 1, 2].map(median);
    println!("followed in {follow:?}, written in {write:?}, sessions chosen in {sessions:?}");
    assert!(follow + write < Duration::from_millis(10), "{rounds:?}");
}
