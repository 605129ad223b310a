//! A client that asks for one address at a steady rate, and notes who answers which request.

mod question;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lb_common::wire::ethernet::Mac;

use super::{packet::PacketSocket, segment::Host};
use question::{answer, ethertype, place, question};

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
    /// Longest time over which no request was answered: between the first and the last of them in a row, by when they were sent.
    /// Unlike the silence it is no longer for a prober that is late itself.
    pub longest_unanswered: Duration,
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
    /// Requests have sender addresses of their own (10.77.128.0 or fd77::8000:0 and up, in turn), by which their answers
    /// are told.
    ///
    /// # Errors
    /// When the host's interface cannot be opened.
    pub fn start(host: &Host, vip: impl Into<IpAddr>, interval: Duration) -> anyhow::Result<Self> {
        let vip = vip.into();
        let socket = PacketSocket::open(host, ethertype(vip))?;
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

/// A prober for each of several VIPs.
#[derive(Debug)]
pub struct Probers(Vec<Prober>);

impl Probers {
    /// As [`Prober::start`], for each of them.
    ///
    /// # Errors
    /// As [`Prober::start`].
    pub fn start(
        host: &Host,
        vips: impl IntoIterator<Item = IpAddr>,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        vips.into_iter().map(|vip| Prober::start(host, vip, interval)).collect::<Result<_, _>>().map(Self)
    }

    /// Stops all of them: a report for each VIP, in their order.
    ///
    /// # Errors
    /// As [`Prober::finish`].
    pub fn finish(self) -> anyhow::Result<Vec<Report>> {
        let Self(probers) = self;
        for prober in &probers {
            prober.stop.store(true, Ordering::Relaxed);
        }
        probers.into_iter().map(Prober::finish).collect()
    }
}

struct Probing {
    socket: PacketSocket,
    mac: Mac,
    vip: IpAddr,
    begun: Instant,
    /// When each request was sent, from the begin of probing.
    sent: Vec<Duration>,
    /// Who has answered each request.
    answered_by: Vec<Vec<Mac>>,
    last_answer: Option<Instant>,
    longest_silence: Duration,
    timeline: Vec<(Duration, Mac)>,
}

impl Probing {
    fn new(socket: PacketSocket, mac: Mac, vip: IpAddr) -> Self {
        let (begun, sent, answered_by) = (Instant::now(), Vec::new(), Vec::new());
        Self {
            socket,
            mac,
            vip,
            begun,
            sent,
            answered_by,
            last_answer: None,
            longest_silence: Duration::ZERO,
            timeline: Vec::new(),
        }
    }

    fn run(mut self, interval: Duration, stop: &AtomicBool) -> anyhow::Result<Report> {
        let mut next = self.begun;
        while !stop.load(Ordering::Relaxed) {
            self.socket.send(&question(self.mac, self.vip, self.answered_by.len()))?;
            self.sent.push(self.begun.elapsed());
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
            if let Some((in_turn, station)) = answer(bytes, self.vip) {
                self.note_answer(in_turn, station);
            }
        }
    }

    fn note_answer(&mut self, in_turn: u8, station: Mac) {
        let Some(place) = place(in_turn, self.answered_by.len()) else { return };
        if !self.answered_by[place].contains(&station) {
            self.answered_by[place].push(station);
        }
        let now = Instant::now();
        self.timeline.push((now - self.begun, station));
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
            longest_unanswered: longest_unanswered(&self.sent, &self.answered_by),
            last_answer: self.last_answer.map(|at| at - self.begun),
            answers,
            timeline: self.timeline,
        }
    }
}

fn longest_unanswered(sent: &[Duration], answered_by: &[Vec<Mac>]) -> Duration {
    let requests: Vec<(Duration, bool)> =
        sent.iter().zip(answered_by).map(|(&at, by)| (at, by.is_empty())).collect();
    let runs = requests.chunk_by(|before, after| before.1 == after.1).filter(|run| run[0].1);
    runs.map(|run| run[run.len() - 1].0 - run[0].0).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_requests_without_an_answer_the_longest_row_counts_from_its_first_to_its_last() {
        let sent = [0, 2, 4, 400, 402, 404, 406].map(Duration::from_millis);
        let longest = |answered: [bool; 7]| {
            longest_unanswered(&sent, &answered.map(|is| if is { vec![[2; 6]] } else { Vec::new() }))
        };
        let (yes, no) = (true, false);
        assert_eq!(longest([yes; 7]), Duration::ZERO);
        assert_eq!(longest([yes, yes, no, yes, yes, yes, yes]), Duration::ZERO, "late after it");
        assert_eq!(longest([no, no, yes, no, no, no, yes]), Duration::from_millis(4));
        assert_eq!(longest([yes, no, no, no, yes, yes, no]), Duration::from_millis(398));
        assert_eq!(longest([yes, yes, yes, yes, no, no, no]), Duration::from_millis(4), "to the end");
    }
}
