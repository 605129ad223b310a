//! The agents' core against simulated kernels, wire and clock: the bounds of the design hold in thousands of runs,
//! each of which follows from one number.
//!
//! `LB_SIM_RUNS=n` plays more runs, a fourth of them over each choice of address families; `LB_SIM_SEED=n` plays one and
//! tells what happens.

mod action;
mod agent;
mod bites;
mod bounds;
mod checker;
mod cluster;
mod faults;
mod kernel;
mod queue;
mod scenario;
mod wire;
mod world;

use std::thread;

use cluster::Families;
use lb_agent::holding::Rules;
use scenario::Scenario;

/// Runs without `LB_SIM_RUNS`, over all families together.
const RUNS: u64 = 500;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")))
}

/// The seeds below `runs` whose run breaks a bound, each with what it breaks.
fn violations(runs: u64, families: Families) -> Vec<(u64, checker::Violation)> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let play = |seed| world::play(&Scenario::new(seed, families), Rules::default(), false);
    let play_some = |first: u64| {
        let seeds = (first..runs).step_by(usize::try_from(threads).expect("few threads"));
        seeds.filter_map(|seed| Some((seed, play(seed).err()?))).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || play_some(first))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run panicked")).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all
}

/// Plays one run and tells what happens.
fn replay(seed: u64, families: Families) {
    let scenario = Scenario::new(seed, families);
    println!("{:#?}", scenario.cluster);
    println!("{:?}, loss {} %", scenario.view, scenario.loss_percent);
    if let Err(violation) = world::play(&scenario, Rules::default(), true) {
        panic!("seed {seed}: {violation}");
    }
}

fn check_bounds(test: &str, families: Families) {
    if let Some(seed) = number("LB_SIM_SEED") {
        return replay(seed, families);
    }
    let runs = number("LB_SIM_RUNS").unwrap_or(RUNS) / 4;
    let found = violations(runs, families);
    let told: Vec<String> = found.iter().take(20).map(|(seed, violation)| {
        format!("LB_SIM_SEED={seed} cargo test -p lb-agent --test simulation -- --nocapture {test}  # {violation}")
    }).collect();
    assert!(
        found.is_empty(),
        "{} of {runs} runs break a bound; replay one with\n{}",
        found.len(),
        told.join("\n")
    );
}

#[test]
fn the_bounds_hold_in_every_run_over_ipv4() {
    check_bounds("over_ipv4", Families::Ipv4);
}

#[test]
fn the_bounds_hold_in_every_run_over_ipv6() {
    check_bounds("over_ipv6", Families::Ipv6);
}

#[test]
fn the_bounds_hold_in_every_run_of_dual_stack_units() {
    check_bounds("of_dual_stack", Families::Dual);
}

#[test]
fn the_bounds_hold_in_every_run_of_units_of_any_family() {
    check_bounds("of_any_family", Families::Mixed);
}
