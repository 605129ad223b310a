use std::{collections::BTreeSet, net::IpAddr};

use proptest::prelude::*;

use super::*;

fn problems(text: &str) -> String {
    Config::parse("lb.yaml", text)
        .map_or_else(|problems| problems.to_string(), |config| format!("{config:?}"))
}

fn addresses(set: &VipSet) -> Vec<String> {
    set.addresses().map(|address| address.to_string()).collect()
}

#[test]
fn a_whole_file_is_read() {
    let text = "node: n1\ninterfaces: [eth0, eth1.5]\nvips: [10.77.1.10, 10.77.1.20-10.77.1.22, 10.77.2.0/31]\n\
                suppress:\n  - 10.77.3.0/32\n  - 10.77.3.9 - 10.77.3.9\n";
    let config = Config::parse("lb.yaml", text).unwrap();
    assert_eq!(config.node.as_deref(), Some("n1"));
    assert_eq!(config.interfaces, Some(vec![("eth0".to_owned(), 2), ("eth1.5".to_owned(), 2)]));
    let vips = ["10.77.1.10", "10.77.1.20", "10.77.1.21", "10.77.1.22", "10.77.2.0", "10.77.2.1"];
    assert_eq!(addresses(&config.vips), vips);
    assert_eq!(addresses(&config.suppress), ["10.77.3.0", "10.77.3.9"]);
    assert_eq!(config.suppress.ranges().iter().map(|range| range.line).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn what_is_left_out_has_a_default() {
    assert_eq!(Config::parse("lb.yaml", "vips: []\n"), Ok(Config::default()));
    let expected = Config {
        node: None,
        interfaces: None,
        nodes: None,
        vips: VipSet::default(),
        suppress: VipSet::default(),
        failback: Failback::After(30_000_000_000),
    };
    assert_eq!(Config::default(), expected);
}

#[test]
fn a_group_is_read() {
    let text = "nodes:\n- {name: n1, address: 10.77.0.1}\n- name: n2\n  address: 10.77.0.2\nvips: [10.77.1.1]\n\
                failback: after 5m\n";
    let config = Config::parse("lb.yaml", text).unwrap();
    let node = |name: &str, address: &str| Member {
        name: name.to_owned(),
        addresses: vec![address.parse().unwrap()],
    };
    assert_eq!(config.nodes, Some(vec![(node("n1", "10.77.0.1"), 2), (node("n2", "10.77.0.2"), 3)]));
    assert_eq!(config.failback, Failback::After(300_000_000_000));
}

#[test]
fn a_node_may_have_addresses_of_both_families() {
    let text = "nodes: [{name: n1, addresses: [10.77.0.1, fd77::1, fe80::1]}, {name: n2, address: fe80::2}]\nvips: []\n";
    let nodes = Config::parse("lb.yaml", text).unwrap().nodes.unwrap();
    let addresses: Vec<String> =
        nodes.iter().flat_map(|(node, _)| &node.addresses).map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.77.0.1", "fd77::1", "fe80::1", "fe80::2"]);
}

#[test]
fn the_vips_of_a_list_within_the_list_go_together() {
    let text = "vips: [10.0.0.2-10.0.0.3, [fd00::11, 10.0.0.1, fd00::20/127], [10.0.0.4], fd00::12]\n";
    let config = Config::parse("lb.yaml", text).unwrap();
    let units: Vec<Vec<String>> =
        config.vips.units().iter().map(|unit| unit.iter().map(ToString::to_string).collect()).collect();
    let expected: [&[&str]; 5] = [
        &["10.0.0.2"],
        &["10.0.0.3"],
        &["fd00::12"],
        &["10.0.0.1", "fd00::11", "fd00::20", "fd00::21"],
        &["10.0.0.4"],
    ];
    assert_eq!(units, expected);
}

#[test]
fn each_problem_of_a_group_names_file_line_and_remedy() {
    let form = "write `{name: n1, address: 10.0.0.1}`";
    let many = "write `{name: n1, addresses: [10.0.0.1, fd00::1]}`";
    let cases = [
        ("vips: []\nnodes: n1\n", format!("lb.yaml:2: `nodes` is the text `n1`, not a list; {form}")),
        (
            "vips: []\nnodes: []\n",
            "lb.yaml:2: `nodes` is empty; name this node at least, or leave the key out".to_owned(),
        ),
        ("vips: []\nnodes: [n1]\n", format!("lb.yaml:2: an item of `nodes` is the text `n1`; {form}")),
        ("vips: []\nnodes:\n- name: n1\n", format!("lb.yaml:3: node n1 has no `address`; {form}")),
        ("vips: []\nnodes:\n- address: 10.0.0.1\n", format!("lb.yaml:3: a node has no `name`; {form}")),
        (
            "vips: []\nnodes:\n- {name: n1, adress: 10.0.0.1}\n",
            format!("lb.yaml:3: unknown key `adress` in an item of `nodes`; {form}"),
        ),
        (
            "vips: []\nnodes:\n- {name: n1, address: 10.0.0}\n",
            "lb.yaml:3: `10.0.0` is no address; give the node's own address on the segment, such as 10.0.0.1"
                .to_owned(),
        ),
        (
            "vips: []\nnodes:\n- {name: n1, address: 10.0.0.1}\n- {name: n1, address: 10.0.0.2}\n",
            "lb.yaml:4: node n1 is there already, in line 3; name each node once".to_owned(),
        ),
        (
            "vips: []\nnodes:\n- {name: n1, address: 10.0.0.1}\n- {name: n2, address: 10.0.0.1}\n",
            "lb.yaml:4: address 10.0.0.1 is that of another node already, in line 3; give each node its own"
                .to_owned(),
        ),
        (
            "vips: []\nnodes:\n- {name: n1, address: ff02::1}\n",
            "lb.yaml:3: `ff02::1` is no node's address: it is a multicast address; give the node's own address on the \
             segment, such as 10.0.0.1"
                .to_owned(),
        ),
        (
            "vips: []\nnodes:\n- name: n1\n  address: 10.0.0.1\n  addresses: [fd00::1]\n",
            "lb.yaml:5: a node has both `address` and `addresses`; put all of them into `addresses`".to_owned(),
        ),
        ("vips: []\nnodes:\n- {name: n1, addresses: []}\n", format!("lb.yaml:3: a node's `addresses` are empty; {many}")),
        (
            "vips: []\nnodes:\n- {name: n1, addresses: 10.0.0.1}\n",
            format!("lb.yaml:3: a node's `addresses` are the text `10.0.0.1`, not a list; {many}"),
        ),
        (
            "vips: []\nnodes:\n- name: n1\n  addresses:\n  - 10.0.0.1\n  - fd00\n",
            "lb.yaml:6: `fd00` is no address; give the node's own address on the segment, such as 10.0.0.1".to_owned(),
        ),
        (
            "vips: []\nnodes:\n- {name: n1, addresses: [fd00::1, fd00::1]}\n",
            "lb.yaml:3: address fd00::1 of node n1 is there already, in line 3; name it once".to_owned(),
        ),
        (
            "vips: [10.0.0.1]\nnodes:\n- {name: n1, address: 10.0.0.1}\n",
            "lb.yaml:3: 10.0.0.1 is the address of node n1, and a VIP; take it off `vips`, a VIP belongs to no node"
                .to_owned(),
        ),
        (
            "vips: []\nnodes: [{name: n1, address: 10.0.0.1}]\nsuppress: []\n",
            "lb.yaml:3: `suppress` beside `nodes`: each node suppresses what another one announces; put the VIPs of \
             the group into `vips`, and leave `suppress` out"
                .to_owned(),
        ),
        (
            "vips: []\nfailback: never\n",
            "lb.yaml:2: `failback` without `nodes`: there is nobody to take VIPs from; name the nodes of the group in \
             `nodes`, or leave it out"
                .to_owned(),
        ),
        (
            "vips: []\nnodes: [{name: n1, address: 10.0.0.1}]\nfailback: soon\n",
            "lb.yaml:3: `failback` is the text `soon`; write `immediate`, `never`, or `after` with a time: `after \
             30s`, `after 5m`"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), expected, "{text:?}");
    }
}

#[test]
fn each_problem_names_file_line_and_remedy() {
    let forms = "write an address (10.0.0.1), a range (10.0.0.1-10.0.0.9) or a prefix (10.0.0.0/28)";
    let unicast = "name unicast addresses of the segment";
    let cases = [
        ("", "lb.yaml: the file is empty; write `vips: [...]`".to_owned()),
        ("# nothing\n\n", "lb.yaml: the file is empty; write `vips: [...]`".to_owned()),
        ("- a\n", "lb.yaml:1: the file is a list, not keys with values; write `vips: [...]`".to_owned()),
        ("vips: []\nvip: []\n", "lb.yaml:2: unknown key `vip`; write `vips`".to_owned()),
        (
            "vips: []\ncolour: red\n",
            "lb.yaml:2: unknown key `colour`; known keys are node, interfaces, nodes, vips, suppress, failback".to_owned(),
        ),
        ("node: 12\nvips: []\n", "lb.yaml:1: `node` is the value `12`, not a name; put the name in quotes".to_owned()),
        (
            "node:\nvips: []\n",
            "lb.yaml:1: `node` is empty; give the node's name, or leave the key out".to_owned(),
        ),
        ("vips: 10.0.0.1\n", "lb.yaml:1: `vips` is the text `10.0.0.1`, not a list; write `vips: [...]`".to_owned()),
        (
            "vips:\n - 10.0.0.1\n - 7\n",
            "lb.yaml:3: an item of `vips` is the value `7`; write plain text, in quotes if need be".to_owned(),
        ),
        ("vips: [10.0.0.256]\n", format!("lb.yaml:1: `10.0.0.256`: \"10.0.0.256\" is no address; {forms}")),
        ("vips: [10.0.0.0/33]\n", format!("lb.yaml:1: `10.0.0.0/33`: \"10.0.0.0/33\" is no address; {forms}")),
        (
            "vips:\n- 10.0.0.9-10.0.0.1\n",
            "lb.yaml:2: `10.0.0.9-10.0.0.1`: the range is reversed; write `10.0.0.1-10.0.0.9`".to_owned(),
        ),
        (
            "vips: [10.0.0.1-fd00::1]\n",
            "lb.yaml:1: `10.0.0.1-fd00::1`: the range goes from one family to the other; write one range a family"
                .to_owned(),
        ),
        (
            "vips: [10.0.0.5/24]\n",
            "lb.yaml:1: `10.0.0.5/24`: the address has bits set past the prefix; write `10.0.0.0/24` for the prefix, \
             or `10.0.0.5` for the address"
                .to_owned(),
        ),
        (
            "vips:\n - 10.0.0.1\n - 10.0.0.0/30\n",
            "lb.yaml:3: 10.0.0.1 in `vips` is there already, in `vips` in line 2; name each VIP once".to_owned(),
        ),
        (
            "vips: [10.0.0.1]\nsuppress: [10.0.0.1]\n",
            "lb.yaml:2: 10.0.0.1 in `suppress` is there already, in `vips` in line 1; name each VIP once".to_owned(),
        ),
        ("vips: [\"::\"]\n", format!("lb.yaml:1: `::`: no VIP can be there: it is the unspecified address; {unicast}")),
        ("vips: [\"::1\"]\n", format!("lb.yaml:1: `::1`: no VIP can be there: it is a loopback address; {unicast}")),
        ("vips: [ff02::1]\n", format!("lb.yaml:1: `ff02::1`: no VIP can be there: it is a multicast address; {unicast}")),
        (
            "vips: [\"::ffff:10.0.0.1\"]\n",
            format!(
                "lb.yaml:1: `::ffff:10.0.0.1`: no VIP can be there: it is an IPv4-mapped address, which is written as \
                 10.0.0.1; {unicast}"
            ),
        ),
        (
            "vips: [fe80::10]\n",
            format!(
                "lb.yaml:1: `fe80::10`: no VIP can be there: it is a link-local address, which means another host on each \
                 link; {unicast}"
            ),
        ),
        (
            "vips: [fd00::/64]\n",
            "lb.yaml: the lists name 18446744073709551616 addresses; one agent keeps at most 65536; name smaller ranges"
                .to_owned(),
        ),
        (
            "vips:\n- 10.0.0.1\n- []\n",
            "lb.yaml:3: a list within `vips` is empty; name the VIPs that go together, as in `[10.0.0.1, fd00::1]`"
                .to_owned(),
        ),
        (
            "vips: [[10.0.0.1, [fd00::1]]]\n",
            "lb.yaml:1: an item of `vips` is a list; write plain text, in quotes if need be".to_owned(),
        ),
        (
            "suppress: [[10.0.0.1, fd00::1]]\n",
            "lb.yaml:1: an item of `suppress` is a list; write plain text, in quotes if need be".to_owned(),
        ),
        (
            "vips:\n- fd00::1\n- [10.0.0.1, fd00::1]\n",
            "lb.yaml:3: fd00::1 in `vips` is there already, in `vips` in line 2; name each VIP once".to_owned(),
        ),
        ("vips: [127.0.0.1]\n", format!("lb.yaml:1: `127.0.0.1`: no VIP can be there: it is a loopback address; {unicast}")),
        ("vips: [224.0.0.5]\n", format!("lb.yaml:1: `224.0.0.5`: no VIP can be there: it is a multicast address; {unicast}")),
        (
            "vips: [0.0.0.1]\n",
            format!("lb.yaml:1: `0.0.0.1`: no VIP can be there: 0.0.0.0/8 means \"this host\"; {unicast}"),
        ),
        (
            "vips: [255.255.255.255]\n",
            format!("lb.yaml:1: `255.255.255.255`: no VIP can be there: 240.0.0.0/4 is reserved; {unicast}"),
        ),
        (
            "vips: [10.0.0.0/15]\n",
            "lb.yaml: the lists name 131072 addresses; one agent keeps at most 65536; name smaller ranges".to_owned(),
        ),
        (
            "node: n1\n",
            "lb.yaml: the file names no VIPs; write `vips: [...]` (`vips: []` on a node that announces none), or \
             `suppress: [...]`"
                .to_owned(),
        ),
        (
            "interfaces: [eth0, eth0]\nvips: []\n",
            "lb.yaml:1: interface eth0 is there already, in line 1; remove one of the two".to_owned(),
        ),
        (
            "interfaces: [lo]\nvips: []\n",
            "lb.yaml:1: `lo` is no interface: there is nobody to answer on the loopback; give a name as `ip link` shows \
             it"
            .to_owned(),
        ),
        (
            "interfaces: []\nvips: []\n",
            "lb.yaml:1: `interfaces` is empty; name an interface, or leave the key out to take that of the default \
             route"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), expected, "for {text:?}");
    }
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    let told = problems("vips: [10.0.0.1\nnode: n1\n");
    assert!(
        told.starts_with("lb.yaml:") && told.contains("YAML: ") && told.contains("mend the syntax"),
        "{told}"
    );
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let told = problems("vips: [10.0.0.256, 10.0.0.9-10.0.0.1]\nnodes: []\ninterfaces: [a/b]\n");
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn of_very_many_problems_the_first_are_told() {
    let text = format!("vips: [{}]", "x, ".repeat(100));
    assert_eq!(problems(&text).lines().count(), 21);
    assert!(problems(&text).ends_with("lb.yaml: and 80 more problems"));
}

fn interface(name: &str, address: &str) -> Interface {
    let eth0 = Interface::eth0([0; 6], &[&format!("{address}/24")]);
    Interface { name: name.to_owned(), mac: None, ..eth0 }
}

#[test]
fn a_vip_must_not_be_the_nodes_own_address_where_it_announces() {
    let config =
        Config::parse("lb.yaml", "interfaces: [eth0]\nvips: [10.0.0.1]\nsuppress: [10.0.0.2]\n").unwrap();
    let told =
        |interface| config.check("lb.yaml", &[interface], None).map_err(|problems| problems.to_string());
    let expected = "lb.yaml:2: 10.0.0.1 is the address of this node on eth0; take it off the list, a VIP belongs to no node";
    assert_eq!(told(interface("eth0", "10.0.0.1")), Err(expected.to_owned()));
    assert!(told(interface("eth0", "10.0.0.2")).is_err());
    assert_eq!(told(interface("eth0", "10.0.0.3")), Ok(()));
    assert_eq!(told(interface("kube-ipvs0", "10.0.0.1")), Ok(()));
    let mut under_test = interface("eth0", "10.0.0.3");
    under_test.unsettled = vec![("10.0.0.1".parse().unwrap(), 24)];
    assert_eq!(told(under_test), Err(expected.to_owned()));
}

#[test]
fn a_missing_interface_is_told_with_those_that_are_there() {
    let config = Config::parse("lb.yaml", "vips: []\ninterfaces: [eth7]\n").unwrap();
    let nic = Interface { mac: Some([2; 6]), ..interface("eth0", "10.0.0.1") };
    let told =
        config.missing_interfaces("lb.yaml", &[nic, interface("lo", "127.0.0.1")]).unwrap().to_string();
    let expected =
        "lb.yaml:2: there is no Ethernet interface eth7; there are eth0; eth7 is used as soon as it appears";
    assert_eq!(told, expected);
    let eth7 = Interface { mac: Some([2; 6]), ..interface("eth7", "10.0.0.1") };
    assert_eq!(config.missing_interfaces("lb.yaml", &[eth7]), None);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let told = |name: &str| read(&directory.path().join(name)).unwrap_err().to_string();
    assert!(
        told("none.yaml").ends_with("create it, or name another one with --config"),
        "{}",
        told("none.yaml")
    );
    assert!(told("").ends_with("name a file in it with --config"), "{}", told(""));
    fs::write(directory.path().join("latin1.yaml"), b"node: caf\xe9\n").unwrap();
    assert!(told("latin1.yaml").ends_with("it is not UTF-8 text; write it as UTF-8"));
    fs::write(directory.path().join("huge.yaml"), vec![b'#'; 5 << 20]).unwrap();
    assert!(told("huge.yaml").contains("4 MiB is the limit"));
}

proptest! {
    #[test]
    fn addresses_survive_being_written_as_ranges(numbers in proptest::collection::btree_set(0_u32..2_000, 0..60)) {
        let wanted: BTreeSet<IpAddr> =
            numbers.iter().map(|number| std::net::Ipv4Addr::from(0x0a00_0000 + number).into()).collect();
        let mut items: Vec<String> = Vec::new();
        let mut rest: Vec<u32> = numbers.into_iter().collect();
        while let Some(&first) = rest.first() {
            let len = rest.iter().zip(first..).take_while(|(a, b)| **a == *b).count();
            let text = |number: u32| std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
            items.push(format!("{}-{}", text(first), text(rest[len - 1])));
            rest.drain(..len);
        }
        let config = Config::parse("lb.yaml", &format!("vips: [{}]", items.join(", "))).unwrap();
        prop_assert_eq!(config.vips.addresses().collect::<BTreeSet<_>>(), wanted.clone());
        for address in &wanted {
            prop_assert!(config.vips.find(*address).is_some());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = Config::parse("lb.yaml", &text);
    }

    #[test]
    fn no_change_of_a_valid_file_makes_it_panic(at in 0_usize..90, byte in any::<u8>()) {
        let mut bytes = b"node: n1\ninterfaces: [eth0]\nvips: [10.77.1.10, 10.77.1.20-10.77.1.29]\nsuppress: [10.77.2.0/28]\n".to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Config::parse("lb.yaml", &String::from_utf8_lossy(&bytes));
    }
}
