//! The thread against a reflector of bytes, on the loopback. Needs root, to bind to an interface.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use super::*;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DISCRIMINATOR: u32 = 0x0a0b_0c0d;
const UP: Liveness = Liveness::Up { is_agent_seen: true };
/// What it answers: nothing, Up, Up without an agent, AdminDown, or a packet to be refused.
const SILENT: u8 = 0;
const SAYS_UP: u8 = 1;
const SAYS_ADMIN_DOWN: u8 = 2;
const SAYS_NONSENSE: u8 = 3;

/// A reflector that shares no code with ours.
struct Reflector {
    peer: Ipv4Addr,
    mode: Arc<AtomicU8>,
    stop: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Reflector {
    fn start(peer: Ipv4Addr, ttl: u32) -> Self {
        let socket = UdpSocket::bind((peer, 7784)).expect("port 7784");
        socket.set_ttl(ttl).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (mode, stop) = (Arc::new(AtomicU8::new(SAYS_UP)), Arc::new(AtomicU8::new(0)));
        let (says, should_stop) = (Arc::clone(&mode), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut packet = [0_u8; 64];
            while should_stop.load(Ordering::Relaxed) == 0 {
                let Ok((24, from)) = socket.recv_from(&mut packet) else { continue };
                assert_eq!(packet[1] & 0x3f, 0x02, "Demand and no other flag");
                assert_eq!((packet[0], packet[2], packet[3]), (0x20, 3, 24));
                assert!((49_152..).contains(&from.port()));
                let (mine, yours) = (packet[4..8].to_vec(), packet[8..12].to_vec());
                packet[4..8].copy_from_slice(&yours);
                packet[8..12].copy_from_slice(&mine);
                match says.load(Ordering::Relaxed) {
                    SILENT => continue,
                    SAYS_UP => packet[1] = 0xc0,
                    SAYS_ADMIN_DOWN => (packet[0], packet[1]) = (0x27, 0x00),
                    _ => (packet[1], packet[9]) = (0xc0, packet[9] ^ 1),
                }
                socket.send_to(&packet[..24], from).unwrap();
            }
        });
        Self { peer, mode, stop, thread: Some(thread) }
    }

    fn says(&self, mode: u8) {
        self.mode.store(mode, Ordering::Relaxed);
    }

    fn key(&self) -> SessionKey {
        SessionKey { ifindex: 1, peer: self.peer.into() }
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.stop.store(1, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Waits for the next verdict, and says how long that took.
fn next(probing: &mut Probing) -> (Liveness, Duration) {
    let begun = Instant::now();
    loop {
        if let Some((_, liveness)) = probing.try_changed() {
            return (liveness, begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no verdict");
        thread::sleep(Duration::from_millis(1));
    }
}

fn probe(reflector: &Reflector) -> Probing {
    let probing = Probing::start(Timing::default(), false).unwrap();
    let target = Target { local: LOCAL, your_discriminator: DISCRIMINATOR };
    probing.set_sessions([(reflector.key(), target)].into());
    probing
}

#[test]
fn a_peer_is_up_then_withdrawn_then_down_and_comes_back() {
    let reflector = Reflector::start(Ipv4Addr::new(127, 77, 0, 2), 255);
    let mut probing = probe(&reflector);
    assert_eq!(next(&mut probing).0, UP);
    reflector.says(SAYS_ADMIN_DOWN);
    assert_eq!(next(&mut probing).0, Liveness::AdminDown);
    reflector.says(SAYS_UP);
    assert_eq!(next(&mut probing).0, UP);
    reflector.says(SILENT);
    let (liveness, took) = next(&mut probing);
    assert_eq!(liveness, Liveness::Down);
    assert!(took >= Duration::from_millis(100), "{took:?}: three probes take longer");
    reflector.says(SAYS_UP);
    assert_eq!(next(&mut probing).0, UP);
}

#[test]
fn nonsense_and_what_comes_from_afar_is_no_answer() {
    let nonsense = Reflector::start(Ipv4Addr::new(127, 77, 0, 3), 255);
    nonsense.says(SAYS_NONSENSE);
    assert_eq!(next(&mut probe(&nonsense)).0, Liveness::Down);
    let far = Reflector::start(Ipv4Addr::new(127, 77, 0, 4), 254);
    assert_eq!(next(&mut probe(&far)).0, Liveness::Down);
}

#[test]
fn a_closed_port_is_a_peer_that_does_not_answer() {
    let mut probing = Probing::start(Timing::default(), false).unwrap();
    let key = SessionKey { ifindex: 1, peer: Ipv4Addr::new(127, 77, 0, 5).into() };
    probing.set_sessions([(key, Target { local: LOCAL, your_discriminator: 1 })].into());
    assert_eq!(next(&mut probing).0, Liveness::Down);
}

#[test]
fn a_session_that_cannot_be_opened_is_down_and_the_others_go_on() {
    let reflector = Reflector::start(Ipv4Addr::new(127, 77, 0, 6), 255);
    let mut probing = Probing::start(Timing::default(), false).unwrap();
    let target = Target { local: LOCAL, your_discriminator: DISCRIMINATOR };
    let elsewhere = SessionKey { ifindex: 1, peer: Ipv4Addr::new(127, 77, 0, 7).into() };
    let foreign = Target { local: Ipv4Addr::new(192, 0, 2, 1).into(), your_discriminator: 1 };
    probing.set_sessions([(reflector.key(), target), (elsewhere, foreign)].into());
    assert_eq!(next(&mut probing).0, UP);
    assert_eq!(next(&mut probing).0, Liveness::Down);
    probing.set_sessions([(reflector.key(), target)].into());
    thread::sleep(Duration::from_millis(300));
    assert_eq!(probing.try_changed(), None, "the session that stays is not touched");
}
