//! Requests by ARP, or solicitations by NDP, as fast as one CPU can send them.

use std::{
    io::IoSlice,
    net::IpAddr,
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lb_common::wire::{arp, ethernet::MIN_FRAME_LEN, icmpv6::ndp};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::socket::{LinkAddr, MsgFlags, MultiHeaders, sendmmsg},
    unistd::Pid,
};

use super::{packet::PacketSocket, segment::Host};

/// Frames that are built before; the rest repeats them.
const FRAMES: usize = 10_000;
/// Frames that one system call sends.
const BATCH: usize = 50;
/// How long answers may be on their way when the last request is out.
const GRACE: Duration = Duration::from_millis(200);

/// What became of a flood.
#[derive(Clone, Copy, Debug)]
pub struct Flooded {
    /// Requests sent.
    pub requests: u64,
    /// Frames that came back.
    pub answers: u64,
    /// Frames that a CPU of this machine had no room for meanwhile.
    pub dropped: u64,
    /// From the first request to the last answer, or to the last request where none is expected.
    pub elapsed: Duration,
}

/// Sends `requests` requests to everyone, or to the target's group, from `client`, for `targets` in turn, from one CPU. On veth the receiving host,
/// and the way back, run on that CPU too, within the sender's system call: there is no queue in which time could hide.
///
/// # Errors
/// When the client's interface cannot be opened or takes no frames.
pub fn flood(client: &Host, targets: &[IpAddr], requests: u64, is_answered: bool) -> anyhow::Result<Flooded> {
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(|at| request(client, targets[at % targets.len()])).collect();
    let socket = PacketSocket::open_deaf(client)?;
    client.netns.run(|| {
        pin_to_last_cpu()?;
        let (received_before, dropped_before) = (received()?, dropped()?);
        let begun = Instant::now();
        send(&socket, &frames, requests)?;
        let sent = Instant::now();
        let mut answers = received()? - received_before;
        while is_answered && answers < requests && sent.elapsed() < GRACE {
            thread::sleep(Duration::from_micros(50));
            answers = received()? - received_before;
        }
        let end = if is_answered { Instant::now() } else { sent };
        Ok(Flooded { requests, answers, dropped: dropped()? - dropped_before, elapsed: end - begun })
    })?
}

/// What asks for an address, as long as a frame from a real wire is.
fn request(client: &Host, target: IpAddr) -> Vec<u8> {
    let mut frame = match target {
        IpAddr::V4(target) => {
            arp::Frame::request(client.mac, client.address.octets(), target.octets()).as_bytes().to_vec()
        }
        IpAddr::V6(target) => {
            let frame = ndp::Frame::solicitation(client.mac, client.ipv6.octets(), target.octets());
            frame.as_bytes().to_vec()
        }
    };
    frame.resize(frame.len().max(MIN_FRAME_LEN), 0);
    frame
}

fn send(socket: &PacketSocket, frames: &[Vec<u8>], requests: u64) -> anyhow::Result<()> {
    let slices: Vec<[IoSlice<'_>; 1]> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
    let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
    let (mut left, mut at) = (usize::try_from(requests)?, 0);
    while left > 0 {
        let batch = &slices[at..slices.len().min(at + BATCH.min(left))];
        let addresses = [None; BATCH];
        let fd = socket.as_fd().as_raw_fd();
        let sent = sendmmsg(fd, &mut headers, batch, addresses, [], MsgFlags::empty())
            .context("send requests")?
            .count();
        left -= sent;
        at = (at + sent) % slices.len();
    }
    Ok(())
}

/// The calling thread stays on one CPU, and not on the one that most interrupts come to.
fn pin_to_last_cpu() -> anyhow::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(thread::available_parallelism()?.get() - 1)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("stay on one CPU")
}

/// Frames that `eth0` has received, in the calling thread's namespace.
fn received() -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    parse_received(&table).with_context(|| format!("no eth0 in\n{table}"))
}

fn parse_received(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Frames that the CPUs of this machine had no room for.
fn dropped() -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/net/softnet_stat")?;
    Ok(table.lines().filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_frames_are_those_of_eth0() {
        let table = "Inter-|   Receive\n face |bytes    packets errs\n    lo:     0       3    0\n  eth0: 9000     214    0 0\n";
        assert_eq!(parse_received(table), Some(214));
        assert_eq!(parse_received("  lo: 1 2 3\n"), None);
    }
}
