//! Incoming frames, by XDP and tc alike.

use lb_common::{
    maps::{Role, SELF_TEST_MAC, VipEntry},
    reason::Fate,
};

use crate::{
    arp::{Arp, BROADCAST, CLIENT, NODE, OTHER, REQUEST, STRANGER, VIP},
    case::{Case, Lease, check},
    kernel::{Kernel, Program},
};

#[test]
fn requests() {
    let padded = REQUEST.padded(60, 0);
    let unicast = Arp { destination: NODE, ..REQUEST };
    let elsewhere = Arp { destination: STRANGER, ..REQUEST };
    let multicast = Arp { destination: [1, 0, 0x5e, 0, 0, 1], ..REQUEST };
    let probe = Arp { spa: [0; 4], ..REQUEST };
    let with_tha = Arp { tha: BROADCAST, ..REQUEST };
    let from_group = Arp { sha: [1, 0, 0x5e, 0, 0, 1], ..REQUEST };
    let from_nobody = Arp { sha: [0; 6], ..REQUEST };
    let other = Arp { tpa: OTHER, ..REQUEST };
    let cases = [
        Case::new("a broadcast request is answered", padded.clone()).answered(&REQUEST),
        Case::new("a request without padding is answered with 60 bytes", REQUEST.bytes()).answered(&REQUEST),
        Case::new("what follows a long request stays", REQUEST.padded(128, 0xa5)).answered(&REQUEST),
        Case::new("a unicast request (NUD) is answered", unicast.padded(60, 0)).answered(&unicast),
        Case::new("an ARP Probe is answered", probe.padded(60, 0)).answered(&probe),
        Case::new("a request that names a tha is answered", with_tha.padded(60, 0)).answered(&with_tha),
        Case::new("a request to another station passes", elsewhere.padded(60, 0))
            .counted_as(Fate::OtherDestination),
        Case::new("a request to a group passes", multicast.padded(60, 0)).counted_as(Fate::OtherDestination),
        Case::new("a request from a group address is dropped", from_group.padded(60, 0))
            .requested()
            .counted_as(Fate::SenderNotUnicast),
        Case::new("a request from no address is dropped", from_nobody.padded(60, 0))
            .requested()
            .counted_as(Fate::SenderNotUnicast),
        Case::new("a request for another address passes", other.padded(60, 0)).counted_as(Fate::NotOurTarget),
        Case::new("without an entry a request passes", padded.clone())
            .entry(None)
            .counted_as(Fate::NotOurTarget),
        Case { ifindex: 77, ..Case::new("an entry of another interface does not count", padded.clone()) }
            .counted_as(Fate::NotOurTarget),
        Case::new("a suppressed VIP's request is dropped", padded.clone())
            .role(Role::Suppress)
            .requested()
            .counted_as(Fate::Suppressed),
        Case::new("a contested VIP's request passes", padded.clone())
            .role(Role::Contested)
            .counted_as(Fate::NotOurTarget),
        Case::new("an entry of an unknown role counts as none", padded)
            .entry(Some(VipEntry { role: 9, reserved: 0, mac: NODE }))
            .counted_as(Fate::NotOurTarget),
    ];
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

#[test]
fn leases() {
    let padded = REQUEST.padded(60, 0);
    let case = |name: &str, lease| Case::new(name, padded.clone()).lease(lease).requested();
    let cases = [
        case("past its lease an announced VIP is silent", Lease::Expired).counted_as(Fate::LeaseExpired),
        case("past its lease a suppressed VIP stays so", Lease::Expired)
            .role(Role::Suppress)
            .counted_as(Fate::Suppressed),
        case("a day later an announced VIP is left to the host", Lease::DayOld)
            .counted_as(Fate::LeaseAbandoned),
        case("a day later a suppressed VIP is left to the host", Lease::DayOld)
            .role(Role::Suppress)
            .counted_as(Fate::LeaseAbandoned),
        case("before the first lease an announced VIP is left to the host", Lease::Never)
            .counted_as(Fate::LeaseAbandoned),
        case("before the first lease a suppressed VIP is left to the host", Lease::Never)
            .role(Role::Suppress)
            .counted_as(Fate::LeaseAbandoned),
    ];
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

#[test]
fn malformed_and_foreign_frames() {
    let counted = |name: &str, arp: Arp, fate| Case::new(name, arp.padded(60, 0)).counted_as(fate);
    let mut cases = vec![
        counted("another htype passes", Arp { htype: 6, ..REQUEST }, Fate::NotEthernetIpv4),
        counted("another ptype passes", Arp { ptype: 0x86dd, ..REQUEST }, Fate::NotEthernetIpv4),
        counted("another hlen passes", Arp { hlen: 8, ..REQUEST }, Fate::NotEthernetIpv4),
        counted("another plen passes", Arp { plen: 16, ..REQUEST }, Fate::NotEthernetIpv4),
        counted("oper 0 passes", Arp { oper: 0, ..REQUEST }, Fate::UnknownOper),
        counted("RARP's oper 3 passes", Arp { oper: 3, ..REQUEST }, Fate::UnknownOper),
        counted("oper 0x0100 passes", Arp { oper: 0x0100, ..REQUEST }, Fate::UnknownOper),
        Case::new("another EtherType is none of ours", Arp { ethertype: 0x8035, ..REQUEST }.padded(60, 0)),
        Case::new("a tagged frame is none of ours", tagged(&REQUEST)),
        Case::new("IPv4 with TCP is none of ours", tcp(60)),
        Case::new("a full frame is none of ours", tcp(1514)),
    ];
    for len in 14..60 {
        let case =
            Case::new(format!("a request cut off at {len} bytes"), REQUEST.padded(60, 0)[..len].to_vec());
        cases.push(if len < 42 { case.counted_as(Fate::Truncated) } else { case.answered(&REQUEST) });
    }
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

/// BPF_PROG_TEST_RUN takes larger frames for multi-buffer XDP only; jumbo frames in tc are seen on the wire.
#[test]
fn jumbo_frames_pass() {
    let mut kernel = Kernel::load();
    check(&mut kernel, &[Program::Xdp, Program::TcIngress], &[Case::new("3 kB", tcp(3_000))]);
    if kernel.has_frags {
        let jumbo_arp =
            Case::new("an ARP request in a jumbo frame", REQUEST.padded(9_000, 7)).answered(&REQUEST);
        check(&mut kernel, &[Program::XdpFrags], &[Case::new("9 kB", tcp(9_014)), jumbo_arp]);
    }
}

#[test]
fn the_self_test_is_answered_whatever_the_lease_and_leaves_no_trace() {
    let request = Arp { tpa: [0; 4], ..REQUEST };
    let answer = request.answered_by(SELF_TEST_MAC).padded(60, 0);
    let cases = [Lease::Valid, Lease::Expired, Lease::Never].map(|lease| Case {
        address: [0; 4],
        entry: Some(VipEntry::new(Role::SelfTest, SELF_TEST_MAC)),
        ..Case::new(format!("self-test, lease {lease:?}"), request.padded(60, 0))
            .lease(lease)
            .counted_as(Fate::SelfTest)
            .comes_out_as(answer.clone())
    });
    let mut kernel = Kernel::load();
    let programs = kernel.ingress();
    check(&mut kernel, &programs, &cases);
}

fn tagged(arp: &Arp) -> Vec<u8> {
    let mut bytes = arp.padded(60, 0);
    bytes.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    bytes
}

/// A frame with an IPv4 TCP segment to the VIP.
fn tcp(len: usize) -> Vec<u8> {
    let payload = vec![0x5a; len - 54];
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2(CLIENT, NODE)
        .ipv4([10, 77, 0, 200], VIP, 64)
        .tcp(40_000, 80, 1, 1_024)
        .write(&mut bytes, &payload)
        .expect("a well-formed packet");
    bytes
}
