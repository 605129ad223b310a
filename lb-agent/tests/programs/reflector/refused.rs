//! What is no probe for this node passes with its reason.

use lb_common::{
    maps::{Iface, Role},
    reason::Fate,
};

use super::{case, of_both};
use crate::{
    arp::{BROADCAST, NODE, STRANGER},
    case::{Case, NODE_IFACE, check_ingress},
    ndp::ALL_NODES,
    probe::{DISCRIMINATOR, Ip, IpV4, IpV6, Probe},
};

#[test]
fn what_is_no_probe_for_this_node_passes_with_its_reason() {
    let mut cases = of_both!(malformed);
    cases.extend(of_both!(from_or_for_elsewhere));
    cases.extend(of_both!(none_of_ours));
    cases.extend(ipv4());
    cases.extend(ipv6());
    let suppressed = cases.iter().map(|case| case.clone().role(Role::Suppress)).collect::<Vec<_>>();
    cases.extend(suppressed);
    check_ingress(&cases);
}

fn refused<I: Ip>(name: &str, probe: Probe<I>, fate: Fate) -> Case {
    case(name, probe).counted_as(fate)
}

fn malformed<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    vec![
        refused("another IP version", right.ip(|ip| ip.version(5)), Fate::SbfdIpHeader),
        refused("through a router", right.ip(|ip| ip.hop_limit(254)), Fate::SbfdHopLimit),
        refused("TTL 0", right.ip(|ip| ip.hop_limit(0)), Fate::SbfdHopLimit),
        refused("IP says less", right.ip(|ip| ip.longer(-1)), Fate::SbfdLength),
        refused("IP says less than its header", right.ip(|ip| ip.longer(-33)), Fate::SbfdLength),
        refused("IP says more", right.ip(|ip| ip.longer(1)), Fate::SbfdLength),
        refused("UDP says less", Probe { udp_len: 31, ..right }, Fate::SbfdLength),
        refused("UDP says more", Probe { udp_len: 33, ..right }, Fate::SbfdLength),
        refused("from a reflector's port", Probe { source_port: 7784, ..right }, Fate::SbfdSourcePort),
        refused("BFD version 0", Probe { version_diag: 0x00, ..right }, Fate::SbfdVersion),
        refused("BFD version 2", Probe { version_diag: 0x40, ..right }, Fate::SbfdVersion),
        refused("a length of 23", Probe { length: 23, ..right }, Fate::SbfdControlLength),
        refused("a length of 26", Probe { length: 26, ..right }, Fate::SbfdControlLength),
        refused("authentication", Probe { state_flags: 0xc6, ..right }, Fate::SbfdUnsupported),
        refused("multipoint", Probe { state_flags: 0xc3, ..right }, Fate::SbfdUnsupported),
        refused("no multiplier", Probe { detect_mult: 0, ..right }, Fate::SbfdZero),
        refused("no discriminator of its own", Probe { my_discriminator: 0, ..right }, Fate::SbfdZero),
        refused("an answer", Probe { state_flags: 0xc0, ..right }, Fate::SbfdNotDemand),
    ]
}

fn from_or_for_elsewhere<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    let group = I::FAMILY.group();
    let of_another_node = Probe { your_discriminator: DISCRIMINATOR + 1, ..right };
    vec![
        refused("to everyone", Probe { destination: BROADCAST, ..right }, Fate::SbfdOtherDestination),
        refused("another station's", Probe { destination: STRANGER, ..right }, Fate::SbfdOtherDestination),
        refused("another host's", right.to(I::FAMILY.other()), Fate::SbfdOtherDestination),
        Case { iface: None, ..case("the interface is none of ours", right) }
            .counted_as(Fate::SbfdOtherDestination),
        Case {
            iface: Some(Iface { mac: NODE, ..Iface::default() }),
            ..case("no address is no destination", right.to(I::FAMILY.unspecified()))
        }
        .counted_as(Fate::SbfdOtherDestination),
        refused("from this station", Probe { source: NODE, ..right }, Fate::SbfdOwnSource),
        refused("from this host", right.from(I::FAMILY.node()), Fate::SbfdOwnSource),
        refused("from a group", Probe { source: group, ..right }, Fate::SbfdNotUnicast),
        refused("from no station", Probe { source: [0; 6], ..right }, Fate::SbfdNotUnicast),
        refused("another node's", of_another_node, Fate::SbfdOtherDiscriminator),
        refused("nobody's", Probe { your_discriminator: 0, ..right }, Fate::SbfdOtherDiscriminator),
    ]
}

fn none_of_ours<I: Ip>() -> Vec<Case> {
    let right = Probe::<I>::RIGHT;
    let swapped = Probe { destination_port: 0x681e, ..right };
    vec![
        case("another port is none of ours", Probe { destination_port: 3784, ..right }),
        case("its bytes the other way round are another port", swapped),
        case("another protocol is none of ours", right.ip(|ip| ip.protocol(6))),
        case("another EtherType is none of ours", Probe { ethertype: 0x88b5, ..right }),
    ]
}

fn ipv4() -> Vec<Case> {
    let right = Probe::<IpV4>::RIGHT;
    let with =
        |version_ihl, options, total_len| right.ip(|ip| IpV4 { version_ihl, options, total_len, ..ip });
    let fragment = |flags_fragment| right.ip(|ip| IpV4 { flags_fragment, ..ip });
    let from = |name: &str, sender: [u8; 4], fate| refused(name, right.from(sender.into()), fate);
    let elsewhere = Iface { ipv4: [10, 77, 0, 3], ..NODE_IFACE };
    vec![
        refused("IP options", with(0x46, &[1, 1, 1, 1], 56), Fate::SbfdIpHeader),
        refused("as many IP options as there can be", with(0x4f, &[1; 40], 92), Fate::SbfdIpHeader),
        refused("the first fragment", fragment(0x2000), Fate::SbfdFragment),
        refused("a later fragment", fragment(0x0003), Fate::SbfdFragment),
        refused("to all hosts", right.to([224, 0, 0, 1].into()), Fate::SbfdOtherDestination),
        Case { iface: Some(elsewhere), ..case("the interface has another address", right) }
            .counted_as(Fate::SbfdOtherDestination),
        from("from another prefix", [10, 78, 0, 200], Fate::SbfdOffLink),
        from("from nobody", [0; 4], Fate::SbfdOffLink),
        from("from the prefix", [10, 77, 0, 0], Fate::SbfdNotUnicast),
        from("from its broadcast address", [10, 77, 255, 255], Fate::SbfdNotUnicast),
        case("where options reach beyond the frame there is no port", with(0x4f, &[], 52)),
    ]
}

fn ipv6() -> Vec<Case> {
    let right = Probe::<IpV6>::RIGHT;
    let from = |name: &str, sender: [u8; 16], fate| refused(name, right.from(sender.into()), fate);
    let mut off_link = crate::ndp::NODE_IP6;
    off_link[7] = 1;
    vec![
        refused("to all nodes", right.to(ALL_NODES.into()), Fate::SbfdOtherDestination),
        from("from another prefix", off_link, Fate::SbfdOffLink),
        from("from nobody", [0; 16], Fate::SbfdNotUnicast),
        from("from all nodes", ALL_NODES, Fate::SbfdNotUnicast),
        from(
            "from a prefix like the link-local one",
            [&[0xfe, 0xc0], &[1; 14][..]].concat().try_into().expect("16"),
            Fate::SbfdOffLink,
        ),
        // Behind another header there is no port where it would be.
        case("in a fragment", right.ip(|ip| ip.protocol(44))),
    ]
}

#[test]
fn a_probe_is_for_the_family_that_the_interface_has() {
    let ipv4_only = Iface { ipv6_link_local: [0; 16], ipv6: [0; 16], ipv6_mask: [0; 16], ..NODE_IFACE };
    let ipv6_only = Iface { ipv4: [0; 4], ipv4_mask: [0; 4], ..NODE_IFACE };
    let refused =
        |case: Case, iface| Case { iface: Some(iface), ..case }.counted_as(Fate::SbfdOtherDestination);
    check_ingress(&[
        refused(case("without an IPv6 address", Probe::<IpV6>::RIGHT), ipv4_only),
        refused(case("without an IPv4 address", Probe::<IpV4>::RIGHT), ipv6_only),
    ]);
}
