mod stale_view;

use std::net::Ipv4Addr;

use lb_common::maps::{CLAIMS_PER_INTERVAL, Role, VipEntry};

use super::*;

const OURS: Mac = [2, 0, 0, 0, 0, 1];
const STRANGER: Mac = [2, 0, 0, 0, 0, 9];
const IFINDEX: u32 = 2;
const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
/// This node; in most tests of the middle rank.
const ME: NodeId = 1;
const BETTER: NodeId = 0;
const WORSE: NodeId = 2;
const UP: Liveness = Liveness::Up { is_agent_seen: true };
const STALE: Liveness = Liveness::Up { is_agent_seen: false };

fn place(last: u8) -> Place {
    Place { ifindex: IFINDEX, address: Ipv4Addr::new(10, 0, 0, last).into() }
}

fn wanted(lasts: &[u8], order: &[NodeId], part: Part) -> Wanted {
    let addresses = lasts.iter().map(|&last| place(last).address).collect();
    Wanted { addresses, order: order.into(), mac: OURS, part }
}

fn candidate(order: &[NodeId]) -> Wanted {
    wanted(&[1], order, Part::Candidate { asks: true })
}

/// One unit, and the time.
struct Play {
    holding: Holding,
    now: BoottimeNs,
}

type Sent = Vec<(u64, Message)>;

impl Play {
    fn new(unit: Wanted) -> Self {
        Self::adopting(unit, false)
    }

    fn adopting(unit: Wanted, is_held: bool) -> Self {
        let mut play = Self { holding: Holding::new(ME, Rules::default()), now: 0 };
        play.holding.follow(&[(place(1), unit)].into(), Failback::After(30 * S), |_| is_held, 0);
        play
    }

    /// A node that waits behind a live predecessor which holds the unit.
    fn behind() -> Self {
        let mut play = Self::new(candidate(&[BETTER, ME, WORSE]));
        play.judge(BETTER, UP);
        play.hear(BETTER, Saying::Answer);
        assert_eq!(play.role(), Role::Suppress);
        play.holding.take_changes();
        play
    }

    /// A node that holds the unit because its predecessor is down.
    fn in_place() -> Self {
        let mut play = Self::behind();
        play.judge(BETTER, Liveness::Down);
        assert_eq!(play.role(), Role::Announce);
        play.until(10 * S);
        play.holding.take_changes();
        play
    }

    fn follow(&mut self, unit: Wanted) {
        self.holding.follow(&[(place(1), unit)].into(), Failback::After(30 * S), |_| false, self.now);
    }

    fn judge(&mut self, node: NodeId, liveness: Liveness) {
        self.holding.liveness_changed(IFINDEX, node, Some(liveness), self.now);
    }

    fn hear(&mut self, node: NodeId, saying: Saying) -> Option<Message> {
        self.holding.heard(place(1), Station::Peer(node), saying, self.now).map(|(_, message)| message)
    }

    fn hear_stranger(&mut self, saying: Saying) {
        self.holding.heard(place(1), Station::Stranger(STRANGER), saying, self.now);
    }

    /// What is sent up to and including `until`, with its time in ms.
    fn until(&mut self, until: BoottimeNs) -> Sent {
        let mut sent = Vec::new();
        loop {
            // An agent has a turn each 200 ms, whether something is due or not.
            let tick = self.now + 200 * MS;
            let at = self.holding.next_due().map_or(tick, |due| due.clamp(self.now, tick));
            let is_over = at > until;
            self.now = at.min(until);
            let due = self.holding.due(self.now, usize::MAX);
            sent.extend(due.into_iter().map(|(_, message)| (self.now / MS, message)));
            if is_over {
                break;
            }
        }
        sent
    }

    fn for_ns(&mut self, ns: u64) -> Sent {
        self.until(self.now + ns)
    }

    /// Until then, with each ask of the audit answered by a peer.
    fn answered_until(&mut self, node: NodeId, until: BoottimeNs) {
        while let Some(at) = self.holding.next_due().filter(|&at| at <= until) {
            if !self.until(at).is_empty() {
                self.hear(node, Saying::Answer);
            }
        }
        self.now = until;
    }

    fn role(&self) -> Role {
        self.holding.desired()[&place(1)].role().expect("a role")
    }

    fn changes(&mut self) -> Vec<Change> {
        self.holding.take_changes().into_iter().map(|(_, change)| change).collect()
    }
}

fn announces(sent: &Sent) -> Vec<u64> {
    sent.iter().filter(|(_, message)| matches!(message, Message::Announce(_))).map(|&(at, _)| at).collect()
}

#[test]
fn a_new_vip_is_asked_for_three_times_while_suppressed_then_announced() {
    let mut play = Play::new(candidate(&[ME]));
    assert_eq!(play.until(149 * MS), [0, 50, 100].map(|at| (at, Message::Ask(None))));
    assert_eq!(play.role(), Role::Suppress);
    let forms = [Form::Request, Form::Reply].map(|form| (150, Message::Announce(form)));
    assert_eq!(play.until(150 * MS), forms);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), [Change::Taken(Cause::Unanswered)]);
}

#[test]
fn a_vip_outside_the_prefixes_is_announced_without_being_asked_for() {
    let mut play = Play::new(wanted(&[1], &[ME], Part::Candidate { asks: false }));
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(announces(&play.until(0)), [0, 0]);
}

#[test]
fn the_first_in_line_waits_for_the_verdict_about_each_predecessor() {
    let mut play = Play::new(candidate(&[BETTER, ME]));
    play.until(S);
    assert_eq!(play.role(), Role::Suppress, "nothing is known of the predecessor");
    play.judge(BETTER, Liveness::Down);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn predecessors_that_go_down_are_followed_at_once_without_an_ask() {
    let mut play = Play::behind();
    play.judge(BETTER, Liveness::Down);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), [Change::Taken(Cause::PeersGone)]);
    assert_eq!(announces(&play.until(0)), [0, 0]);
}

#[test]
fn a_predecessor_that_withdraws_is_followed_at_once() {
    let mut play = Play::behind();
    play.judge(BETTER, Liveness::AdminDown);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn of_two_predecessors_both_must_be_gone() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.until(S);
    play.judge(BETTER, Liveness::Down);
    assert_eq!(play.role(), Role::Suppress, "nothing is known of the second");
    play.judge(WORSE, UP);
    assert_eq!(play.role(), Role::Suppress);
    play.judge(WORSE, Liveness::Down);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_predecessor_without_an_agent_counts_only_for_what_it_was_heard_to_hold() {
    let mut play = Play::behind();
    play.judge(BETTER, STALE);
    assert_eq!(play.role(), Role::Suppress, "it was heard");
    let mut play = Play::new(candidate(&[BETTER, ME]));
    play.judge(BETTER, UP);
    play.until(S);
    play.judge(BETTER, STALE);
    assert_eq!(play.role(), Role::Suppress, "it is asked first");
    play.for_ns(150 * MS);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_worse_holder_is_left_alone_until_the_time_of_failback_then_claimed_from() {
    let mut play = Play::new(candidate(&[ME, WORSE]));
    play.until(10 * MS);
    play.hear(WORSE, Saying::Answer);
    play.judge(WORSE, UP);
    play.answered_until(WORSE, 30 * S - 1);
    assert_eq!(play.role(), Role::Suppress);
    let sent = play.until(30 * S);
    assert_eq!(announces(&sent), [30_000, 30_000]);
    assert_eq!(play.changes(), [Change::Taken(Cause::Failback(WORSE))]);
}

#[test]
fn a_worse_holder_that_dies_is_followed_at_once() {
    let mut play = Play::new(candidate(&[ME, WORSE]));
    play.until(10 * MS);
    play.hear(WORSE, Saying::Answer);
    play.judge(WORSE, UP);
    play.until(S);
    play.judge(WORSE, Liveness::Down);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn without_failback_the_holder_stays_for_as_long_as_it_lives() {
    let mut play = Play::new(candidate(&[ME, WORSE]));
    play.hear(WORSE, Saying::Answer);
    play.judge(WORSE, UP);
    let unit = candidate(&[ME, WORSE]);
    play.holding.follow(&[(place(1), unit)].into(), Failback::Never, |_| false, 0);
    play.answered_until(WORSE, 600 * S);
    assert_eq!(play.role(), Role::Suppress);
    play.judge(WORSE, Liveness::Down);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_holder_that_is_no_candidate_any_more_is_claimed_from_at_once() {
    let mut play = Play::behind();
    play.follow(candidate(&[ME, WORSE]));
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), [Change::Taken(Cause::Moved(BETTER))]);
}

#[test]
fn a_claimer_gives_way_to_a_holder_that_defends_and_claims_for_good_ten_seconds_later() {
    let mut play = Play::behind();
    play.judge(BETTER, UP);
    play.follow(candidate(&[ME, WORSE]));
    play.for_ns(S);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(1_000, Message::Ask(Some(BETTER)))]);
    play.hear(BETTER, Saying::Answer);
    assert_eq!(play.role(), Role::Suppress);
    play.answered_until(BETTER, 11 * S - 1);
    assert_eq!(play.role(), Role::Suppress);
    play.for_ns(1);
    assert_eq!(play.role(), Role::Announce);
    play.hear(BETTER, Saying::Announcement);
    play.for_ns(5 * S);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_holder_that_its_view_excludes_answers_until_it_hears_a_claim() {
    let mut play = Play::in_place();
    play.follow(wanted(&[1], &[WORSE], Part::Leaver));
    play.for_ns(500 * MS);
    assert_eq!(play.role(), Role::Announce);
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_holder_that_its_view_excludes_does_not_count_a_claim_of_one_that_is_gone_since() {
    let mut play = Play::in_place();
    play.hear(WORSE, Saying::Announcement);
    play.judge(WORSE, Liveness::Down);
    play.follow(wanted(&[1], &[WORSE], Part::Leaver));
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_holder_that_its_view_excludes_does_not_count_a_claim_that_has_been_given_up_since() {
    let mut play = Play::in_place();
    play.hear(WORSE, Saying::Announcement);
    play.hear(WORSE, Saying::ClaimToUs);
    play.follow(wanted(&[1], &[WORSE], Part::Leaver));
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_node_that_withdraws_and_still_answers_keeps_nobody_from_taking() {
    let mut play = Play::new(candidate(&[BETTER, ME]));
    play.judge(BETTER, Liveness::AdminDown);
    for _ in 0..3 {
        play.for_ns(50 * MS);
        play.hear(BETTER, Saying::Answer);
    }
    play.for_ns(50 * MS);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_holder_that_its_view_excludes_answers_for_a_second_at_most() {
    let mut play = Play::in_place();
    play.follow(wanted(&[1], &[WORSE], Part::Leaver));
    play.for_ns(S - 1);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.for_ns(1), []);
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_holder_that_its_view_keeps_defends_after_a_second_and_is_quiet_until_then() {
    let mut play = Play::in_place();
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(S - 1), []);
    assert_eq!(announces(&play.for_ns(1)).len(), 2);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_holder_that_hears_the_same_claim_again_later_takes_its_own_view_for_the_older() {
    let mut play = Play::in_place();
    play.judge(WORSE, UP);
    play.hear(WORSE, Saying::Announcement);
    play.for_ns(11 * S);
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(21_000, Message::Ask(Some(WORSE)))]);
    play.hear(WORSE, Saying::Answer);
    assert_eq!(play.role(), Role::Suppress);
    play.answered_until(WORSE, 100 * S);
    assert_eq!(play.role(), Role::Suppress, "no failback before the view changes");
}

#[test]
fn a_claim_of_long_ago_is_not_heard_anew_when_the_view_changes() {
    let mut play = Play::in_place();
    play.judge(WORSE, UP);
    play.hear(WORSE, Saying::Announcement);
    play.for_ns(11 * S);
    play.follow(candidate(&[ME, WORSE]));
    assert_eq!(play.for_ns(0), []);
    play.follow(wanted(&[1], &[WORSE], Part::Leaver));
    assert_eq!(play.role(), Role::Announce, "nobody has claimed it lately");
}

#[test]
fn a_holder_yields_to_a_better_rank_that_claims_and_answers() {
    let mut play = Play::in_place();
    play.judge(BETTER, UP);
    play.for_ns(S);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.role(), Role::Announce, "not before it answers");
    assert_eq!(play.for_ns(0), [(11_000, Message::Ask(Some(BETTER)))]);
    assert_eq!(play.hear(BETTER, Saying::Answer), None);
    assert_eq!(play.role(), Role::Suppress);
    assert_eq!(play.changes(), [Change::Yielded(BETTER)]);
}

#[test]
fn a_better_rank_that_claims_and_does_not_answer_is_not_yielded_to() {
    let mut play = Play::in_place();
    play.judge(BETTER, UP);
    play.for_ns(S);
    play.hear(BETTER, Saying::Announcement);
    let sent = play.for_ns(200 * MS);
    assert_eq!(announces(&sent)[..2], [11_150, 11_150]);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_claim_of_a_better_rank_that_is_being_asked_since_it_came_up_is_asked_about_at_once() {
    let mut play = Play::in_place();
    play.judge(BETTER, UP);
    play.for_ns(10 * MS);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(10_010, Message::Ask(Some(BETTER)))]);
}

#[test]
fn a_holder_announces_nothing_while_it_verifies_a_claim() {
    let mut play = Play::behind();
    play.judge(BETTER, Liveness::Down);
    play.for_ns(1_050 * MS);
    play.judge(BETTER, UP);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(announces(&play.for_ns(149 * MS)), [] as [u64; 0], "one was due at 1100 ms");
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_claimer_takes_an_announcement_that_crosses_its_claim_for_no_defence() {
    let mut play = Play::behind();
    play.follow(candidate(&[ME, WORSE]));
    play.for_ns(149 * MS);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.for_ns(MS), []);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(150, Message::Ask(Some(BETTER)))]);
    play.hear(BETTER, Saying::Answer);
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_claim_that_is_being_verified_when_the_node_is_drained_is_one() {
    let mut play = Play::behind();
    play.follow(candidate(&[ME, WORSE]));
    play.for_ns(S);
    play.hear(BETTER, Saying::Announcement);
    assert_eq!(play.role(), Role::Announce, "a defence, until the next turn shows the drain");
    play.follow(wanted(&[1], &[ME, WORSE], Part::Leaver));
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn a_predecessor_that_comes_up_is_asked_and_told_if_it_holds_too() {
    let mut play = Play::in_place();
    play.judge(BETTER, UP);
    assert_eq!(play.for_ns(0), [(10_000, Message::Ask(Some(BETTER)))]);
    assert_eq!(play.hear(BETTER, Saying::Answer), Some(Message::Claim(BETTER)));
    assert_eq!(play.role(), Role::Suppress);
    assert_eq!(announces(&play.for_ns(S)), [] as [u64; 0]);
}

#[test]
fn a_predecessor_that_comes_up_without_holding_changes_nothing() {
    let mut play = Play::in_place();
    play.judge(BETTER, UP);
    let asks = [0, 50, 100].map(|at| (10_000 + at, Message::Ask(Some(BETTER))));
    assert_eq!(play.for_ns(S), asks);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), []);
}

#[test]
fn a_holder_that_is_claimed_from_by_unicast_announces_at_once() {
    let mut play = Play::adopting(candidate(&[ME, WORSE]), true);
    play.hear(WORSE, Saying::ClaimToUs);
    assert_eq!(announces(&play.for_ns(0)), [0, 0]);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn the_next_in_line_asks_every_two_seconds_and_takes_what_nobody_answers_for() {
    let mut play = Play::behind();
    assert_eq!(play.until(2 * S), [(2_000, Message::Ask(Some(BETTER)))]);
    play.hear(BETTER, Saying::Answer);
    let sent = play.until(4 * S + 749 * MS);
    let everyone = Message::Ask(None);
    assert_eq!(sent, [(4_000, Message::Ask(Some(BETTER))), (4_250, everyone), (4_500, everyone)]);
    assert_eq!(play.role(), Role::Suppress);
    play.until(4 * S + 750 * MS);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), [Change::Taken(Cause::Silent(BETTER))]);
}

#[test]
fn an_announcement_does_not_pass_the_audit() {
    let mut play = Play::behind();
    for _ in 0..11 {
        play.for_ns(250 * MS);
        play.hear(BETTER, Saying::Announcement);
    }
    assert_eq!(play.role(), Role::Announce, "its agent announces, its kernel does not answer");
}

#[test]
fn a_new_holder_is_asked_before_it_counts_as_silent() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.hear(BETTER, Saying::Answer);
    play.until(2 * S + 740 * MS);
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(0), [(2_740, Message::Ask(Some(WORSE)))]);
    play.hear(WORSE, Saying::Answer);
    play.for_ns(S);
    assert_eq!((play.role(), play.holding.holder(place(1))), (Role::Suppress, Some(WORSE)));
}

#[test]
fn asks_of_a_new_holder_that_is_found_to_be_down_do_not_count_against_the_one_before() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.hear(BETTER, Saying::Answer);
    play.until(S);
    play.hear(WORSE, Saying::Announcement);
    assert_eq!(play.for_ns(130 * MS), [(1_000, Message::Ask(Some(WORSE)))]);
    play.judge(WORSE, Liveness::Down);
    let asks = [1_250, 1_500, 1_750].map(|at| (at, Message::Ask(None)));
    assert_eq!(play.until(2 * S - 1), asks);
    play.hear(BETTER, Saying::Answer);
    play.for_ns(S);
    assert_eq!((play.role(), play.holding.holder(place(1))), (Role::Suppress, Some(BETTER)));
}

#[test]
fn a_holder_that_was_down_when_it_ceased_to_be_probed_keeps_nobody_from_asking() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.hear(BETTER, Saying::Answer);
    play.judge(BETTER, Liveness::Down);
    play.judge(WORSE, UP);
    play.holding.liveness_changed(IFINDEX, BETTER, None, 0);
    let asks = [2_000, 2_250, 2_500].map(|at| (at, Message::Ask(None)));
    assert_eq!(play.until(2_750 * MS - 1), asks);
    play.for_ns(1);
    // Of those who count as gone, one is probed again first.
    play.judge(BETTER, Liveness::Down);
    assert_eq!(play.changes(), [Change::Taken(Cause::Silent(WORSE))]);
}

#[test]
fn who_is_not_next_in_line_does_not_ask() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.judge(WORSE, UP);
    play.hear(BETTER, Saying::Answer);
    assert_eq!(play.until(20 * S), []);
}

#[test]
fn a_live_candidate_before_the_holder_keeps_nobody_behind_it_from_asking() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, UP);
    play.hear(WORSE, Saying::Answer);
    play.answered_until(WORSE, 10 * S);
    assert_eq!(play.role(), Role::Suppress);
    play.for_ns(4 * S + 900 * MS);
    assert_eq!(play.role(), Role::Suppress, "the first candidate has had no time to ask");
    play.for_ns(200 * MS);
    assert_eq!(
        play.role(),
        Role::Announce,
        "the first candidate believes that it holds the unit, and asks for nothing"
    );
}

#[test]
fn a_holder_that_is_no_candidate_is_asked_by_the_second_candidate_too() {
    let mut play = Play::new(candidate(&[BETTER, ME]));
    play.judge(BETTER, UP);
    play.judge(WORSE, UP);
    play.hear(WORSE, Saying::Answer);
    play.answered_until(WORSE, 10 * S);
    assert_eq!(play.role(), Role::Suppress);
    play.for_ns(4 * S + 900 * MS);
    assert_eq!(play.role(), Role::Suppress, "the first candidate has had no time to ask");
    play.for_ns(200 * MS);
    assert_eq!(
        play.role(),
        Role::Announce,
        "the first candidate believes that it holds the unit, and asks for nothing"
    );
}

#[test]
fn a_predecessor_that_answers_asks_counts_although_its_probes_fail() {
    let mut play = Play::in_place();
    play.hear(BETTER, Saying::Announcement);
    play.for_ns(0);
    play.hear(BETTER, Saying::Answer);
    assert_eq!(play.role(), Role::Suppress, "it is down by S-BFD, and answers");
    play.for_ns(S);
    assert_eq!(play.role(), Role::Suppress);
    play.for_ns(2 * S);
    assert_eq!(play.role(), Role::Announce, "it has fallen silent");
}

#[test]
fn a_predecessor_that_answered_before_its_probes_did_is_followed_at_once_when_it_goes_down_again() {
    let mut play = Play::in_place();
    play.hear(BETTER, Saying::Announcement);
    play.for_ns(0);
    play.hear(BETTER, Saying::Answer);
    play.judge(BETTER, UP);
    assert_eq!(play.role(), Role::Suppress);
    play.for_ns(S);
    play.judge(BETTER, Liveness::Down);
    assert_eq!(play.role(), Role::Announce, "an answer from before it was up says nothing of now");
}

#[test]
fn a_vip_that_a_stranger_answers_for_is_left_alone_until_it_has_been_silent_for_three_asks() {
    let mut play = Play::new(candidate(&[ME]));
    play.until(10 * MS);
    play.hear_stranger(Saying::Answer);
    assert_eq!(play.holding.desired()[&place(1)], VipEntry::new(Role::Contested, STRANGER));
    assert_eq!(play.changes(), [Change::Contested(STRANGER)]);
    let asks = |at: &[u64]| at.iter().map(|&at| (at, Message::Ask(None))).collect::<Sent>();
    assert_eq!(play.until(2_260 * MS), asks(&[2_010, 2_260]), "asked again soon: it may be gone");
    play.until(2_300 * MS);
    play.hear_stranger(Saying::Answer);
    assert_eq!(play.changes(), [], "the same stranger is no news");
    assert_eq!(play.until(4_300 * MS), asks(&[4_300]), "it has answered: there is no hurry");
    play.hear_stranger(Saying::Answer);
    assert_eq!(play.until(7_049 * MS), asks(&[6_300, 6_550, 6_800]));
    assert_eq!(play.role(), Role::Contested);
    assert_eq!(play.until(7_199 * MS), asks(&[7_050, 7_100, 7_150]), "as a newcomer");
    assert_eq!(play.role(), Role::Suppress);
    play.until(7_200 * MS);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_strangers_claim_between_two_asks_does_not_put_off_the_next_one() {
    let mut play = Play::new(candidate(&[ME]));
    play.until(10 * MS);
    play.hear_stranger(Saying::Answer);
    play.until(1_500 * MS);
    play.hear_stranger(Saying::Announcement);
    assert_eq!(play.until(2_100 * MS), [(2_010, Message::Ask(None))]);
}

#[test]
fn a_strangers_claim_is_told_and_answered_by_one_announcement_each_ten_seconds() {
    let mut play = Play::adopting(candidate(&[ME]), true);
    let mut sent = Vec::new();
    for _ in 0..150 {
        play.hear_stranger(Saying::Announcement);
        sent.extend(play.for_ns(100 * MS));
    }
    assert_eq!(announces(&sent), [0, 10_000]);
    assert_eq!(play.changes(), [Change::Conflict(STRANGER); 2]);
    assert_eq!(play.role(), Role::Announce);
}

#[test]
fn a_strangers_claim_on_a_vip_just_gained_does_not_cut_its_announcements_short() {
    let mut play = Play::new(candidate(&[ME]));
    assert_eq!(announces(&play.until(200 * MS)), [150, 150]);
    play.hear_stranger(Saying::Announcement);
    assert_eq!(announces(&play.until(10 * S)), [200, 200, 1_200, 2_300, 3_400, 4_500, 5_600]);
}

#[test]
fn a_holders_silence_counts_only_once_no_crowd_of_claims_can_have_drowned_its_answer() {
    let mut play = Play::behind();
    while play.now < 20 * S {
        for _ in 0..CLAIMS_PER_INTERVAL {
            play.hear_stranger(Saying::Answer);
        }
        play.for_ns(100 * MS);
    }
    assert_eq!((play.role(), play.changes()), (Role::Suppress, vec![]), "as long as the crowd is there");
    play.hear(BETTER, Saying::Answer);
    play.for_ns(4 * S);
    assert_eq!((play.role(), play.changes()), (Role::Announce, vec![Change::Taken(Cause::Silent(BETTER))]));
}

#[test]
fn a_vip_held_under_a_living_lease_is_neither_asked_for_nor_announced_before_its_refresh() {
    let mut play = Play::adopting(candidate(&[ME]), true);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.until(60 * S - 1), []);
    assert_eq!(play.until(60 * S), [(60_000, Message::Announce(Form::Request))]);
    assert_eq!(play.changes(), []);
}

#[test]
fn a_lapsed_lease_is_a_fresh_start() {
    let mut play = Play::in_place();
    play.holding.start_afresh(play.now);
    assert_eq!(play.role(), Role::Suppress);
    assert_eq!(play.for_ns(0), [(10_000, Message::Ask(None))]);
}

#[test]
fn a_node_that_hears_no_peer_announces_at_first_and_then_no_more() {
    let mut play = Play::behind();
    play.judge(BETTER, Liveness::Down);
    assert_eq!(announces(&play.until(300 * S)), [0, 0, 100, 100]);
}

#[test]
fn another_link_layer_address_is_announced() {
    let mut play = Play::adopting(candidate(&[ME]), true);
    play.follow(Wanted { mac: [2, 0, 0, 0, 0, 8], ..candidate(&[ME]) });
    assert_eq!(announces(&play.for_ns(0)), [0, 0]);
}

#[test]
fn the_vips_of_a_unit_are_held_together() {
    let mut play = Play::new(wanted(&[1, 2], &[ME], Part::Candidate { asks: true }));
    assert_eq!(play.until(150 * MS).len(), 2 * (3 + 2));
    let roles: Vec<_> = play.holding.desired().into_values().map(|entry| entry.role()).collect();
    assert_eq!(roles, [Some(Role::Announce); 2]);
    // What is said of the second VIP concerns the unit.
    play.holding.heard(place(2), Station::Peer(WORSE), Saying::ClaimToUs, play.now);
    assert_eq!(announces(&play.for_ns(0)).len(), 4);
}

#[test]
fn a_vip_that_is_not_wanted_any_more_is_gone_at_once() {
    let mut play = Play::in_place();
    play.holding.follow(&BTreeMap::new(), Failback::Never, |_| false, play.now);
    assert_eq!(play.holding.desired(), BTreeMap::new());
    assert_eq!(play.holding.next_due(), None);
}

#[test]
fn two_peers_that_answer_the_same_ask_are_told() {
    let mut play = Play::new(candidate(&[ME, BETTER, WORSE]));
    play.hear(BETTER, Saying::Answer);
    play.hear(WORSE, Saying::Answer);
    play.hear(BETTER, Saying::Answer);
    assert_eq!(play.changes(), [Change::SplitSegment(BETTER, WORSE)]);
}

#[test]
fn a_holder_watches_all_predecessors_and_a_waiting_node_one_and_the_holder() {
    let needs = |play: &Play| -> Vec<(Vec<NodeId>, bool, Option<NodeId>)> {
        let needs = play.holding.needs(IFINDEX);
        needs.map(|need| (need.predecessors.to_vec(), need.watch_all, need.also)).collect()
    };
    assert_eq!(needs(&Play::in_place()), [(vec![BETTER], true, None)]);
    assert_eq!(needs(&Play::behind()), [(vec![BETTER], false, None)]);
    assert_eq!(needs(&Play::new(candidate(&[ME]))), []);
}

#[test]
fn first_announcements_of_all_vips_go_before_any_second_one() {
    let mut holding = Holding::new(ME, Rules::default());
    let units: BTreeMap<Place, Wanted> =
        (1..=5).map(|last| (place(last), wanted(&[last], &[ME], Part::Candidate { asks: false }))).collect();
    holding.follow(&units, Failback::Never, |_| false, 0);
    let forms: Vec<Form> = holding
        .due(0, usize::MAX)
        .into_iter()
        .filter_map(|(_, message)| match message {
            Message::Announce(form) => Some(form),
            _ => None,
        })
        .collect();
    assert_eq!(forms, [[Form::Request; 5], [Form::Reply; 5]].concat());
}

#[test]
fn a_holder_that_was_away_asks_whether_it_has_been_followed() {
    let mut play = Play::in_place();
    play.now += S;
    assert_eq!(play.for_ns(0), [(11_000, Message::Ask(None))]);
    assert_eq!(play.hear(BETTER, Saying::Answer), Some(Message::Claim(BETTER)));
    assert_eq!(play.role(), Role::Suppress);
}

#[test]
fn what_is_given_back_by_the_one_that_it_was_given_to_is_taken() {
    let mut play = Play::behind();
    play.hear(BETTER, Saying::ClaimToUs);
    assert_eq!(play.role(), Role::Announce);
    assert_eq!(play.changes(), [Change::Taken(Cause::GivenBack(BETTER))]);
}

#[test]
fn predecessors_that_come_up_together_are_asked_together() {
    let mut play = Play::new(candidate(&[BETTER, WORSE, ME]));
    play.judge(BETTER, Liveness::Down);
    play.judge(WORSE, Liveness::Down);
    play.until(10 * S);
    play.judge(BETTER, UP);
    play.for_ns(MS);
    play.judge(WORSE, UP);
    assert_eq!(play.for_ns(0), [(10_001, Message::Ask(None))]);
    assert_eq!(play.hear(BETTER, Saying::Answer), Some(Message::Claim(BETTER)));
}
