//! Outgoing frames: nothing leaves that says that this node has a VIP of another one.

use lb_common::{
    maps::{Iface, Role},
    reason::Fate,
};

use crate::{
    arp::{Arp, CLIENT, CLIENT_IP, NODE, NODE_IP, REQUEST, VIP},
    case::{Case, Lease, NODE_IFACE, check},
    checksum::Checksum,
    family::{FAMILIES, Family, Question},
    kernel::{Kernel, Program},
    ndp::{
        CLIENT_IP6, NOBODY, NODE_LINK_LOCAL, Ndp, OTHER6, SOLICITED, VIP6, advertisement, group,
        source_address,
    },
};

/// The stack, asking for the client from the VIP that it has on the loopback.
const FROM_VIP: Arp = Arp { source: NODE, sha: NODE, spa: VIP, tpa: CLIENT_IP, ..REQUEST };

/// The same by NDP.
fn from_vip6() -> Ndp {
    let (receiver, destination) = group(CLIENT_IP6);
    Ndp {
        destination,
        source: NODE,
        sender: VIP6,
        receiver,
        target: CLIENT_IP6,
        options: source_address(NODE),
        ..crate::ndp::solicitation()
    }
}

fn from_vip(family: Family) -> Question {
    match family {
        Family::Ipv4 => Question::Arp(FROM_VIP),
        Family::Ipv6 => Question::Ndp(from_vip6()),
    }
}

fn check_egress(cases: &[Case]) {
    check(&mut Kernel::load(), &[Program::TcEgress], cases);
}

fn rewritten(case: Case, bytes: Vec<u8>) -> Case {
    case.counted_as(Fate::SenderRewritten).comes_out_as(bytes)
}

#[test]
fn the_sender_of_a_question_is_replaced_unless_this_node_announces_it() {
    let cases = FAMILIES.into_iter().flat_map(|family| {
        let question = from_vip(family);
        let from_node = question.clone().sent_from(family.node());
        let case = |name: &str| Case::asked(name, &question);
        [
            rewritten(case("from a suppressed VIP").role(Role::Suppress), from_node.bytes()),
            rewritten(
                case("from a suppressed VIP, past the lease").role(Role::Suppress).lease(Lease::Expired),
                from_node.bytes(),
            ),
            rewritten(case("from an announced VIP, past the lease").lease(Lease::Expired), from_node.bytes()),
            case("from an announced VIP"),
            case("from a suppressed VIP before the first lease").role(Role::Suppress).lease(Lease::Never),
            case("from a suppressed VIP, a day past the lease").role(Role::Suppress).lease(Lease::DayOld),
            case("from a contested VIP").role(Role::Contested),
            case("without an entry").entry(None),
            Case::asked("from an address that is no VIP", &from_node).role(Role::Suppress),
            Case { ifindex: 77, ..case("a VIP of another interface") }.role(Role::Suppress),
        ]
    });
    check_egress(&cases.collect::<Vec<_>>());
}

#[test]
fn outgoing_arp() {
    let bytes = FROM_VIP.bytes();
    let probe = Arp { spa: [0; 4], ..FROM_VIP };
    let announcement = Arp { tpa: VIP, ..FROM_VIP };
    let reply = Arp { destination: CLIENT, oper: 2, tha: CLIENT, ..FROM_VIP };
    check_egress(&[
        rewritten(
            Case { iface: None, ..Case::new("from a suppressed VIP without an own address", bytes.clone()) }
                .role(Role::Suppress),
            probe.bytes(),
        ),
        rewritten(
            Case::new("an announcement of a suppressed VIP", announcement.bytes()).role(Role::Suppress),
            Arp { spa: NODE_IP, ..announcement }.bytes(),
        ),
        Case::new("an announcement of an announced VIP", announcement.bytes()),
        Case::new("a reply from a suppressed VIP", reply.bytes()).role(Role::Suppress),
        Case::new("another EtherType", Arp { ethertype: 0x0800, ..FROM_VIP }.bytes()).role(Role::Suppress),
        Case::new("another htype", Arp { htype: 6, ..FROM_VIP }.bytes()).role(Role::Suppress),
        Case::new("cut off", bytes[..41].to_vec()).role(Role::Suppress),
    ]);
}

#[test]
fn outgoing_solicitations() {
    let suppressed =
        |name: &str, ndp: &Ndp| Case::new(name, ndp.bytes()).of(Family::Ipv6).role(Role::Suppress);
    let question = from_vip6();
    let replaced = |name: &str, ndp: Ndp| {
        let case = suppressed(name, &ndp);
        rewritten(case, Ndp { sender: NODE_LINK_LOCAL, ..ndp }.bytes())
    };
    let nonce = [&[14, 1, 1, 2, 3, 4, 5, 6], &source_address(NODE)[..]].concat();
    let unicast = Ndp { destination: CLIENT, receiver: CLIENT_IP6, ..from_vip6() };
    let right = Case::new("", question.bytes()).input[56..58].to_vec();
    let wrong = |ndp: &Ndp| {
        let bytes = ndp.bytes();
        let right = u16::from_be_bytes([bytes[56], bytes[57]]);
        Ndp { checksum: Checksum::Given(right - 0x100), ..ndp.clone() }
    };
    assert!(right[0] > 1, "no carry, so that the error is the same afterwards");
    let from_node = Ndp { sender: NODE_LINK_LOCAL, ..from_vip6() };
    check_egress(&[
        replaced("with a nonce before the address", Ndp { options: nonce, ..from_vip6() }),
        replaced("without options", Ndp { options: vec![], ..from_vip6() }),
        replaced("to the client alone", unicast),
        rewritten(
            suppressed("a wrong checksum stays as wrong", &wrong(&question)),
            wrong(&from_node).bytes(),
        ),
        Case { iface: None, ..suppressed("without an interface of ours", &question) }
            .counted_as(Fate::SenderUnknown),
        Case {
            iface: Some(Iface { ipv6_link_local: NOBODY, ..NODE_IFACE }),
            ..suppressed("without a link-local address", &question)
        }
        .counted_as(Fate::SenderUnknown),
        suppressed(
            "a probe for duplicates of a suppressed VIP",
            &Ndp { sender: NOBODY, target: VIP6, options: vec![], ..from_vip6() },
        ),
        suppressed("TCP's next header", &Ndp { next_header: 6, ..from_vip6() }),
        suppressed("an Echo Request", &Ndp { message_type: 128, ..from_vip6() }),
        suppressed(
            "behind an extension header",
            &Ndp { next_header: 0, extension: vec![58, 0, 1, 4, 0, 0, 0, 0], ..from_vip6() },
        ),
        Case { input: question.bytes()[..77].to_vec(), ..suppressed("cut off", &question) },
    ]);
}

#[test]
fn an_advertisement_leaves_only_for_a_vip_that_this_node_announces() {
    let to_all = advertisement(NODE);
    let to_one = Ndp { destination: CLIENT, receiver: CLIENT_IP6, flags: SOLICITED, ..advertisement(NODE) };
    let cases = [("unsolicited", to_all), ("solicited", to_one)].into_iter().flat_map(|(form, ndp)| {
        let case = |name: &str| Case::new(format!("{form}, {name}"), ndp.bytes()).of(Family::Ipv6);
        [
            case("of a suppressed VIP").role(Role::Suppress).counted_as(Fate::Unheld),
            case("of a suppressed VIP, past the lease")
                .role(Role::Suppress)
                .lease(Lease::Expired)
                .counted_as(Fate::Unheld),
            case("of an announced VIP, past the lease").lease(Lease::Expired).counted_as(Fate::Unheld),
            case("of an announced VIP"),
            case("of a contested VIP").role(Role::Contested),
            case("of a suppressed VIP before the first lease").role(Role::Suppress).lease(Lease::Never),
            case("of a suppressed VIP, a day past the lease").role(Role::Suppress).lease(Lease::DayOld),
            case("without an entry").entry(None),
            Case { ifindex: 77, ..case("of a VIP of another interface") }.role(Role::Suppress),
            Case { input: Ndp { target: OTHER6, ..ndp.clone() }.bytes(), ..case("of another address") }
                .role(Role::Suppress),
        ]
    });
    check_egress(&cases.collect::<Vec<_>>());
}
