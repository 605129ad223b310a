//! What a look costs.

use nix::time::{ClockId, clock_gettime};

use super::*;

const SERVICES: u32 = 10_000;

/// What this thread has taken of a CPU: others may run on this machine.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into()
}

fn vip(number: u32) -> IpAddr {
    (0x0a01_0000 + number).to_be_bytes().into()
}

fn unit(address: IpAddr) -> (Place, Arc<UnitReport>) {
    let unit = UnitReport { vips: [address].into(), stance: Stance::Held, history: History::default() };
    (Place { ifindex: 2, address }, Arc::new(unit))
}

/// One of very many Services has another VIP each time.
#[test]
fn a_look_at_one_change_among_very_many_takes_about_a_millisecond() {
    let mut play = Play::new(true);
    play.index.put("pool", pool(&[("10.1.0.0", "10.1.255.255")]));
    for number in 0..SERVICES {
        let service = service(&[&vip(number).to_string()]);
        play.index.apply(named(&format!("default/s{number}")), service);
        let slice = endpoints(&format!("default/s{number}"), &["n2"]);
        play.index.apply(named(&format!("default/s{number}-1")), slice);
    }
    play.index.settle(0);
    Arc::make_mut(&mut play.report).units = Arc::new((0..SERVICES).map(|number| unit(vip(number))).collect());
    let look = |play: &mut Play, most: usize| {
        let selection = play.selection();
        let begun = cpu_time();
        let sight = Sight { selection: &selection, report: &play.report, state: play.state.as_ref() };
        let writes = play.teller.writes(sight, play.now, &Time(Timestamp::UNIX_EPOCH), most);
        (cpu_time() - begun, writes)
    };
    let (first, writes) = look(&mut play, 64);
    assert_eq!(writes.len(), 64);
    let (portion, writes) = look(&mut play, usize::MAX);
    assert_eq!(writes.len(), 10_001);
    for write in &writes {
        play.wrote(write, &Outcome::Done);
        play.take(write);
    }
    play.teller.take(Change::Listed(play.statuses.clone()));
    let (shown, events) = look(&mut play, usize::MAX);
    assert_eq!(events.len(), 10_000);
    events.iter().for_each(|event| play.wrote(event, &Outcome::Done));
    let mut rounds: Vec<[Duration; 2]> = Vec::new();
    for round in 0..20 {
        play.index.put("default/s5000", service(&[&vip(SERVICES + round).to_string()]));
        let units = Arc::make_mut(&mut Arc::make_mut(&mut play.report).units);
        let before = if round == 0 { vip(5_000) } else { vip(SERVICES + round - 1) };
        units.remove(&Place { ifindex: 2, address: before });
        units.extend([unit(vip(SERVICES + round))]);
        let (one, writes) = look(&mut play, 64);
        assert_eq!(writes, [], "a Service may have another VIP without another status");
        rounds.push([one, look(&mut play, 64).0]);
    }
    let median = |part: usize| {
        let mut all: Vec<Duration> = rounds.iter().map(|round| round[part]).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let [one, none] = [0, 1].map(median);
    println!("at first: {first:?}, all picked: {portion:?}, all shown: {shown:?}");
    println!("one changed: {one:?}, none changed: {none:?}");
    // Unoptimised, it takes ten times as long.
    let most = Duration::from_millis(if cfg!(debug_assertions) { 30 } else { 2 });
    assert!(one < most && none < most, "{rounds:?}");
}
