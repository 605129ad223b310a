use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const KEY: SessionKey =
    SessionKey { ifindex: 2, peer: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)) };
const TARGET: Target =
    Target { local: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), your_discriminator: 77 };
const UP: Liveness = Liveness::Up { is_agent_seen: true };

fn initiator(seed: u64) -> Initiator {
    let mut initiator = Initiator::new(Timing::default(), seed);
    initiator.set_sessions(&[(KEY, TARGET)].into(), 0);
    initiator
}

fn reflected(mut packet: Control, state: State, diag: Diag) -> Vec<u8> {
    packet.reflect(state, diag);
    packet.as_bytes().to_vec()
}

fn answer(initiator: &mut Initiator, probe: &Probe, state: State, diag: Diag) {
    initiator.received(probe.key, 255, &reflected(probe.packet, state, diag));
}

#[test]
fn the_first_answer_makes_a_peer_up_and_each_state_is_told_once() {
    let mut initiator = initiator(1);
    let probe = initiator.due(0)[0];
    assert_eq!(initiator.liveness(KEY), None);
    answer(&mut initiator, &probe, State::Up, Diag::None);
    answer(&mut initiator, &probe, State::Up, Diag::None);
    assert_eq!(initiator.take_changes(), [(KEY, UP)]);
    answer(&mut initiator, &probe, State::Up, Diag::ControlDetectionTimeExpired);
    answer(&mut initiator, &probe, State::AdminDown, Diag::AdministrativelyDown);
    let changes = [(KEY, Liveness::Up { is_agent_seen: false }), (KEY, Liveness::AdminDown)];
    assert_eq!(initiator.take_changes(), changes);
}

#[test]
fn what_is_no_answer_is_refused_by_reason() {
    let mut initiator = initiator(1);
    let probe = initiator.due(0)[0];
    let good = reflected(probe.packet, State::Up, Diag::None);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let elsewhere = SessionKey { ifindex: 3, ..KEY };
    initiator.received(elsewhere, 255, &good);
    initiator.received(KEY, 254, &good);
    for len in 0..good.len() {
        initiator.received(KEY, 255, &good[..len]);
    }
    initiator.received(KEY, 255, &with(0, 0x40)); // version
    initiator.received(KEY, 255, &with(3, 48)); // length
    initiator.received(KEY, 255, probe.packet.as_bytes());
    initiator.received(KEY, 255, &with(7, 78)); // the peer's discriminator
    initiator.received(KEY, 255, &with(11, good[11] ^ 1)); // ours
    initiator.received(KEY, 255, &with(1, 0x40)); // Down
    assert_eq!(initiator.take_changes(), []);
    let expected = Refusals {
        no_session: 1,
        off_link: 1,
        malformed: 24 + 2,
        not_reflected: 1,
        discriminator: 2,
        state: 1,
    };
    assert_eq!(initiator.refusals(), expected);
    initiator.received(KEY, 255, &good);
    assert_eq!(initiator.take_changes(), [(KEY, UP)]);
}

#[test]
fn sessions_that_stay_are_not_touched_and_a_changed_target_begins_anew() {
    let mut initiator = initiator(1);
    let probe = initiator.due(0)[0];
    answer(&mut initiator, &probe, State::Up, Diag::None);
    let due = initiator.next_due();
    let other = SessionKey { ifindex: 3, ..KEY };
    initiator.set_sessions(&[(KEY, TARGET), (other, TARGET)].into(), MS);
    assert_eq!(initiator.liveness(KEY), Some(UP));
    assert_eq!(initiator.due(MS).iter().map(|probe| probe.key).collect::<Vec<_>>(), [other]);
    initiator.set_sessions(&[(KEY, TARGET)].into(), 2 * MS);
    assert_eq!(initiator.next_due(), due);
    initiator.set_sessions(&[(KEY, Target { your_discriminator: 78, ..TARGET })].into(), 3 * MS);
    assert_eq!(initiator.liveness(KEY), None);
    answer(&mut initiator, &probe, State::Up, Diag::None);
    assert_eq!(initiator.refusals().discriminator, 1, "an answer to the session before");
    initiator.set_sessions(&BTreeMap::new(), 4 * MS);
    assert_eq!((initiator.next_due(), initiator.liveness(KEY)), (None, None));
}

/// Runs the initiator with delays of its own, against a peer that answers until it dies. Says when Down is told.
fn run(seed: u64, delays_ms: &[u64], dies_at: u64, until: u64) -> Option<u64> {
    let (mut initiator, mut inbox) = (initiator(seed), Vec::new());
    let mut delays = delays_ms.iter().cycle();
    let mut now = 0;
    while now <= until {
        for probe in inbox.drain(..) {
            answer(&mut initiator, &probe, State::Up, Diag::None);
        }
        let probes = initiator.due(now);
        if initiator.take_changes().iter().any(|&(_, liveness)| liveness == Liveness::Down) {
            return Some(now);
        }
        if now < dies_at {
            inbox.extend(probes);
        }
        let delay = delays.next().copied().unwrap_or(0) * MS;
        now = initiator.next_due().expect("a session").max(now) + delay;
    }
    None
}

proptest! {
    #[test]
    fn a_peer_that_answers_is_never_down_however_late_the_observer_is(
        seed: u64,
        delays_ms in prop::collection::vec(prop_oneof![Just(0_u64), 0..2_000_u64], 1..20),
    ) {
        prop_assert_eq!(run(seed, &delays_ms, u64::MAX, 60_000 * MS), None);
    }

    #[test]
    fn a_dead_peer_is_down_after_three_probes_and_no_sooner(seed: u64, dies_at_ms in 200..1_000_u64) {
        let dies_at = dies_at_ms * MS;
        let down_at = run(seed, &[0], dies_at, 5_000 * MS).expect("down");
        let took_ms = (down_at - dies_at) / MS;
        prop_assert!((125..=200).contains(&took_ms), "{took_ms} ms");
    }

    #[test]
    fn the_verdict_comes_only_when_the_last_probe_has_had_its_full_interval(seed: u64) {
        let mut initiator = initiator(seed);
        let mut sent = Vec::new();
        while initiator.liveness(KEY).is_none() {
            let now = initiator.next_due().expect("a session");
            initiator.due(now);
            sent.push(now);
        }
        let [first, second, third, verdict] = sent[..] else { panic!("{sent:?}") };
        for gap in [second - first, third - second] {
            prop_assert!((37_500_000..=50_000_000).contains(&gap));
        }
        prop_assert_eq!(verdict - third, 50 * MS);
    }
}
