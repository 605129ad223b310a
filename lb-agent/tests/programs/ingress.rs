//! Incoming frames, by XDP and tc alike.

use lb_common::{
    maps::{Role, SELF_TEST_MAC, VipEntry},
    reason::Fate,
};

use crate::{
    arp::{Arp, BROADCAST, CLIENT, NODE, REQUEST, STRANGER, VIP},
    case::{Case, Lease, check, check_ingress},
    family::{FAMILIES, Question},
    kernel::{Kernel, Program},
};

#[test]
fn questions() {
    let cases = FAMILIES.into_iter().flat_map(|family| {
        let question = family.question();
        let asked = |name: &str| Case::asked(name, &question);
        let unicast = question.clone().to(NODE);
        let group = family.group();
        let passes = |name: &str, question: Question, fate| Case::asked(name, &question).counted_as(fate);
        let dropped = |name: &str, question: Question, fate| passes(name, question, fate).requested();
        [
            asked("a question to everyone is answered").answered(&question),
            Case::asked("a question to this station (NUD) is answered", &unicast).answered(&unicast),
            passes(
                "a question to another station passes",
                question.clone().to(STRANGER),
                Fate::OtherDestination,
            ),
            passes("a question to a group passes", question.clone().to(group), Fate::OtherDestination),
            dropped(
                "a question from a group is dropped",
                question.clone().sent_by(group),
                Fate::SenderNotUnicast,
            ),
            dropped(
                "a question from no station is dropped",
                question.clone().sent_by([0; 6]),
                Fate::SenderNotUnicast,
            ),
            passes(
                "a question for another address passes",
                question.clone().about(family.other()),
                Fate::NotOurTarget,
            ),
            asked("without an entry a question passes").entry(None).counted_as(Fate::NotOurTarget),
            Case { ifindex: 77, ..asked("an entry of another interface does not count") }
                .counted_as(Fate::NotOurTarget),
            asked("a suppressed VIP's question is dropped")
                .role(Role::Suppress)
                .requested()
                .counted_as(Fate::Suppressed),
            asked("a contested VIP's question passes").role(Role::Contested).counted_as(Fate::NotOurTarget),
            asked("an entry of an unknown role counts as none")
                .entry(Some(VipEntry { role: 9, reserved: 0, mac: NODE }))
                .counted_as(Fate::NotOurTarget),
        ]
    });
    check_ingress(&cases.collect::<Vec<_>>());
}

#[test]
fn forms_of_arp_requests() {
    let arp = |name: &str, input, arp| Case::new(name, input).answered(&Question::Arp(arp));
    let probe = Arp { spa: [0; 4], ..REQUEST };
    let with_tha = Arp { tha: BROADCAST, ..REQUEST };
    check_ingress(&[
        arp("a request without padding is answered with 60 bytes", REQUEST.bytes(), REQUEST),
        arp("what follows a long request stays", REQUEST.padded(128, 0xa5), REQUEST),
        arp("an ARP Probe is answered", probe.padded(60, 0), probe),
        arp("a request that names a tha is answered", with_tha.padded(60, 0), with_tha),
    ]);
}

#[test]
fn leases() {
    let cases = FAMILIES.into_iter().flat_map(|family| {
        let question = family.question();
        let case = |name: &str, lease| Case::asked(name, &question).lease(lease).requested();
        let suppressed = |name: &str, lease| case(name, lease).role(Role::Suppress);
        [
            case("past its lease an announced VIP is silent", Lease::Expired).counted_as(Fate::LeaseExpired),
            suppressed("past its lease a suppressed VIP stays so", Lease::Expired)
                .counted_as(Fate::Suppressed),
            case("a day later an announced VIP is left to the host", Lease::DayOld)
                .counted_as(Fate::LeaseAbandoned),
            suppressed("a day later a suppressed VIP is left to the host", Lease::DayOld)
                .counted_as(Fate::LeaseAbandoned),
            case("before the first lease an announced VIP is left to the host", Lease::Never)
                .counted_as(Fate::LeaseAbandoned),
            suppressed("before the first lease a suppressed VIP is left to the host", Lease::Never)
                .counted_as(Fate::LeaseAbandoned),
        ]
    });
    check_ingress(&cases.collect::<Vec<_>>());
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
        cases.push(if len < 42 {
            case.counted_as(Fate::Truncated)
        } else {
            case.answered(&Question::Arp(REQUEST))
        });
    }
    check_ingress(&cases);
}

/// BPF_PROG_TEST_RUN takes larger frames for multi-buffer XDP only; jumbo frames in tc are seen on the wire.
#[test]
fn jumbo_frames_pass() {
    let mut kernel = Kernel::load();
    check(&mut kernel, &[Program::Xdp, Program::TcIngress], &[Case::new("3 kB", tcp(3_000))]);
    if kernel.has_frags {
        let jumbo_arp = Case::new("an ARP request in a jumbo frame", REQUEST.padded(9_000, 7))
            .answered(&Question::Arp(REQUEST));
        check(&mut kernel, &[Program::XdpFrags], &[Case::new("9 kB", tcp(9_014)), jumbo_arp]);
    }
}

#[test]
fn the_self_test_is_answered_whatever_the_lease_and_leaves_no_trace() {
    let cases = FAMILIES.into_iter().flat_map(|family| {
        let question = family.question().about(family.unspecified());
        [Lease::Valid, Lease::Expired, Lease::Never].map(|lease| {
            let case = Case::asked(format!("self-test, lease {lease:?}"), &question);
            let answer = question.answered_by(SELF_TEST_MAC, &case.input);
            Case { address: family.unspecified(), ..case }
                .entry(Some(VipEntry::new(Role::SelfTest, SELF_TEST_MAC)))
                .lease(lease)
                .counted_as(Fate::SelfTest)
                .comes_out_as(answer)
        })
    });
    check_ingress(&cases.collect::<Vec<_>>());
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
