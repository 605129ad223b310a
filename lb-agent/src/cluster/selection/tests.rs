use super::*;
use crate::{
    cluster::{
        fixtures::*,
        index::Index,
        objects::{ConfigKind, Node, Service},
    },
    discovery::NamePatterns,
    plan::Candidate,
    roster,
};

mod changes;
mod sharing;

fn options() -> Options {
    let interfaces = Interfaces::Discovered { also: BTreeSet::new(), skip: NamePatterns::default() };
    Options { me: "n1".to_owned(), lb_class: None, interfaces, failback: Failback::Immediate }
}

fn select(index: &Index) -> Arc<Selection> {
    Selector::default().select(index.cluster(), &options())
}

fn outcome(selection: &Selection, service: &str) -> Outcome {
    selection.services[&named(service)].outcome.clone()
}

fn reason(index: &Index, service: &str) -> Reason {
    match outcome(&select(index), service) {
        Outcome::NotAnnounced(reason) => reason,
        outcome @ Outcome::Announced { .. } => panic!("{outcome:?}"),
    }
}

fn unit(addresses: &[&str], candidates: &[(&str, i64)]) -> PlannedUnit {
    let candidate = |&(node, score): &(&str, i64)| Candidate { node: node.into(), score };
    PlannedUnit {
        addresses: addresses.iter().map(|address| ip(address)).collect(),
        key: ip(addresses[0]),
        candidates: Some(candidates.iter().map(candidate).collect()),
        interfaces: None,
    }
}

fn units(index: &Index) -> Vec<PlannedUnit> {
    select(index).plan.units.iter().map(|unit| PlannedUnit::clone(unit)).collect()
}

const ALL: &[(&str, i64)] = &[("n1", 0), ("n2", 0), ("n3", 0)];

fn member(name: &str, addresses: &[&str]) -> roster::Node {
    roster::Node { name: name.to_owned(), addresses: addresses.iter().map(|address| ip(address)).collect() }
}

#[test]
fn a_service_with_an_address_and_an_endpoint_is_announced_by_one_of_all_nodes() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n2"]);
    let selection = select(&index);
    let web = Arc::new(unit(&["10.0.0.1"], ALL));
    let plan = Plan {
        interfaces: Interfaces::Discovered { also: BTreeSet::new(), skip: NamePatterns::default() },
        nodes: Some(vec![
            member("n1", &["192.168.0.1"]),
            member("n2", &["192.168.0.2"]),
            member("n3", &["192.168.0.3"]),
        ]),
        units: vec![Arc::clone(&web)],
        suppress: vec![],
        failback: Failback::Immediate,
    };
    let verdict = ServiceVerdict {
        name: named("default/web"),
        uid: "".into(),
        addresses: [AddressVerdict { address: ip("10.0.0.1"), pool: Some("pool".into()), node: None }].into(),
        is_local: false,
        serving: Arc::new(Serving { nodes: ["n2".into()].into(), is_elsewhere: false }),
        advertised: Arc::new(Advertised {
            by: vec!["all".into()],
            nodes: ALL.iter().map(|&(node, score)| (node.into(), score)).collect(),
            interfaces: None,
        }),
        outcome: Outcome::Announced { unit: web, services: [named("default/web")].into() },
        problems: [].into(),
    };
    let node = |last: u8| NodeVerdict {
        has_agent: true,
        is_excluded: false,
        is_network_unavailable: false,
        is_ready: true,
        addresses: vec![[192, 168, 0, last].into()],
    };
    let nodes = ["n1", "n2", "n3"].map(|name| (name.into(), 0));
    let all = AdvertisementInUse { object: Arc::new(advertisement()), nodes: Arc::new(nodes.into()) };
    let configuration = Configuration {
        pools: [("pool".into(), Arc::clone(&index.cluster().pools["pool"]))].into(),
        advertisements: [("all".into(), all)].into(),
        rejected: [].into(),
    };
    let expected = Selection {
        plan: Arc::new(plan),
        services: Services::from(&[(named("default/web"), Arc::new(verdict))].into()),
        nodes: Arc::new([("n1".into(), node(1)), ("n2".into(), node(2)), ("n3".into(), node(3))].into()),
        problems: [].into(),
        configuration: Arc::new(configuration),
    };
    assert_eq!(*selection, expected);
}

#[test]
fn only_services_of_the_own_class_are_looked_after() {
    let mut index = three_nodes();
    index.serve("default/plain", service(&["10.0.0.1"]), &["n2"]);
    index.serve("default/ours", service(&["10.0.0.2"]).class("example.com/lb"), &["n2"]);
    index.serve("default/other", service(&["10.0.0.3"]).class("example.com/lb2"), &["n2"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
    let other_class = |class: Option<&str>| Reason::OtherClass { class: class.map(str::to_owned) };
    assert_eq!(reason(&index, "default/ours"), other_class(Some("example.com/lb")));
    let options = Options { lb_class: Some("example.com/lb".to_owned()), ..options() };
    let selection = Selector::default().select(index.cluster(), &options);
    assert_eq!(selection.plan.units, [Arc::new(unit(&["10.0.0.2"], ALL))]);
    assert_eq!(outcome(&selection, "default/plain"), Outcome::NotAnnounced(other_class(None)));
    assert_eq!(
        outcome(&selection, "default/other"),
        Outcome::NotAnnounced(other_class(Some("example.com/lb2")))
    );
    assert_eq!(selection.plan.suppress, Vec::<IpAddr>::new(), "what is another's is left alone");
}

#[test]
fn a_service_without_an_address_waits_for_one() {
    let mut index = three_nodes();
    index.serve("default/web", service(&[]), &["n2"]);
    assert_eq!(reason(&index, "default/web"), Reason::NoAddress);
}

#[test]
fn all_addresses_have_to_lie_in_one_pool() {
    let mut index = three_nodes();
    index.put("second", pool(&[("10.1.0.0", "10.1.0.255")]));
    index.serve("default/outside", service(&["10.0.0.1", "10.2.0.1"]), &["n2"]);
    index.serve("default/several", service(&["10.0.0.2", "10.1.0.2"]), &["n2"]);
    assert_eq!(reason(&index, "default/outside"), Reason::OutsideOfPools { address: ip("10.2.0.1") });
    let pools = vec!["pool".into(), "second".into()];
    assert_eq!(reason(&index, "default/several"), Reason::SeveralPools { pools });
    let suppress = ["10.0.0.1", "10.0.0.2", "10.1.0.2"].map(ip);
    assert_eq!(select(&index).plan.suppress, suppress, "those that lie in a pool");
}

#[test]
fn a_nodes_own_address_is_neither_announced_nor_suppressed() {
    let mut index = three_nodes();
    index.put("n2", node("10.0.0.1"));
    index.serve("default/web", service(&["10.0.0.1", "10.0.0.2"]), &["n2"]);
    let expected = Reason::AddressOfNode { address: ip("10.0.0.1"), node: "n2".into() };
    assert_eq!(reason(&index, "default/web"), expected);
    assert_eq!(select(&index).plan.suppress, [ip("10.0.0.2")]);
}

#[test]
fn a_pool_that_no_advertisement_selects_is_announced_by_nobody() {
    let mut index = three_nodes();
    index.put("all", advertisement().pools(&["other"]));
    index.serve("default/web", service(&["10.0.0.1"]), &["n2"]);
    assert_eq!(reason(&index, "default/web"), Reason::NoAdvertisement { pool: "pool".into() });
    assert_eq!(select(&index).plan.suppress, [ip("10.0.0.1")]);
    let problem = Problem {
        kind: ConfigKind::L2Advertisement,
        name: "all".into(),
        what:
            "selects no IPAddressPool: look at ipAddressPools, ipAddressPoolSelectors and the pools' labels"
                .to_owned(),
        is_invalid: false,
    };
    assert_eq!(*select(&index).problems, [problem]);
}

#[test]
fn a_pool_is_selected_by_name_or_by_label() {
    let mut index = three_nodes();
    index.put("pool", pool(&[("10.0.0.0", "10.0.0.255")]).labelled("tier=front"));
    index.put("second", pool(&[("10.1.0.0", "10.1.0.255")]));
    index.put("third", pool(&[("10.2.0.0", "10.2.0.255")]));
    index.put("all", advertisement().pools(&["second"]).pool_labels("tier=front"));
    index.serve("default/a", service(&["10.0.0.1"]), &["n2"]);
    index.serve("default/b", service(&["10.1.0.1"]), &["n2"]);
    index.serve("default/c", service(&["10.2.0.1"]), &["n2"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL), unit(&["10.1.0.1"], ALL)]);
    assert_eq!(reason(&index, "default/c"), Reason::NoAdvertisement { pool: "third".into() });
}

#[test]
fn a_service_is_selected_by_its_labels() {
    let mut index = three_nodes();
    index.put("all", advertisement().services("app=web").services("app=dns"));
    index.serve("default/dns", service(&["10.0.0.1"]).labelled("app=dns"), &["n2"]);
    index.serve("default/mail", service(&["10.0.0.2"]).labelled("app=mail"), &["n2"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
    assert_eq!(reason(&index, "default/mail"), Reason::NoAdvertisement { pool: "pool".into() });
}

#[test]
fn candidates_are_the_nodes_that_an_advertisement_of_the_service_selects() {
    let mut index = three_nodes();
    index.put("n2", node("192.168.0.2").labelled("rack=a"));
    index.put("n3", node("192.168.0.3").labelled("rack=b"));
    index.put("all", advertisement().nodes("rack=a").services("app=web"));
    index.put("more", advertisement().nodes("rack=b"));
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=web"), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.2"]), &["n1"]);
    let expected = [unit(&["10.0.0.1"], &[("n2", 0), ("n3", 0)]), unit(&["10.0.0.2"], &[("n3", 0)])];
    assert_eq!(units(&index), expected);
}

#[test]
fn an_advertisement_that_selects_no_node_says_so() {
    let mut index = three_nodes();
    index.put("all", advertisement().nodes("rack=a"));
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    assert_eq!(reason(&index, "default/web"), Reason::NoCandidate);
    let problems: Vec<String> = select(&index).problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["L2Advertisement all: selects no Node: look at nodeSelectors and the Nodes' labels"]
    );
}

#[test]
fn an_advertisement_that_selects_no_service_says_so_until_it_does() {
    let mut index = three_nodes();
    index.put("all", advertisement().services("app=web"));
    let mut selector = Selector::default();
    let mut problems = |index: &Index| -> Vec<String> {
        let selection = selector.select(index.cluster(), &options());
        selection.problems.iter().map(ToString::to_string).collect()
    };
    let told = [
        "L2Advertisement all: selects no Service that has an address of its pools: look at serviceSelectors and the \
                 Services' labels",
    ];
    assert_eq!(problems(&index), told);
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=web"), &["n1"]);
    assert_eq!(problems(&index), [""; 0]);
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=dns"), &["n1"]);
    assert_eq!(problems(&index), told);
    index.put("all", advertisement());
    assert_eq!(problems(&index), [""; 0], "it selects all");
}

#[test]
fn weights_add_up_over_the_advertisements_that_select_the_node() {
    let mut index = three_nodes();
    index.put("n1", node("192.168.0.1").labelled("disk=ssd,rack=a"));
    index.put("n2", node("192.168.0.2").labelled("disk=ssd,rack=b"));
    index.put("all", advertisement().prefers(10, "disk=ssd").prefers(5, "rack=a"));
    index.put("more", advertisement().nodes("rack=b").prefers(70, "disk=ssd").prefers(100, "rack=a"));
    index.put("of-others", advertisement().services("app=dns").prefers(100, "rack=a"));
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], &[("n1", 15), ("n2", 80), ("n3", 0)])]);
}

#[test]
fn interfaces_are_those_of_all_advertisements_that_select_service_and_node() {
    let mut index = three_nodes();
    index.put("n1", node("192.168.0.1").labelled("rack=a"));
    index.put("all", advertisement().on(&["eth0"]));
    index.put("b-rack", advertisement().nodes("rack=a").on(&["eth1", "eth2"]));
    index.put("c-elsewhere", advertisement().nodes("rack=b").on(&["eth3"]));
    index.put("d-others", advertisement().services("app=dns"));
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.2"]).labelled("app=dns"), &["n1"]);
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<String>>();
    let web = PlannedUnit {
        interfaces: Some(Arc::new(names(&["eth0", "eth1", "eth2"]))),
        ..unit(&["10.0.0.1"], ALL)
    };
    assert_eq!(units(&index), [web, unit(&["10.0.0.2"], ALL)], "one that names none is for all");
    let also = names(&["eth0", "eth1", "eth2"]);
    assert_eq!(
        select(&index).plan.interfaces,
        Interfaces::Discovered { also, skip: NamePatterns::default() }
    );
    let named = Interfaces::Named(vec!["eth9".to_owned()]);
    let options = Options { interfaces: named.clone(), ..options() };
    assert_eq!(Selector::default().select(index.cluster(), &options).plan.interfaces, named);
}

#[test]
fn a_service_without_an_endpoint_is_announced_by_nobody() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &[]);
    assert_eq!(reason(&index, "default/web"), Reason::NoEndpoint);
    assert_eq!(select(&index).plan.suppress, [ip("10.0.0.1")], "under IPVS each node would answer");
    index.serve("default/web", service(&["10.0.0.1"]), &["?"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)], "wherever that endpoint is");
}

#[test]
fn under_the_local_policy_only_nodes_with_an_endpoint_are_candidates() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n2"]);
    index.put("default/web-2", endpoints("default/web", &["n3"]));
    assert_eq!(units(&index), [unit(&["10.0.0.1"], &[("n2", 0), ("n3", 0)])], "of whatever slice");
    index.put("default/web-2", endpoints("default/web", &["?"]));
    assert_eq!(units(&index), [unit(&["10.0.0.1"], &[("n2", 0)])]);
    index.put("default/web-1", endpoints("default/web", &["n9"]));
    assert_eq!(reason(&index, "default/web"), Reason::NoCandidate);
}

/// What n2 being thus comes to: the candidates, and how n2 stands.
fn with_n2(node: Node) -> (Vec<PlannedUnit>, Standing) {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    index.put("n2", node);
    let standings = select(&index).standings(&named("default/web")).unwrap();
    (units(&index), standings["n2"])
}

#[test]
fn a_node_that_is_not_fit_is_no_candidate() {
    let others = || vec![unit(&["10.0.0.1"], &[("n1", 0), ("n3", 0)])];
    let n2 = || node("192.168.0.2");
    let excluded = n2().labelled("node.kubernetes.io/exclude-from-external-load-balancers=");
    assert_eq!(with_n2(excluded), (others(), Standing::Excluded));
    let cut_off = Node { is_network_unavailable: true, ..n2() };
    assert_eq!(with_n2(cut_off), (others(), Standing::NetworkUnavailable));
    assert_eq!(with_n2(n2().not_ready()), (others(), Standing::NotReady));
    let nameless = Node { addresses: vec![], ..n2() };
    assert_eq!(with_n2(nameless), (others(), Standing::NoAddress));
    assert_eq!(with_n2(n2()), (vec![unit(&["10.0.0.1"], ALL)], Standing::Candidate(0)));
}

#[test]
fn that_nodes_are_not_ready_is_ignored_where_it_would_exclude_all() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    index.serve("default/dns", service(&["10.0.0.2"]).local(), &["n2", "n3"]);
    index.put("n2", node("192.168.0.2").not_ready());
    index.put("n3", Node { addresses: vec![], ..node("192.168.0.3") });
    let expected = [unit(&["10.0.0.1"], &[("n1", 0)]), unit(&["10.0.0.2"], &[("n2", 0), ("n3", 0)])];
    assert_eq!(units(&index), expected);
    index
        .put("n2", node("192.168.0.2").labelled("node.kubernetes.io/exclude-from-external-load-balancers=a"));
    assert_eq!(units(&index)[1], unit(&["10.0.0.2"], &[("n3", 0)]), "an exclusion is not");
}

#[test]
fn a_node_without_an_agent_is_no_candidate_and_no_peer() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    index.put("n4", node("192.168.0.4"));
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
    assert_eq!(select(&index).plan.nodes.as_ref().map(Vec::len), Some(3));
    assert_eq!(select(&index).standings(&named("default/web")).unwrap()["n4"], Standing::NoAgent);
}

#[test]
fn an_agents_own_addresses_join_those_of_its_node() {
    let mut index = three_nodes();
    index.put("n2", own(&["192.168.0.2", "172.16.0.2", "fe80::2"]));
    let expected = member("n2", &["172.16.0.2", "192.168.0.2", "fe80::2"]);
    assert_eq!(select(&index).plan.nodes.as_ref().unwrap()[1], expected);
}

#[test]
fn a_peer_that_is_no_candidate_stays_a_peer() {
    let mut index = three_nodes();
    index.put("n2", node("192.168.0.2").labelled("node.kubernetes.io/exclude-from-external-load-balancers="));
    assert_eq!(select(&index).plan.nodes.as_ref().unwrap()[1], member("n2", &["192.168.0.2"]));
}

#[test]
fn an_address_in_two_pools_counts_for_the_first_by_name_and_the_other_is_told_of() {
    let mut index = three_nodes();
    index.put("another", pool(&[("10.0.0.128", "10.0.1.255")]));
    index.put("all", advertisement().pools(&["pool"]));
    index.serve("default/web", service(&["10.0.0.200"]), &["n1"]);
    assert_eq!(reason(&index, "default/web"), Reason::NoAdvertisement { pool: "another".into() });
    let what = "10.0.0.0-10.0.0.255 overlaps with already defined CIDR 10.0.0.128-10.0.1.255 of IPAddressPool another, which keeps what \
                both have";
    let problem = Problem {
        kind: ConfigKind::IpAddressPool,
        name: "pool".into(),
        what: what.to_owned(),
        is_invalid: true,
    };
    assert_eq!(*select(&index).problems, [problem]);
}

#[test]
fn what_is_wrong_with_a_service_is_told_and_the_rest_of_it_works() {
    let mut index = three_nodes();
    let problems = vec!["status.loadBalancer.ingress: `x` is no address".to_owned()];
    index.serve("default/web", Service { problems: problems.clone(), ..service(&["10.0.0.1"]) }, &["n1"]);
    assert_eq!(units(&index), [unit(&["10.0.0.1"], ALL)]);
    assert_eq!(*select(&index).services[&named("default/web")].problems, *problems);
}
