use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const OURS: Mac = [2, 0, 0, 0, 0, 1];
const STRANGER: Mac = [2, 0, 0, 0, 0, 9];
const MS: u64 = 1_000_000;
const ANNOUNCE: Wish = Wish::Announce { mac: OURS, ask: true };
const SUPPRESS: Wish = Wish::Suppress { mac: OURS };

fn place(last: u8) -> Place {
    Place { ifindex: 2, address: Ipv4Addr::new(10, 0, 0, last).into() }
}

fn holding(wishes: &[(u8, Wish)]) -> Holding {
    let mut holding = Holding::default();
    holding.follow(&wishes_of(wishes), |_| false, 0);
    holding
}

fn wishes_of(wishes: &[(u8, Wish)]) -> BTreeMap<Place, Wish> {
    wishes.iter().map(|&(last, wish)| (place(last), wish)).collect()
}

/// Everything that is sent up to and including `until`, with its time.
fn run(holding: &mut Holding, until: BoottimeNs) -> Vec<(u64, Place, Message)> {
    let mut sent = Vec::new();
    while let Some(at) = holding.next_due().filter(|&at| at <= until) {
        sent.extend(
            holding.due(at, usize::MAX).into_iter().map(|(place, message)| (at / MS, place, message)),
        );
    }
    sent
}

fn role(holding: &Holding, last: u8) -> Option<Role> {
    holding.desired().get(&place(last)).and_then(VipEntry::role)
}

#[test]
fn a_new_vip_is_asked_for_three_times_while_suppressed_then_announced() {
    let mut holding = holding(&[(1, ANNOUNCE)]);
    let asks: Vec<_> = [0, 50, 100].map(|at| (at, place(1), Message::Ask)).into();
    assert_eq!(run(&mut holding, 149 * MS), asks);
    assert_eq!(holding.desired(), [(place(1), VipEntry::new(Role::Suppress, OURS))].into());
    let first = run(&mut holding, 150 * MS);
    let forms = [Form::Request, Form::Reply].map(|form| (150, place(1), Message::Announce(form)));
    assert_eq!(first, forms);
    assert_eq!(holding.desired(), [(place(1), VipEntry::new(Role::Announce, OURS))].into());
    assert_eq!(holding.take_changes(), [(place(1), Change::Taken)]);
}

#[test]
fn a_vip_that_a_stranger_answers_for_is_left_alone_until_it_has_been_silent_for_three_requests() {
    let mut holding = holding(&[(1, ANNOUNCE)]);
    run(&mut holding, 10 * MS);
    holding.heard(place(1), STRANGER, 10 * MS);
    assert_eq!(holding.desired(), [(place(1), VipEntry::new(Role::Contested, STRANGER))].into());
    assert_eq!(holding.take_changes(), [(place(1), Change::Contested(STRANGER))]);
    assert_eq!(run(&mut holding, 4_010 * MS), [2_010, 4_010].map(|at| (at, place(1), Message::Ask)));
    holding.heard(place(1), STRANGER, 4_011 * MS);
    assert_eq!(holding.take_changes(), [], "the same stranger is no news");
    let watched = run(&mut holding, 12_009 * MS);
    assert_eq!(watched.len(), 3);
    assert_eq!(role(&holding, 1), Some(Role::Contested));
    run(&mut holding, 12_010 * MS + 150 * MS);
    assert_eq!(role(&holding, 1), Some(Role::Announce));
}

#[test]
fn a_vip_held_under_a_living_lease_is_neither_asked_for_nor_announced_before_its_refresh() {
    let mut holding = Holding::default();
    holding.follow(&wishes_of(&[(1, ANNOUNCE)]), |_| true, 0);
    assert_eq!(role(&holding, 1), Some(Role::Announce));
    assert_eq!(run(&mut holding, 59_999 * MS), []);
    assert_eq!(run(&mut holding, 60_000 * MS), [(60_000, place(1), Message::Announce(Form::Request))]);
    assert_eq!(holding.take_changes(), []);
}

#[test]
fn after_a_lapsed_lease_a_holder_asks_like_a_newcomer() {
    let mut holding = holding(&[(1, ANNOUNCE), (2, SUPPRESS)]);
    run(&mut holding, 1_000 * MS);
    holding.take_changes();
    holding.start_afresh(60_000 * MS);
    assert_eq!((role(&holding, 1), role(&holding, 2)), (Some(Role::Suppress), Some(Role::Suppress)));
    assert_eq!(holding.take_changes(), [(place(1), Change::Released)]);
    assert_eq!(run(&mut holding, 60_000 * MS), [(60_000, place(1), Message::Ask)]);
}

#[test]
fn a_claim_is_answered_by_one_announcement_in_ten_seconds() {
    let mut holding = holding(&[(1, ANNOUNCE)]);
    run(&mut holding, 20_000 * MS);
    for at in 20_001..20_010 {
        holding.heard(place(1), STRANGER, at * MS);
    }
    assert_eq!(run(&mut holding, 29_000 * MS), [(20_001, place(1), Message::Announce(Form::Request))]);
    assert_eq!(role(&holding, 1), Some(Role::Announce));
    holding.heard(place(1), STRANGER, 30_001 * MS);
    assert_eq!(run(&mut holding, 30_001 * MS).len(), 1);
}

#[test]
fn a_vip_beyond_the_interfaces_prefixes_is_taken_without_asking() {
    let mut holding = holding(&[(1, Wish::Announce { mac: OURS, ask: false })]);
    assert_eq!(role(&holding, 1), Some(Role::Announce));
    assert_eq!(run(&mut holding, 0).len(), 2);
}

#[test]
fn a_new_link_layer_address_is_announced_at_once_and_loses_nothing() {
    let mut holding = holding(&[(1, ANNOUNCE)]);
    run(&mut holding, 10_000 * MS);
    let other = [2, 0, 0, 0, 0, 2];
    holding.follow(&wishes_of(&[(1, Wish::Announce { mac: other, ask: true })]), |_| false, 10_000 * MS);
    assert_eq!(holding.desired(), [(place(1), VipEntry::new(Role::Announce, other))].into());
    assert_eq!(run(&mut holding, 10_000 * MS)[0], (10_000, place(1), Message::Announce(Form::Request)));
}

#[test]
fn first_announcements_of_all_vips_go_before_any_second_one() {
    let wish = Wish::Announce { mac: OURS, ask: false };
    let mut holding = holding(&[(1, wish), (2, wish)]);
    let order: Vec<_> = holding.due(0, 3);
    let request = Message::Announce(Form::Request);
    assert_eq!(order, [(place(1), request), (place(2), request), (place(1), Message::Announce(Form::Reply))]);
}

#[derive(Clone, Debug)]
enum Op {
    Follow(Vec<(u8, Wish)>),
    Heard(u8),
    Lapse,
    Run,
}

fn op() -> impl Strategy<Value = Op> {
    let wish = prop_oneof![
        Just(ANNOUNCE),
        Just(SUPPRESS),
        Just(Wish::Announce { mac: OURS, ask: false }),
        Just(Wish::Announce { mac: STRANGER, ask: true })
    ];
    prop_oneof![
        proptest::collection::vec((0_u8..4, wish), 0..5).prop_map(Op::Follow),
        (0_u8..4).prop_map(Op::Heard),
        Just(Op::Lapse),
        Just(Op::Run),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_only_wanted_vips_are_announced_and_the_queue_matches_the_states(
        ops in proptest::collection::vec((op(), 0_u64..5_000), 0..40)
    ) {
        let mut holding = Holding::default();
        let mut wishes = BTreeMap::new();
        let mut now = 0;
        for (op, wait_ms) in ops {
            now += wait_ms * MS;
            match op {
                Op::Follow(wanted) => {
                    wishes = wishes_of(&wanted);
                    holding.follow(&wishes, |_| false, now);
                }
                Op::Heard(last) => holding.heard(place(last), STRANGER, now),
                Op::Lapse => holding.start_afresh(now),
                Op::Run => for (place, message) in holding.due(now, 100) {
                    if matches!(message, Message::Announce(_)) {
                        prop_assert_eq!(holding.desired()[&place].role(), Some(Role::Announce));
                    }
                },
            }
            let desired = holding.desired();
            prop_assert!(desired.keys().eq(wishes.keys()));
            for (place, entry) in desired {
                let is_wanted = matches!(wishes[&place], Wish::Announce { .. });
                prop_assert!(is_wanted || entry.role() == Some(Role::Suppress));
                let queued = holding.queue.iter().filter(|(_, _, queued)| *queued == place).count();
                prop_assert_eq!(queued, usize::from(is_wanted));
            }
        }
    }
}
