use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn interface(index: u32, name: &str) -> Interface {
    Interface { index, name: name.to_owned(), ..Interface::eth0(MAC, &[]) }
}

fn discovered(also: &[&str]) -> Interfaces {
    let also = also.iter().map(|&name| name.to_owned()).collect();
    Interfaces::Discovered { also, skip: NamePatterns::default() }
}

fn carriers(wanted: &Interfaces, all: &[Interface]) -> Carriers {
    Carriers::of(wanted, Some("eth1"), all, &Carriers::default())
}

fn expected(default: &[u32], named: &[u32]) -> Carriers {
    Carriers { default: default.iter().copied().collect(), named: named.iter().copied().collect() }
}

#[test]
fn names_that_runtimes_and_plugins_give_are_skipped() {
    let skip = NamePatterns::default();
    let why = |name: &str| why_skipped(&interface(2, name), &[], &skip, false);
    let skipped = [
        ("docker0", "docker"),
        ("cbr0", "cbr"),
        ("dummy1", "dummy"),
        ("virbr0", "virbr"),
        ("lxcbr0", "cbr"),
        ("veth12ab", "veth"),
        ("lo", "^lo$"),
        ("cali1", "cali"),
        ("tunl0", "tunl"),
        ("flannel.1", "flannel"),
        ("kube-ipvs0", "kube-ipvs"),
        ("cni0", "cni"),
        ("nodelocaldns", "nodelocaldns"),
        ("lxc1", "lxc"),
    ];
    for (name, pattern) in skipped {
        assert_eq!(why(name), Some(Skipped::Named(pattern.to_owned())), "{name}");
    }
    for name in ["eth0", "ens3", "bond0", "br-lan", "loop0", "eno1.100", "wlan0"] {
        assert_eq!(why(name), None, "{name}");
    }
}

#[test]
fn the_kind_of_a_device_is_no_matter() {
    let veth = Interface { kind: Some("veth".to_owned()), ..interface(2, "eth0") };
    assert_eq!(why_skipped(&veth, &[], &NamePatterns::default(), false), None);
}

#[test]
fn a_device_that_cannot_answer_for_a_vip_is_skipped() {
    let skip = NamePatterns::default();
    let eth0 = || interface(2, "eth0");
    let all = [
        Interface { kind: Some("bond".to_owned()), ..interface(5, "bond0") },
        Interface { kind: Some("vrf".to_owned()), mac: None, ..interface(6, "blue") },
    ];
    let cases = [
        (Interface { mac: None, ..eth0() }, Some(Skipped::NotEthernet)),
        (Interface { is_noarp: true, ..eth0() }, Some(Skipped::NoArp)),
        (Interface { master: Some(5), ..eth0() }, Some(Skipped::Enslaved("bond0".to_owned()))),
        (Interface { master: Some(9), ..eth0() }, Some(Skipped::Enslaved("interface 9".to_owned()))),
        (Interface { master: Some(6), ..eth0() }, None),
        (Interface { is_running: false, ..eth0() }, Some(Skipped::Down)),
    ];
    for (interface, expected) in cases {
        assert_eq!(why_skipped(&interface, &all, &skip, false), expected, "{interface:?}");
    }
}

#[test]
fn a_discovered_interface_stays_without_a_carrier_but_not_when_it_is_set_down() {
    let (eth0, eth1) = (interface(2, "eth0"), interface(3, "eth1"));
    let without_carrier = |interface: &Interface| Interface { is_running: false, ..interface.clone() };
    let before = expected(&[2], &[]);
    let after = |all: &[Interface]| Carriers::of(&discovered(&[]), None, all, &before);
    assert_eq!(after(&[without_carrier(&eth0), without_carrier(&eth1)]), before);
    assert_eq!(after(&[Interface { is_up: false, ..without_carrier(&eth0) }]), expected(&[], &[]));
    assert_eq!(after(&[Interface { master: Some(9), ..eth0 }]), expected(&[], &[]), "a port by now");
}

#[test]
fn what_the_plan_says_of_interfaces_is_what_carries_vips() {
    let all = [interface(2, "eth0"), interface(3, "eth1"), interface(4, "veth9"), interface(5, "cni0")];
    assert_eq!(carriers(&Interfaces::OfDefaultRoute, &all), expected(&[3], &[]));
    let named = Interfaces::Named(vec!["eth0".to_owned(), "veth9".to_owned(), "eth7".to_owned()]);
    assert_eq!(carriers(&named, &all), expected(&[2, 4], &[]));
    assert_eq!(carriers(&discovered(&[]), &all), expected(&[2, 3], &[]));
    let also = carriers(&discovered(&["veth9", "eth0", "eth7"]), &all);
    assert_eq!(also, expected(&[2, 3], &[4]));
    assert_eq!(also.all().collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn an_interface_without_an_ethernet_address_carries_none_even_if_it_is_named() {
    let tun = Interface { mac: None, ..interface(2, "tun0") };
    assert_eq!(carriers(&discovered(&["tun0"]), &[tun]), Carriers::default());
}

#[test]
fn other_patterns_skip_other_names_and_are_compared_by_their_texts() {
    let skip = NamePatterns::parse(["^eth[1-9]$", "-backup$"]).unwrap();
    let found = ["eth0", "eth1", "ens3-backup", "docker0"].map(|name| skip.find(name));
    assert_eq!(found, [None, Some("^eth[1-9]$"), Some("-backup$"), None]);
    assert_eq!(skip, NamePatterns::parse(["^eth[1-9]$", "-backup$"]).unwrap());
    assert_ne!(skip, NamePatterns::default());
    assert_eq!(NamePatterns::parse(["eth", "("]).unwrap_err().0, "(");
}
