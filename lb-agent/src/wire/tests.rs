use lb_common::wire::{arp, icmpv6::ndp};

use super::*;

const MAC: Mac = [2, 0, 0, 0, 0, 1];
const PEER: Mac = [2, 0, 0, 0, 0, 2];
/// The peer's number.
const NODE: NodeId = 7;

fn interface(addresses: &[&str]) -> Interface {
    Interface::eth0(MAC, addresses)
}

fn ipv6(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

fn request(spa: [u8; 4], tpa: [u8; 4]) -> Frame {
    Frame::Arp(arp::Frame::request(MAC, spa, tpa))
}

fn solicitation(source: &str, target: &str) -> Frame {
    Frame::Ndp(ndp::Frame::solicitation(MAC, ipv6(source), ipv6(target)))
}

/// The frame of a node that has these addresses.
fn sent(message: Message, vip: &str, own: &[&str]) -> Option<Frame> {
    let vip = vip.parse().unwrap();
    frame(message, vip, &interface(own), |address| address == vip, |node| (node == NODE).then_some(PEER))
}

#[test]
fn an_ask_comes_from_the_nodes_own_address_never_from_a_vip() {
    let ask = |vip, own: &[&str]| sent(Message::Ask(None), vip, own);
    let asked = ask("10.77.1.10", &["fd77::1/64", "10.77.1.10/16", "10.77.0.1/16"]);
    assert_eq!(asked, Some(request([10, 77, 0, 1], [10, 77, 1, 10])));
    let asked =
        ask("fd77::10", &["10.77.0.1/16", "fe80::1/64", "fd77::10/64", "2001:db8::1/64", "fd77::1/64"]);
    assert_eq!(asked, Some(solicitation("fd77::1", "fd77::10")));
}

#[test]
fn without_an_address_of_the_prefix_a_solicitation_comes_from_the_link_local_one() {
    let own = ["2001:db8::1/64", "fe80::1/64", "fd77::10/64"];
    assert_eq!(sent(Message::Ask(None), "fd77::10", &own), Some(solicitation("fe80::1", "fd77::10")));
}

#[test]
fn an_ask_without_an_own_address_is_a_probe_by_arp_and_none_by_ndp() {
    let ask = |vip, own: &[&str]| sent(Message::Ask(None), vip, own);
    assert_eq!(ask("10.77.1.10", &["10.77.1.10/16"]), Some(request([0; 4], [10, 77, 1, 10])));
    assert_eq!(ask("fd77::10", &["fd77::10/64"]), None);
}

#[test]
fn a_vip_outside_of_the_prefixes_is_asked_for_only_of_a_peer() {
    for (vip, own) in [("192.0.2.1", "10.77.0.1/16"), ("2001:db8::1", "fd77::1/64")] {
        assert_eq!(sent(Message::Ask(None), vip, &[own]), None);
        assert_eq!(sent(Message::Ask(Some(NODE + 1)), vip, &[own]), None);
        assert!(sent(Message::Ask(Some(NODE)), vip, &[own]).is_some());
    }
}

#[test]
fn what_is_for_one_peer_goes_to_its_address() {
    let to_peer = |message, vip| sent(message, vip, &["10.77.0.1/16", "fd77::1/64"]);
    let ask = request([10, 77, 0, 1], [10, 77, 1, 10]);
    assert_eq!(to_peer(Message::Ask(Some(NODE)), "10.77.1.10"), Some(ask.to(PEER)));
    let solicitation_of_peer = ndp::Frame::unicast_solicitation(MAC, ipv6("fd77::1"), PEER, ipv6("fd77::10"));
    assert_eq!(to_peer(Message::Ask(Some(NODE)), "fd77::10"), Some(Frame::Ndp(solicitation_of_peer)));
    let claim = request([10, 77, 1, 10], [10, 77, 1, 10]);
    assert_eq!(to_peer(Message::Claim(NODE), "10.77.1.10"), Some(claim.to(PEER)));
    let advertisement = ndp::Frame::unsolicited_advertisement(MAC, ipv6("fd77::10"));
    assert_eq!(to_peer(Message::Claim(NODE), "fd77::10"), Some(Frame::Ndp(advertisement.to(PEER))));
}

#[test]
fn a_peer_without_a_known_address_is_asked_with_everyone_and_claimed_from_by_no_frame() {
    let unknown = NODE + 1;
    for (vip, ask) in [
        ("10.77.1.10", request([10, 77, 0, 1], [10, 77, 1, 10])),
        ("fd77::10", solicitation("fd77::1", "fd77::10")),
    ] {
        let to_peer = |message| sent(message, vip, &["10.77.0.1/16", "fd77::1/64"]);
        assert_eq!(to_peer(Message::Ask(Some(unknown))), Some(ask));
        assert_eq!(to_peer(Message::Claim(unknown)), None);
    }
}

#[test]
fn announcements_have_two_forms_by_arp_and_one_by_ndp() {
    let announced = |form, vip| sent(Message::Announce(form), vip, &[]);
    let reply = Frame::Arp(arp::Frame::announcement_reply(MAC, [10, 77, 1, 10]));
    assert_eq!(announced(Form::Request, "10.77.1.10"), Some(request([10, 77, 1, 10], [10, 77, 1, 10])));
    assert_eq!(announced(Form::Reply, "10.77.1.10"), Some(reply));
    let advertisement = Frame::Ndp(ndp::Frame::unsolicited_advertisement(MAC, ipv6("fd77::10")));
    assert_eq!(announced(Form::Request, "fd77::10"), Some(advertisement));
    assert_eq!(announced(Form::Reply, "fd77::10"), None);
}

#[test]
fn an_interface_without_an_ethernet_address_sends_nothing() {
    let tun = Interface { mac: None, ..interface(&["10.77.0.1/16"]) };
    let message = Message::Announce(Form::Request);
    assert_eq!(frame(message, "10.77.1.10".parse().unwrap(), &tun, |_| true, |_| None), None);
}
