//! The thread that probes peers: it owns the sockets, the clock and the [`Initiator`].
//!
//! A thread of its own, so that a long turn of the decision loop delays no probe. It decides nothing but whether peers
//! live, and renews nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::{Initiator, Liveness, Probe, SessionKey, Target, Timing, socket::Socket};
use crate::{clock, model::BoottimeNs};

/// Of the real-time class, the lowest but a few: nothing else of ours is in it.
const PRIORITY: libc::c_int = 5;

/// What a session's events carry: its number, from here up.
const FIRST_SESSION: u64 = 2;
const COMMAND: u64 = 0;
const TIMER: u64 = 1;

type Sessions = BTreeMap<SessionKey, Target>;

/// The thread, as the decision loop sees it. Dropped, it ends.
pub struct Probing {
    commands: Option<mpsc::Sender<Sessions>>,
    wake: std::sync::Arc<EventFd>,
    changes: UnboundedReceiver<(SessionKey, Liveness)>,
    thread: Option<JoinHandle<()>>,
}

impl Probing {
    /// Starts the thread, with real-time priority if that is wanted and allowed.
    ///
    /// # Errors
    /// When the kernel has no descriptor or thread to give.
    pub fn start(timing: Timing, realtime: bool) -> io::Result<Self> {
        let (commands, from_loop) = mpsc::channel();
        let (to_loop, changes) = unbounded_channel();
        let wake = std::sync::Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let worker = Worker::new(timing, from_loop, to_loop, std::sync::Arc::clone(&wake))?;
        let thread = thread::Builder::new().name("sbfd".to_owned()).spawn(move || {
            if realtime {
                take_priority();
            }
            worker.run();
        })?;
        Ok(Self { commands: Some(commands), wake, changes, thread: Some(thread) })
    }

    /// Says whom to probe from now on. Sessions that are there already are not touched.
    pub fn set_sessions(&self, sessions: Sessions) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(sessions); // the thread has ended: `changed` says so
            let _ = self.wake.write(1);
        }
    }

    /// Waits for a verdict; `None` when the thread has ended.
    pub async fn changed(&mut self) -> Option<(SessionKey, Liveness)> {
        self.changes.recv().await
    }

    /// The next verdict that is there already.
    pub fn try_changed(&mut self) -> Option<(SessionKey, Liveness)> {
        self.changes.try_recv().ok()
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.wake.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A session with what it takes to talk to its peer.
struct Line {
    key: SessionKey,
    target: Target,
    /// `None` while it cannot be opened: the address or the interface is not there.
    socket: Option<Socket>,
}

struct Worker {
    initiator: Initiator,
    random: fastrand::Rng,
    /// By the number that the session's events carry.
    lines: BTreeMap<u64, Line>,
    numbers: BTreeMap<SessionKey, u64>,
    next_number: u64,
    epoll: Epoll,
    timer: TimerFd,
    commands: mpsc::Receiver<Sessions>,
    changes: UnboundedSender<(SessionKey, Liveness)>,
    wake: std::sync::Arc<EventFd>,
    /// Sessions whose sockets could not be opened, and that has been told.
    told: BTreeSet<SessionKey>,
}

impl Worker {
    fn new(
        timing: Timing,
        commands: mpsc::Receiver<Sessions>,
        changes: UnboundedSender<(SessionKey, Liveness)>,
        wake: std::sync::Arc<EventFd>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer =
            TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, COMMAND))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        let mut random = fastrand::Rng::new();
        let initiator = Initiator::new(timing, random.u64(..));
        Ok(Self {
            initiator,
            random,
            lines: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: FIRST_SESSION,
            epoll,
            timer,
            commands,
            changes,
            wake,
            told: BTreeSet::new(),
        })
    }

    /// Goes on until the other side is gone.
    fn run(mut self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            if self
                .epoll
                .wait(&mut events, EpollTimeout::NONE)
                .is_err_and(|errno| errno != nix::errno::Errno::EINTR)
            {
                return;
            }
            let _ = self.wake.read();
            let _ = self.timer.wait();
            // What had come in by now is read before anything is judged by now.
            let now = clock::boottime_ns();
            self.drain(&mut events);
            if !self.follow(now) {
                return;
            }
            for probe in self.initiator.due(now) {
                self.send(&probe);
            }
            for change in self.initiator.take_changes() {
                let _ = self.changes.send(change); // the loop is gone: `follow` notices
            }
            self.set_timer(now);
        }
    }

    /// Reads every socket that has something to read.
    fn drain(&mut self, events: &mut [EpollEvent]) {
        let mut buffer = [0_u8; 128];
        loop {
            let ready = self.epoll.wait(events, EpollTimeout::ZERO).unwrap_or(0);
            let sessions = events[..ready].iter().map(EpollEvent::data).filter(|&data| data >= FIRST_SESSION);
            let mut has_read = false;
            for Line { key, socket, .. } in sessions.filter_map(|number| self.lines.get(&number)) {
                let Some(socket) = socket else { continue };
                has_read = true;
                while let Some((ttl, bytes)) = socket.receive(&mut buffer) {
                    self.initiator.received(*key, ttl, bytes);
                }
            }
            if !has_read || ready < events.len() {
                return;
            }
        }
    }

    /// Follows the latest command. Says whether to go on.
    fn follow(&mut self, now: BoottimeNs) -> bool {
        let mut latest = None;
        let is_over = loop {
            match self.commands.try_recv() {
                Ok(sessions) => latest = Some(sessions),
                Err(mpsc::TryRecvError::Empty) => break false,
                Err(mpsc::TryRecvError::Disconnected) => break true,
            }
        };
        if let Some(sessions) = latest {
            self.initiator.set_sessions(&sessions, now);
            let is_over = |line: &Line| sessions.get(&line.key) != Some(&line.target);
            self.lines.retain(|_, line| !is_over(line)); // closing a socket takes it off epoll
            self.numbers = self.lines.iter().map(|(&number, line)| (line.key, number)).collect();
            self.told.retain(|key| sessions.contains_key(key));
            for (key, target) in sessions {
                if !self.numbers.contains_key(&key) {
                    self.numbers.insert(key, self.next_number);
                    self.lines.insert(self.next_number, Line { key, target, socket: None });
                    self.next_number += 1;
                }
            }
        }
        !is_over
    }

    /// A probe that cannot be sent is one that gets no answer.
    fn send(&mut self, probe: &Probe) {
        let Some(&number) = self.numbers.get(&probe.key) else { return };
        if let Err(error) = self.open(number)
            && self.told.insert(probe.key)
        {
            let SessionKey { ifindex, peer } = probe.key;
            warn!(%peer, ifindex, %error, "no socket to probe this peer with; tried again with each probe");
        }
        if let Some(Line { socket: Some(socket), .. }) = self.lines.get(&number) {
            let _ = socket.send(probe.packet.as_bytes());
        }
    }

    fn open(&mut self, number: u64) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(&number) else { return Ok(()) };
        if line.socket.is_none() {
            let socket = Socket::open(line.key, line.target, &mut self.random)?;
            self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
            line.socket = Some(socket);
            self.told.remove(&line.key);
        }
        Ok(())
    }

    fn set_timer(&self, now: BoottimeNs) {
        let result = match self.initiator.next_due() {
            Some(due) => {
                // Zero would switch the timer off.
                let wait = Duration::from_nanos(due.saturating_sub(now).max(1));
                self.timer.set(Expiration::OneShot(TimeSpec::from(wait)), TimerSetTimeFlags::empty())
            }
            None => self.timer.unset(),
        };
        if let Err(error) = result {
            warn!(%error, "the timer of the probes was not set");
        }
    }
}

/// Puts the calling thread into the real-time class.
fn take_priority() {
    let param = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the struct is alive; 0 names the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const param)
    };
    match result {
        0 => info!("peers are probed with real-time priority"),
        _ => {
            let error = io::Error::last_os_error();
            warn!(%error, "peers are probed without real-time priority: it needs CAP_SYS_NICE");
        }
    }
}

#[cfg(test)]
mod tests;
