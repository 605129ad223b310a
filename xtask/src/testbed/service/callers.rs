//! A client that calls a Service again and again, each time from a new port.

use std::{
    io::{self, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::PORT;
use crate::testbed::{families::Unit, segment::Host};

/// How long a call may take; then the next one begins.
pub const TIMEOUT: Duration = Duration::from_millis(100);
/// Between two calls.
const INTERVAL: Duration = Duration::from_millis(5);

/// How a Service is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// A connection.
    Tcp,
    /// A datagram.
    Udp,
}

/// Who answered a call.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Answer {
    /// The node of the pod.
    pub node: String,
    /// The address that the pod saw the call come from.
    pub source: IpAddr,
}

/// What became of the calls to one VIP by one protocol.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The VIP.
    pub vip: IpAddr,
    /// How it was called.
    pub call: Call,
    /// Calls without an answer in time.
    pub failed: usize,
    /// Longest time between two answers, or between an answer and the begin or end.
    pub longest_silence: Duration,
    /// The answers, in order.
    pub answers: Vec<Answer>,
}

/// Callers at work.
#[derive(Debug)]
pub struct Callers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<Calls>>>,
}

impl Callers {
    /// Has a host call the VIPs of a unit by TCP and by UDP.
    ///
    /// # Errors
    /// When the host cannot be entered.
    pub fn start(host: &Host, vips: Unit) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let kinds = vips.addresses().flat_map(|vip| [(vip, Call::Tcp), (vip, Call::Udp)]);
        let spawn = |(vip, call)| {
            let should_stop = Arc::clone(&stop);
            host.netns.spawn(move || call_until(vip, call, &should_stop))
        };
        let threads = kinds.map(spawn).collect::<anyhow::Result<_>>()?;
        Ok(Self { stop, threads })
    }

    /// Ends the calls: what became of them, for each VIP and protocol.
    ///
    /// # Errors
    /// When the host could not be entered, or an answer was not a pod's.
    pub fn finish(self) -> anyhow::Result<Vec<Calls>> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<anyhow::Result<Calls>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?
        };
        self.threads.into_iter().map(join).collect()
    }
}

fn call_until(vip: IpAddr, call: Call, stop: &AtomicBool) -> anyhow::Result<Calls> {
    let mut calls = Calls { vip, call, failed: 0, longest_silence: Duration::ZERO, answers: Vec::new() };
    let mut last_answer = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match call.once(SocketAddr::new(vip, PORT)) {
            Ok(text) => {
                calls.answers.push(answer(&text)?);
                calls.longest_silence = calls.longest_silence.max(last_answer.elapsed());
                last_answer = Instant::now();
            }
            Err(_) => calls.failed += 1,
        }
        thread::sleep(INTERVAL);
    }
    calls.longest_silence = calls.longest_silence.max(last_answer.elapsed());
    Ok(calls)
}

impl Call {
    fn once(self, to: SocketAddr) -> io::Result<String> {
        match self {
            Self::Tcp => {
                let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                Ok(text)
            }
            Self::Udp => {
                let from: IpAddr = match to {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((from, 0))?;
                socket.connect(to)?;
                socket.set_read_timeout(Some(TIMEOUT))?;
                socket.send(b"?")?;
                let mut buffer = [0; 128];
                let len = socket.recv(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
            }
        }
    }
}

fn answer(text: &str) -> anyhow::Result<Answer> {
    let read = || {
        let (node, source) = text.split_once(' ')?;
        Some(Answer { node: node.to_owned(), source: source.parse().ok()? })
    };
    read().with_context(|| format!("no pod answers {text:?}"))
}
