use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::Interface;

/// What was asked of it, and the interfaces on which it refuses.
#[derive(Debug, Default)]
struct Recorder {
    calls: Vec<String>,
    in_groups: BTreeSet<Membership>,
    refusing: BTreeSet<u32>,
}

impl Join for Recorder {
    fn join(&mut self, membership: Membership) -> Result<(), NetlinkError> {
        self.calls.push(format!("join {} {}", membership.group, membership.ifindex));
        if self.refusing.contains(&membership.ifindex) {
            return Err(NetlinkError::of("add a proxy neighbour", libc::ENOBUFS));
        }
        assert!(self.in_groups.insert(membership), "joined twice: {membership:?}");
        Ok(())
    }

    fn leave(&mut self, membership: Membership) -> Result<(), NetlinkError> {
        self.calls.push(format!("leave {} {}", membership.group, membership.ifindex));
        assert!(self.in_groups.remove(&membership), "left without having joined: {membership:?}");
        Ok(())
    }
}

fn on(ifindex: u32, group: &str) -> Membership {
    Membership { ifindex, group: group.parse().unwrap() }
}

fn groups(wanted: &[Membership]) -> Groups<Recorder> {
    let mut groups = Groups::default();
    groups.follow(wanted.iter().copied().collect());
    groups
}

fn calls(groups: &mut Groups<Recorder>) -> Vec<String> {
    std::mem::take(&mut groups.joiner.calls)
}

const A: &str = "ff02::1:ff00:a";
const B: &str = "ff02::1:ff00:b";

#[test]
fn the_groups_wanted_are_those_of_the_ipv6_vips_with_this_candidate() {
    let unit = |addresses: &[&str], order: &[NodeId]| Unit {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        order: Arc::from(order),
        interfaces: None,
    };
    let units = [
        unit(&["10.77.1.10", "fd77::1:a"], &[3, 7]),
        unit(&["fd78::1:a"], &[7]),
        unit(&["fd77::2:b"], &[3]),
        unit(&["10.77.1.11"], &[7]),
    ];
    let [eth0, eth1] = ["eth0", "eth1"].map(|name| Interface {
        name: name.to_owned(),
        index: if name == "eth0" { 2 } else { 5 },
        ..Interface::eth0([2, 0, 0, 0, 0, 1], &[])
    });
    let wanted = |eth1_is_default| {
        let eth0 = Carrier { interface: &eth0, is_default: true };
        let eth1 = Carrier { interface: &eth1, is_default: eth1_is_default };
        wanted(&units, 7, [eth0, eth1].into_iter())
    };
    assert_eq!(wanted(true), [on(2, "ff02::1:ff01:a"), on(5, "ff02::1:ff01:a")].into());
    assert_eq!(wanted(false), [on(2, "ff02::1:ff01:a")].into());
}

#[test]
fn what_is_wanted_is_joined_once_and_left_when_it_is_wanted_no_more() {
    let mut groups = groups(&[on(2, A), on(3, A)]);
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [format!("join {A} 2"), format!("join {A} 3")]);
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [""; 0]);
    groups.follow([on(3, A), on(3, B)].into());
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [format!("leave {A} 2"), format!("join {B} 3")]);
}

#[test]
fn a_group_of_a_vip_that_is_answered_for_is_left_only_afterwards() {
    let mut groups = groups(&[on(2, A)]);
    groups.step(BTreeSet::new);
    groups.follow(BTreeSet::new());
    calls(&mut groups);
    groups.step(|| [on(2, A)].into());
    assert_eq!(calls(&mut groups), [""; 0]);
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [format!("leave {A} 2")]);
}

#[test]
fn what_the_kernel_has_forgotten_is_joined_again() {
    let mut groups = groups(&[on(2, A), on(3, B)]);
    groups.step(BTreeSet::new);
    calls(&mut groups);
    groups.compare([on(2, A), on(3, B)].into());
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [""; 0]);
    groups.joiner.in_groups.remove(&on(2, A));
    groups.compare([on(3, B)].into());
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [format!("join {A} 2")]);
}

#[test]
fn what_an_agent_before_has_joined_stays_or_is_left_by_what_is_wanted() {
    let mut groups = groups(&[on(2, A), on(2, B)]);
    groups.joiner.in_groups = [on(2, A), on(3, A)].into();
    groups.compare(groups.joiner.in_groups.clone());
    groups.step(BTreeSet::new);
    assert_eq!(calls(&mut groups), [format!("leave {A} 3"), format!("join {B} 2")]);
}

#[test]
fn a_refusal_is_told_once_and_tried_again_at_the_next_comparison() {
    let mut groups = groups(&[on(2, A), on(2, B), on(3, A)]);
    groups.joiner.refusing.insert(2);
    let refused = groups.step(BTreeSet::new);
    let texts: Vec<String> = refused.iter().map(|refused| refused.text("eth0")).collect();
    let expected = format!(
        "join the multicast group {A} on eth0: rtnetlink: add a proxy neighbour: No buffer space available (os error \
         105); IPv6 is off there: look at net.ipv6.conf.eth0.disable_ipv6, and at the MTU, which has to be 1280 at least"
    );
    assert_eq!(texts, [expected]);
    assert_eq!(calls(&mut groups).len(), 3);
    assert!(groups.step(BTreeSet::new).is_empty());
    assert_eq!(calls(&mut groups), [""; 0]);
    groups.compare([on(3, A)].into());
    assert!(groups.step(BTreeSet::new).is_empty());
    assert_eq!(calls(&mut groups), [format!("join {A} 2"), format!("join {B} 2")]);

    groups.joiner.refusing.clear();
    groups.compare([on(3, A)].into());
    groups.step(BTreeSet::new);
    groups.joiner.refusing.insert(2);
    groups.joiner.in_groups.clear();
    groups.compare(BTreeSet::new());
    assert_eq!(groups.step(BTreeSet::new).len(), 1, "after it went well, a refusal is news");
}

#[test]
fn very_many_are_joined_in_several_turns() {
    let group = |low: u32| Ipv6Addr::from(0xff02_0000_0000_0000_0000_0001_ff00_0000 | u128::from(low));
    let wanted: Vec<Membership> =
        (0..2_500).map(|low| Membership { ifindex: 2, group: group(low) }).collect();
    let mut groups = groups(&wanted);
    let steps: Vec<usize> = (0..4)
        .map(|_| {
            groups.step(BTreeSet::new);
            calls(&mut groups).len()
        })
        .collect();
    assert_eq!(steps, [1_000, 1_000, 500, 0]);
}

fn memberships() -> impl Strategy<Value = BTreeSet<Membership>> {
    let membership =
        (2_u32..4, 0_u8..6).prop_map(|(ifindex, low)| on(ifindex, &format!("ff02::1:ff00:{low}")));
    proptest::collection::btree_set(membership, 0..12)
}

proptest! {
    #[test]
    fn the_node_ends_in_the_groups_wanted_whatever_the_kernel_is_in(
        steps in proptest::collection::vec((memberships(), memberships()), 1..6),
    ) {
        let mut groups = Groups::<Recorder>::default();
        for (wanted, actual) in steps {
            groups.follow(wanted.clone());
            groups.step(BTreeSet::new);
            prop_assert_eq!(&groups.joiner.in_groups, &wanted);
            groups.joiner.in_groups.clone_from(&actual);
            groups.compare(actual);
            groups.step(BTreeSet::new);
            prop_assert_eq!(&groups.joiner.in_groups, &wanted);
        }
    }
}
