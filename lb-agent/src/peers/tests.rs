use super::*;

const IFINDEX: u32 = 2;

fn interface(addresses: &[&str]) -> Interface {
    Interface { index: IFINDEX, ..Interface::eth0([2, 0, 0, 0, 0, 1], addresses) }
}

/// Node `n1` and its peer `n2`, with the number of the latter.
fn peers(of_n1: &[&str], of_n2: &[&str]) -> (Peers, NodeId) {
    let node = |name: &str, addresses: &[&str]| Node {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let (mut peers, mut roster) = (Peers::default(), Roster::default());
    peers.follow(&[node("n1", of_n1), node("n2", of_n2)], "n1", &mut roster);
    let n2 = roster.number("n2").unwrap();
    (peers, n2)
}

/// The sessions of `n1`, which has these addresses, when it has to know of `n2`.
fn sessions(peers: &mut Peers, n2: NodeId, own: &[&str]) -> Vec<(String, String)> {
    let own = peers.own(&interface(own), |_| false);
    let need = Need { predecessors: &[n2], silent: &[], watch_all: true, also: None };
    let (sessions, _) = peers.sessions(IFINDEX, &own, [need].into_iter());
    sessions.into_iter().map(|(key, target)| (target.local.to_string(), key.peer.to_string())).collect()
}

fn session(local: &str, peer: &str) -> Vec<(String, String)> {
    vec![(local.to_owned(), peer.to_owned())]
}

#[test]
fn a_session_is_by_ipv4_else_by_a_common_prefix_else_link_local() {
    let (mut peers, n2) = peers(&[], &["fe80::2", "fd77::2", "10.77.0.2"]);
    let mut with = |own: &[&str]| sessions(&mut peers, n2, own);
    assert_eq!(with(&["fe80::1/64", "fd77::1/64", "10.77.0.1/16"]), session("10.77.0.1", "10.77.0.2"));
    assert_eq!(with(&["fe80::1/64", "fd77::1/64", "10.78.0.1/16"]), session("fd77::1", "fd77::2"));
    assert_eq!(with(&["fe80::1/64", "fd78::1/64"]), session("fe80::1", "fe80::2"));
    assert_eq!(with(&["fd78::1/64"]), []);
}

#[test]
fn a_verdict_counts_for_the_address_that_is_probed_now() {
    let (mut peers, n2) = peers(&[], &["10.77.0.2", "fd77::2"]);
    sessions(&mut peers, n2, &["10.77.0.1/16", "fd77::1/64"]);
    let key = |address: &str| SessionKey { ifindex: IFINDEX, peer: address.parse().unwrap() };
    assert_eq!(peers.judged(key("fd77::2"), Liveness::Down), None);
    assert_eq!(peers.judged(key("10.77.0.2"), Liveness::Down), Some(n2));
    sessions(&mut peers, n2, &["fd77::1/64"]);
    assert_eq!(peers.judged(key("10.77.0.2"), Liveness::Down), None);
    assert_eq!(peers.judged(key("fd77::2"), Liveness::Down), Some(n2));
}

#[test]
fn a_lost_peer_is_kept_at_the_address_that_is_probed() {
    const MAC: Mac = [2, 0, 0, 0, 0, 2];
    let (mut peers, n2) = peers(&[], &["10.77.0.2", "fd77::2"]);
    let probed: IpAddr = "fd77::2".parse().unwrap();
    sessions(&mut peers, n2, &["fd77::1/64"]);
    peers.resolved(IFINDEX, [("10.77.0.2".parse().unwrap(), MAC)]);
    assert_eq!(peers.down_on(IFINDEX).count(), 0);
    peers.judged(SessionKey { ifindex: IFINDEX, peer: probed }, Liveness::Down);
    assert_eq!(peers.down_on(IFINDEX).collect::<Vec<_>>(), [(probed, MAC)]);
}

#[test]
fn a_peer_is_known_by_the_link_layer_address_of_either_family() {
    const MAC: Mac = [2, 0, 0, 0, 0, 2];
    let interface = interface(&["10.77.0.1/16", "fe80::1/64"]);
    for known in ["10.77.0.2", "fe80::2"] {
        let (mut peers, n2) = peers(&[], &["10.77.0.2", "fe80::2", "fd77::2"]);
        assert_eq!(peers.unresolved_on(&interface).count(), 2);
        peers.resolved(IFINDEX, [(known.parse().unwrap(), MAC)]);
        assert_eq!((peers.by_mac(IFINDEX, MAC), peers.mac(IFINDEX, n2)), (Some(n2), Some(MAC)));
        assert_eq!(peers.unresolved_on(&interface).count(), 0);
    }
}
