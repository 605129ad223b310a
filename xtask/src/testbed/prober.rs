//! A client that asks for one address at a steady rate, and notes who answers which request.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lb_common::wire::{
    arp::{Frame, Kind},
    ethernet::{ETHERTYPE_ARP, Mac},
};

use super::{packet::PacketSocket, segment::Host};

/// How long an answer may take.
const GRACE: Duration = Duration::from_millis(500);

/// What a prober saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests sent.
    pub requests: u64,
    /// Requests that nobody answered.
    pub unanswered: u64,
    /// Requests that more than one station answered.
    pub doubly_answered: u64,
    /// Longest time between two answers, or between an answer and the begin or end of probing.
    pub longest_silence: Duration,
    /// From the begin of probing to the last answer.
    pub last_answer: Option<Duration>,
    /// Answers by station.
    pub answers: BTreeMap<Mac, u64>,
    /// Each answer, from the first request on.
    pub timeline: Vec<(Duration, Mac)>,
}

/// A prober at work.
#[derive(Debug)]
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Report>>,
}

impl Prober {
    /// Begins to ask for `vip` from `host`, once every `interval`.
    ///
    /// Requests have sender addresses of their own (10.77.128.0 and up, in turn), by which their answers are told.
    ///
    /// # Errors
    /// When the host's interface cannot be opened.
    pub fn start(host: &Host, vip: Ipv4Addr, interval: Duration) -> anyhow::Result<Self> {
        let socket = PacketSocket::open(host, ETHERTYPE_ARP)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (should_stop, mac) = (Arc::clone(&stop), host.mac);
        let thread = thread::spawn(move || Probing::new(socket, mac, vip).run(interval, &should_stop));
        Ok(Self { stop, thread })
    }

    /// Stops asking, waits for answers that are still out, and says what came.
    ///
    /// # Errors
    /// When the socket failed.
    pub fn finish(self) -> anyhow::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the prober panicked"))?
    }
}

struct Probing {
    socket: PacketSocket,
    mac: Mac,
    vip: Ipv4Addr,
    begun: Instant,
    /// Who has answered each request.
    answered_by: Vec<Vec<Mac>>,
    last_answer: Option<Instant>,
    longest_silence: Duration,
    timeline: Vec<(Duration, Mac)>,
}

impl Probing {
    fn new(socket: PacketSocket, mac: Mac, vip: Ipv4Addr) -> Self {
        let (begun, answered_by) = (Instant::now(), Vec::new());
        Self {
            socket,
            mac,
            vip,
            begun,
            answered_by,
            last_answer: None,
            longest_silence: Duration::ZERO,
            timeline: Vec::new(),
        }
    }

    fn run(mut self, interval: Duration, stop: &AtomicBool) -> anyhow::Result<Report> {
        let mut next = self.begun;
        while !stop.load(Ordering::Relaxed) {
            let request = Frame::request(self.mac, sender(self.answered_by.len()), self.vip.octets());
            self.socket.send(request.as_bytes())?;
            self.answered_by.push(Vec::new());
            next += interval;
            self.receive_until(next)?;
        }
        let end = Instant::now();
        self.note_silence(end);
        let longest_silence = self.longest_silence;
        self.receive_until(end + GRACE)?;
        Ok(self.report(longest_silence))
    }

    fn receive_until(&mut self, deadline: Instant) -> anyhow::Result<()> {
        let mut buffer = [0_u8; 128];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            // poll(2) knows whole milliseconds only; the rest is slept.
            if left < Duration::from_millis(1) {
                thread::sleep(left);
            }
            let wait = Duration::from_millis(u64::try_from(left.as_millis())?);
            let Some(bytes) = self.socket.receive(&mut buffer, wait)? else { continue };
            if let Ok((frame, Kind::Reply)) = Frame::parse(bytes) {
                self.note_answer(&frame);
            }
        }
    }

    fn note_answer(&mut self, frame: &Frame) {
        let Some(place) = place(frame.tpa, self.answered_by.len()) else { return };
        if Ipv4Addr::from(frame.spa) != self.vip {
            return;
        }
        if !self.answered_by[place].contains(&frame.sha) {
            self.answered_by[place].push(frame.sha);
        }
        let now = Instant::now();
        self.timeline.push((now - self.begun, frame.sha));
        self.note_silence(now);
        self.last_answer = Some(now);
    }

    fn note_silence(&mut self, now: Instant) {
        self.longest_silence = self.longest_silence.max(now - self.last_answer.unwrap_or(self.begun));
    }

    fn report(self, longest_silence: Duration) -> Report {
        let count = |is: fn(usize) -> bool| self.answered_by.iter().filter(|by| is(by.len())).count() as u64;
        let mut answers = BTreeMap::new();
        for &station in self.answered_by.iter().flatten() {
            *answers.entry(station).or_default() += 1;
        }
        Report {
            requests: self.answered_by.len() as u64,
            unanswered: count(|by| by == 0),
            doubly_answered: count(|by| by > 1),
            longest_silence,
            last_answer: self.last_answer.map(|at| at - self.begun),
            answers,
            timeline: self.timeline,
        }
    }
}

/// Few, since a kernel that answers by itself remembers each, and its cache is small.
const SENDERS: usize = 1 << 8;

/// The sender address of a request: 256 of them in turn.
fn sender(request: usize) -> [u8; 4] {
    let [.., low] = request.to_be_bytes();
    [10, 77, 128, low]
}

/// The latest request with a sender address, of `sent` so far.
fn place(sender: [u8; 4], sent: usize) -> Option<usize> {
    let [10, 77, 128, in_turn] = sender else { return None };
    let last = sent.checked_sub(1)?;
    last.checked_sub((last % SENDERS + SENDERS - usize::from(in_turn)) % SENDERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_the_latest_request_of_its_sender() {
        for sent in [1, 2, 200, SENDERS, SENDERS + 1, 3 * SENDERS + 77] {
            let last = sent - 1;
            assert_eq!(place(sender(last), sent), Some(last));
            assert_eq!(place(sender(sent), sent), sent.checked_sub(SENDERS));
        }
        assert_eq!(place([10, 77, 0, 1], 5), None);
    }
}
