//! A test bed whose process is interrupted or killed leaves nothing for good.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use xtask::testbed::leftovers::remove_those_of_the_dead;

use crate::Bed;

/// Set in the process that is to be ended.
const VICTIM: &str = "LB_VICTIM";
const READY: &str = "the bed is made";

#[test]
fn an_interrupted_bed_cleans_up_before_it_ends() -> anyhow::Result<()> {
    if env::var_os(VICTIM).is_some() {
        return wait_for_the_end();
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut victim = victim("leftovers::an_interrupted_bed_cleans_up_before_it_ends")?;
        let process = victim.id();
        assert!(!traces(process)?.is_empty());
        kill(Pid::from_raw(process.cast_signed()), signal)?;
        assert_eq!(victim.wait()?.code(), Some(130));
        assert_eq!(traces(process)?, "", "after {signal}");
    }
    Ok(())
}

#[test]
fn what_a_killed_bed_leaves_is_removed_by_the_next_run() -> anyhow::Result<()> {
    if env::var_os(VICTIM).is_some() {
        return wait_for_the_end();
    }
    let mut victim = victim("leftovers::what_a_killed_bed_leaves_is_removed_by_the_next_run")?;
    let process = victim.id();
    victim.kill()?;
    victim.wait()?;
    assert!(traces(process)?.contains("lb-agent"), "the agent of a killed bed goes on");
    remove_those_of_the_dead();
    assert_eq!(traces(process)?, "");
    Ok(())
}

/// This very test once more, in a process that makes a bed and then waits.
fn victim(test: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", test, "--nocapture"]).env(VICTIM, "1");
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines().map_while(Result::ok);
    lines.find(|line| line.contains(READY)).context("no bed was made")?;
    thread::spawn(move || lines.count()); // so that its output has somewhere to go
    Ok(child)
}

fn wait_for_the_end() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let _agent = bed.agent()?;
    println!("{READY}");
    thread::sleep(Duration::from_secs(60));
    anyhow::bail!("nobody has ended this process")
}

/// Namespaces, pins, directories and processes that carry the name of a process's beds.
fn traces(process: u32) -> anyhow::Result<String> {
    let shell = format!(
        "ls -d /run/netns/lb-{process}-* /sys/fs/bpf/lb-{process}-* \"${{TMPDIR:-/tmp}}\"/lb-{process}-* 2>/dev/null; \
         ps -eo args | grep -e '[-]-config .*/lb-{process}-'"
    );
    let output = Command::new("sh").args(["-c", &shell]).output().context("run sh")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
