//! A node whose view may be out of date.

use super::*;

const YIELD_AFTER_MS: u64 = YIELD_AFTER_NS / MS;

impl Play {
    fn stale(mut self, is_stale: bool) -> Self {
        self.holding.set_view_stale(is_stale, self.now);
        self
    }

    /// A node that holds the unit as the best candidate of a view that has become stale.
    fn in_place_by_a_stale_view() -> Self {
        let mut play = Self::adopting(candidate(&[ME, WORSE]), true);
        play.judge(WORSE, UP);
        play.until(10 * S);
        let mut play = play.stale(true);
        assert_eq!(play.for_ns(S), [(10_000, Message::Ask(None))], "whether another holds it too");
        play
    }

    /// The same after it has yielded to a claim.
    fn yielded() -> Self {
        let mut play = Self::in_place_by_a_stale_view();
        play.hear(WORSE, Saying::Announcement);
        play.for_ns(YIELD_AFTER_NS);
        play.hear(WORSE, Saying::Answer);
        assert_eq!(play.changes(), [Change::Yielded(WORSE)]);
        play
    }
}

#[test]
fn a_holder_with_a_stale_view_yields_to_a_live_claimer_that_ranks_worse_by_that_view() {
    let mut play = Play::in_place_by_a_stale_view();
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(YIELD_AFTER_NS), [(11_000 + YIELD_AFTER_MS, Message::Ask(Some(WORSE)))]);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.hear(WORSE, Saying::Answer), None);
    assert_eq!((play.role(), play.changes()), (Role::Suppress, vec![Change::Yielded(WORSE)]));
}

#[test]
fn a_holder_with_a_stale_view_defends_against_a_claimer_that_does_not_answer() {
    let mut play = Play::in_place_by_a_stale_view();
    play.hear(WORSE, Saying::Announcement);
    let sent = play.for_ns(S);
    let asked = 11_000 + YIELD_AFTER_MS;
    assert_eq!(sent[..3], [0, 50, 100].map(|at| (asked + at, Message::Ask(Some(WORSE)))));
    assert_eq!(announces(&sent), [asked + 150, asked + 150, asked + 250, asked + 250]);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn of_two_holders_of_one_stale_view_the_better_one_goes_on() {
    let mut play = Play::in_place_by_a_stale_view();
    play.hear(WORSE, Saying::Announcement);
    play.for_ns(MS);
    play.hear(WORSE, Saying::ClaimToUs);
    assert_eq!(announces(&play.for_ns(0)), [11_001, 11_001]);
    play.for_ns(S);
    assert_eq!((play.role(), play.changes()), (Role::Announce, vec![]));
}

#[test]
fn a_holder_with_a_stale_view_asks_every_five_seconds_and_yields_to_whoever_answers() {
    let mut play = Play::in_place_by_a_stale_view();
    let asks = [15_000, 20_000].map(|at| (at, Message::Ask(None)));
    let sent = play.until(20 * S);
    assert_eq!(sent, asks);
    play.hear(WORSE, Saying::Answer);
    assert_eq!(
        play.for_ns(YIELD_AFTER_NS).last(),
        Some(&(20_000 + YIELD_AFTER_MS, Message::Ask(Some(WORSE))))
    );
    play.hear(WORSE, Saying::Answer);
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_claim_that_was_defended_before_the_view_became_stale_is_yielded_to_when_it_is_heard_again() {
    let mut play = Play::adopting(candidate(&[ME, WORSE]), true);
    play.judge(WORSE, UP);
    play.until(S);
    play.hear(WORSE, Saying::Announcement);
    play.for_ns(2 * S);
    let mut play = play.stale(true);
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(3_000, Message::Ask(Some(WORSE)))]);
    play.hear(WORSE, Saying::Answer);
    assert_eq!(play.changes(), [Change::Yielded(WORSE)]);
}

#[test]
fn a_node_with_a_stale_view_claims_nothing_from_a_live_holder() {
    let mut play = Play::new(candidate(&[ME, WORSE])).stale(true);
    play.judge(WORSE, UP);
    play.hear(WORSE, Saying::Answer);
    play.answered_until(WORSE, 60 * S);
    play.follow(candidate(&[ME]));
    play.answered_until(WORSE, 120 * S);
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_node_with_a_stale_view_follows_those_that_are_gone() {
    let mut play = Play::yielded();
    play.judge(WORSE, Liveness::Down);
    assert_eq!((play.role(), play.changes()), (Role::Announce, vec![Change::Taken(Cause::PeersGone)]));
}

#[test]
fn what_was_yielded_to_a_newer_view_comes_back_like_after_any_return_once_the_view_is_fresh() {
    let mut play = Play::yielded();
    play.answered_until(WORSE, 60 * S);
    let mut play = play.stale(false);
    play.answered_until(WORSE, 90 * S - 1);
    assert_eq!(play.changes(), []);
    play.for_ns(1);
    assert_eq!(play.changes(), [Change::Taken(Cause::Failback(WORSE))]);
}

#[test]
fn what_a_fresh_view_explains_is_claimed_a_second_after_it() {
    let mut play = Play::yielded();
    play.answered_until(WORSE, 60 * S);
    play.follow(candidate(&[ME]));
    let mut play = play.stale(false);
    play.answered_until(WORSE, 61 * S - 1);
    assert_eq!(play.changes(), []);
    play.for_ns(1);
    assert_eq!(play.changes(), [Change::Taken(Cause::Moved(WORSE))]);
}
