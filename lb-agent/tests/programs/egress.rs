//! Outgoing frames: no request leaves with a VIP of another node as its sender.

use lb_common::{maps::Role, reason::Fate};

use crate::{
    arp::{Arp, CLIENT, CLIENT_IP, NODE, NODE_IP, REQUEST, VIP},
    case::{Case, Lease, check},
    kernel::{Kernel, Program},
};

/// The stack, asking for the client from the VIP that it has on the loopback.
const FROM_VIP: Arp = Arp { source: NODE, sha: NODE, spa: VIP, tpa: CLIENT_IP, ..REQUEST };

#[test]
fn the_sender_of_a_request_is_replaced_unless_this_node_announces_it() {
    let bytes = FROM_VIP.bytes();
    let from_node = Arp { spa: NODE_IP, ..FROM_VIP };
    let probe = Arp { spa: [0; 4], ..FROM_VIP };
    let announcement = Arp { tpa: VIP, ..FROM_VIP };
    let reply = Arp { destination: CLIENT, oper: 2, tha: CLIENT, ..FROM_VIP };
    let rewritten = |case: Case, arp: Arp| case.counted_as(Fate::SenderRewritten).comes_out_as(arp.bytes());
    let cases = [
        rewritten(Case::new("from a suppressed VIP", bytes.clone()).role(Role::Suppress), from_node),
        rewritten(
            Case { iface: None, ..Case::new("from a suppressed VIP without an own address", bytes.clone()) }
                .role(Role::Suppress),
            probe,
        ),
        rewritten(
            Case::new("an announcement of a suppressed VIP", announcement.bytes()).role(Role::Suppress),
            Arp { spa: NODE_IP, ..announcement },
        ),
        rewritten(
            Case::new("from a suppressed VIP, past the lease", bytes.clone())
                .role(Role::Suppress)
                .lease(Lease::Expired),
            from_node,
        ),
        rewritten(
            Case::new("from an announced VIP, past the lease", bytes.clone()).lease(Lease::Expired),
            from_node,
        ),
        Case::new("from an announced VIP", bytes.clone()),
        Case::new("an announcement of an announced VIP", announcement.bytes()),
        Case::new("from a suppressed VIP before the first lease", bytes.clone())
            .role(Role::Suppress)
            .lease(Lease::Never),
        Case::new("from a suppressed VIP, a day past the lease", bytes.clone())
            .role(Role::Suppress)
            .lease(Lease::DayOld),
        Case::new("from a contested VIP", bytes.clone()).role(Role::Contested),
        Case::new("from an address that is no VIP", from_node.bytes()).role(Role::Suppress),
        Case::new("a reply from a suppressed VIP", reply.bytes()).role(Role::Suppress),
        Case::new("another EtherType", Arp { ethertype: 0x0800, ..FROM_VIP }.bytes()).role(Role::Suppress),
        Case::new("another htype", Arp { htype: 6, ..FROM_VIP }.bytes()).role(Role::Suppress),
        Case::new("cut off", bytes[..41].to_vec()).role(Role::Suppress),
        Case { ifindex: 77, ..Case::new("a VIP of another interface", bytes) }.role(Role::Suppress),
    ];
    check(&mut Kernel::load(), &[Program::TcEgress], &cases);
}
