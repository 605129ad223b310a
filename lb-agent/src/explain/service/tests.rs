use super::*;
use crate::{
    cluster::{
        fixtures::*,
        index::Index,
        objects::{Node, Operator, Requirement, Selector as LabelSelector, Service},
        selection::Selector,
    },
    explain::{Origin, Subject, view::View},
};

const FRESH: View = View { is_from_disk: false, is_stale: false, last_word_ago_ns: Some(0) };

/// What n1 is told about a VIP or a Service: the steps, why nobody answers, and why it is not n1.
fn told(index: &Index, about: &str) -> String {
    told_with(index, about, None)
}

fn told_with(index: &Index, about: &str, lb_class: Option<&str>) -> String {
    let options =
        Options { me: "n1".to_owned(), lb_class: lb_class.map(str::to_owned), ..Options::default() };
    let selection = Selector::default().select(index.cluster(), &options);
    let told = Told { selection: &selection, options: &options };
    told.find(about, &FRESH).unwrap().iter().map(text).collect::<Vec<_>>().join("\n")
}

fn text(Subject { about, vip: _, steps, origin }: &Subject) -> String {
    let Origin { services: _, nobody, not_here } = origin;
    let mut text = format!("{about}\n{}", steps.iter().map(ToString::to_string).collect::<String>());
    text.extend(nobody.iter().map(|why| format!("nobody: {why}\n")));
    text.extend(not_here.iter().map(|why| format!("not here: {why}\n")));
    text
}

#[test]
fn a_service_that_is_announced_is_told_of_from_its_class_to_its_candidates() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]), &["n2", "?"]);
    let expected = "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  + endpoints       ready or serving on n2 and where it is not told; by externalTrafficPolicy Cluster every node may answer
  + candidates      n2, n3, n1; the order for 10.0.0.1, best first
";
    assert_eq!(told(&index, "default/web"), expected);
    assert_eq!(told(&index, "10.0.0.1"), expected);
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn both_vips_of_a_service_are_told_of_and_its_class_is_where_it_has_one() {
    let mut index = three_nodes();
    let both = service(&["fd00::1", "10.0.0.1"]).class("example.com/lb");
    index.serve("default/web", both, &["n1"]);
    let steps = "  \
  + Service         default/web, of class example.com/lb
  + address         IPAddressPool pool has fd00::1, by fd00::-fd00::ff
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer
  + candidates      n2, n3, n1; the order for fd00::1, best first
"
    .trim_start_matches(' ');
    let expected = format!("10.0.0.1\n  {steps}\nfd00::1\n  {steps}");
    assert_eq!(told_with(&index, "web", Some("example.com/lb")), expected);
}

#[test]
fn a_service_of_another_class_is_told_to_be_anothers() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]).class("example.com/lb"), &["n1"]);
    let expected = "\
10.0.0.1
  - Service         default/web: it is of class example.com/lb, which is not this agent's to announce
nobody: it is of class example.com/lb, which is not this agent's to announce
";
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn a_service_without_an_address_is_told_of_although_it_has_no_vip() {
    let mut index = three_nodes();
    index.serve("default/web", service(&[]), &["n1"]);
    let expected = "\
default/web
  + Service         default/web, of no class
  - address         its status has no address yet: a controller has to give it one, and tells in the Service's events if it cannot
  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer
nobody: its status has no address yet
";
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn an_address_of_no_pool_of_several_pools_or_of_a_node_is_told() {
    let mut index = three_nodes();
    index.put("second", pool(&[("10.1.0.0", "10.1.0.9")]));
    index.put("own", pool(&[("192.168.0.0", "192.168.0.9")]));
    index.serve("default/outside", service(&["10.9.0.1"]), &["n1"]);
    index.serve("default/several", service(&["10.0.0.1", "10.1.0.1"]), &["n1"]);
    index.serve("default/node", service(&["192.168.0.2"]), &["n1"]);
    let endpoints = "  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer\n";
    let outside = format!(
        "10.9.0.1
  + Service         default/outside, of no class
  - address         no IPAddressPool has 10.9.0.1
{endpoints}nobody: no IPAddressPool has 10.9.0.1
"
    );
    assert_eq!(told(&index, "10.9.0.1"), outside);
    let several =
        "its addresses lie in several IPAddressPools (pool, second), and only one may speak for all of them";
    let several = format!(
        "10.1.0.1
  + Service         default/several, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + address         IPAddressPool second has 10.1.0.1, by 10.1.0.0-10.1.0.9
  - pool            {several}
{endpoints}nobody: {several}
"
    );
    assert_eq!(told(&index, "10.1.0.1"), several);
    let node = format!(
        "192.168.0.2
  + Service         default/node, of no class
  - address         192.168.0.2 is Node n2's own address
{endpoints}nobody: 192.168.0.2 is Node n2's own address
"
    );
    assert_eq!(told(&index, "default/node"), node);
}

#[test]
fn each_advertisement_that_does_not_select_a_service_is_told_with_what_does_not_match() {
    let mut index = three_nodes();
    index.delete::<crate::cluster::objects::Advertisement>(&"all".to_owned());
    index.serve("default/web", service(&["10.0.0.1"]).labelled("app=web"), &["n1"]);
    let nobody = "nobody: no L2Advertisement selects both IPAddressPool pool and the Service\n";
    let start = "10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
";
    let end = format!(
        "  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer\n{nobody}"
    );
    let expected = format!("{start}  - advertisement   there is no L2Advertisement\n{end}");
    assert_eq!(told(&index, "web"), expected);
    index.put("by-name", advertisement().pools(&["blue", "green"]));
    index.put("by-label", advertisement().pool_labels("tier=gold").pool_labels("tier=silver"));
    index.put("by-both", advertisement().pools(&["blue"]).pool_labels("tier=gold"));
    index.put("by-service", advertisement().services("app=dns"));
    let expected = format!(
        "{start}  \
  - advertisement   by-both does not select IPAddressPool pool: its ipAddressPools are blue, and its ipAddressPoolSelectors (tier=gold) do not match the pool's labels
  - advertisement   by-label does not select IPAddressPool pool: its ipAddressPoolSelectors (tier=gold; or tier=silver) do not match the pool's labels
  - advertisement   by-name does not select IPAddressPool pool: its ipAddressPools are blue, green
  - advertisement   by-service does not select it: its serviceSelectors (app=dns) do not match the Service's labels
{end}"
    );
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn an_advertisement_for_other_nodes_and_one_that_prefers_this_node_are_told_apart() {
    let mut index = three_nodes();
    index.put("n1", node("192.168.0.1").labelled("rack=a"));
    index.put("n2", node("192.168.0.2").labelled("rack=b"));
    index.put("all", advertisement().nodes("rack=b"));
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    let start = "10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
";
    let endpoints = "  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer\n";
    let expected = format!(
        "{start}  - advertisement   all selects it, but its nodeSelectors (rack=b) do not match this node
{endpoints}    candidates      n2; the order for 10.0.0.1, best first
  - no candidate    n1, n3: no L2Advertisement that selects the Service selects it
not here: no L2Advertisement that selects the Service selects it
"
    );
    assert_eq!(told(&index, "web"), expected);
    index.put("near", advertisement().nodes("rack=a").prefers(10, "rack=a").on(&["eth1", "eth2"]));
    let expected = format!(
        "{start}    advertisement   all selects it, but its nodeSelectors (rack=b) do not match this node
  + advertisement   near selects pool, the Service and this node, which it prefers by 10, on eth1, eth2
{endpoints}  + candidates      n1 (preferred by 10), n2 (preferred by 0); the order for 10.0.0.1, best first
    no candidate    n3: no L2Advertisement that selects the Service selects it
"
    );
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn a_service_without_endpoints_or_without_one_on_this_node_is_told() {
    let mut index = three_nodes();
    index.put("default/web", service(&["10.0.0.1"]));
    let start = "10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
";
    let expected = format!(
        "{start}  - endpoints       none is ready or serving
nobody: it has no endpoint that is ready or serving
"
    );
    assert_eq!(told(&index, "web"), expected);
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n2"]);
    let expected = format!(
        "{start}  - endpoints       ready or serving on n2, but not on this node, as externalTrafficPolicy Local asks for
    candidates      n2; the order for 10.0.0.1, best first
  - no candidate    n1, n3: no endpoint there, as externalTrafficPolicy Local asks for
not here: no endpoint there, as externalTrafficPolicy Local asks for
"
    );
    assert_eq!(told(&index, "web"), expected);
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n1"]);
    let expected = format!(
        "{start}  + endpoints       ready or serving on n1; externalTrafficPolicy Local asks for one on this node
  + candidates      n1; the order for 10.0.0.1, best first
    no candidate    n2, n3: no endpoint there, as externalTrafficPolicy Local asks for
"
    );
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn each_node_that_is_no_candidate_is_told_with_what_keeps_it() {
    let mut index = three_nodes();
    let exclude = "node.kubernetes.io/exclude-from-external-load-balancers=";
    index.put("n1", node("192.168.0.1").not_ready());
    index.put("n2", node("192.168.0.2").labelled(exclude));
    index.put("n3", Node { is_network_unavailable: true, ..node("192.168.0.3") });
    index.put("n4", node("192.168.0.4"));
    index.put("n5", node("192.168.0.5"));
    index.put("n6", Node { addresses: vec![], ..node("192.168.0.6") });
    let with_agent = ["n1", "n2", "n3", "n5", "n6"].map(|name| (name, true));
    index.put("metallb-system/lb-agent", agents(&with_agent));
    index.serve("default/web", service(&["10.0.0.1"]), &["n1"]);
    let expected = "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  + endpoints       ready or serving on n1; by externalTrafficPolicy Cluster every node may answer
    candidates      n5; the order for 10.0.0.1, best first
    no candidate    n2: excluded by the label node.kubernetes.io/exclude-from-external-load-balancers
    no candidate    n6: it has no address to be probed at, and others have
    no candidate    n3: its condition NetworkUnavailable is True
  - no candidate    n1: its condition Ready is not True, and that of others is
    no candidate    n4: no agent runs there that was ever ready
not here: its condition Ready is not True, and that of others is
";
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn a_service_that_none_of_its_nodes_may_announce_is_told_with_what_keeps_each() {
    let mut index = three_nodes();
    index.put("metallb-system/lb-agent", agents(&[("n1", true)]));
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n3"]);
    index.settle(crate::cluster::index::ABSENT_FOR_NS);
    let expected = "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  - endpoints       ready or serving on n3, but not on this node, as externalTrafficPolicy Local asks for
    no candidate    n2, n3: no agent runs there that was ever ready
  - no candidate    n1: no endpoint there, as externalTrafficPolicy Local asks for
";
    let text = told(&index, "web");
    assert_eq!(text.get(..expected.len()), Some(expected), "{text}");
    assert!(
        text.contains("nobody: none of the Nodes that its L2Advertisements select may announce it: "),
        "{text}"
    );
}

#[test]
fn services_that_share_a_vip_are_told_of_each_other() {
    let mut index = three_nodes();
    index.serve("default/web", service(&["10.0.0.1"]).local(), &["n1", "n2"]);
    index.serve("default/dns", service(&["10.0.0.1"]).local(), &["n2", "n3"]);
    let expected = "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  + endpoints       ready or serving on n1, n2; externalTrafficPolicy Local asks for one on this node
    shares VIPs     default/dns: one node answers for all of them
    candidates      n2; the order for 10.0.0.1, best first
  - no candidate    n1: no candidate for another Service that shares a VIP
    no candidate    n3: no endpoint there, as externalTrafficPolicy Local asks for
not here: no endpoint there, as externalTrafficPolicy Local asks for
";
    assert_eq!(told(&index, "web"), expected);
    index.serve("default/dns", service(&["10.0.0.1"]).local(), &["n3"]);
    let reason = "no Node may announce all Services that share an address: default/dns, default/web";
    let expected = format!(
        "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  + endpoints       ready or serving on n1, n2; externalTrafficPolicy Local asks for one on this node
  - shares VIPs     default/dns: no Node may announce all of them
  - no candidate    n1, n2: no candidate for another Service that shares a VIP
    no candidate    n3: no endpoint there, as externalTrafficPolicy Local asks for
nobody: default/dns: {reason}; default/web: {reason}
"
    );
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn a_service_that_is_not_announced_is_told_of_although_another_one_has_its_vip() {
    let mut index = three_nodes();
    index.serve("default/dns", service(&["10.0.0.1"]), &["n2"]);
    index.put("default/web", service(&["10.0.0.1"]));
    let expected = "\
10.0.0.1
  + Service         default/web, of no class
  + address         IPAddressPool pool has 10.0.0.1, by 10.0.0.0-10.0.0.255
  + advertisement   all selects pool, the Service and this node
  - endpoints       none is ready or serving
  - outcome         default/web is not announced: it has no endpoint that is ready or serving
";
    assert_eq!(told(&index, "web"), expected);
}

#[test]
fn what_could_not_be_read_of_a_service_is_told() {
    let mut index = three_nodes();
    let problems = vec!["status.loadBalancer.ingress[1].ip: `x` is no address".to_owned()];
    index.serve("default/web", Service { problems, ..service(&["10.0.0.1"]) }, &["n2"]);
    let text = told(&index, "web");
    let problem = "    problem         status.loadBalancer.ingress[1].ip: `x` is no address\n";
    assert!(text.contains(problem), "{text}");
}

#[test]
fn a_long_row_of_names_is_cut() {
    let numbers: Vec<u32> = (1..=15).collect();
    assert_eq!(names(&numbers), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 3 more");
    assert_eq!(names(&numbers[..2]), "1, 2");
}

#[test]
fn a_selector_is_written_as_kubectl_takes_it() {
    let requirement = |key: &str, operator, values: &[&str]| Requirement {
        key: key.to_owned(),
        operator,
        values: values.iter().map(ToString::to_string).collect(),
    };
    let requirements = vec![
        requirement("a", Operator::In, &["x"]),
        requirement("b", Operator::In, &["x", "y"]),
        requirement("c", Operator::NotIn, &["x"]),
        requirement("d", Operator::NotIn, &["x", "y"]),
        requirement("e", Operator::Exists, &[]),
        requirement("f", Operator::DoesNotExist, &[]),
    ];
    let text = LabelSelector { requirements }.to_string();
    assert_eq!(text, "a=x, b in (x, y), c!=x, d notin (x, y), e, !f");
}
