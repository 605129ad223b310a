use super::*;
use crate::{
    cluster::{
        fixtures::*,
        index::Index,
        objects::{Advertisement, Pool},
        selection::{Options, Selector},
    },
    explain::{Explanation, List, Summary, Verdict},
};

const FRESH: View = View { is_from_disk: false, is_stale: false, last_word_ago_ns: Some(0) };

fn with<T>(index: &Index, ask: impl FnOnce(Told<'_>) -> T) -> T {
    let options = Options { me: "n1".to_owned(), ..Options::default() };
    let selection = Selector::default().select(index.cluster(), &options);
    ask(Told { selection: &selection, options: &options })
}

fn refused(index: &Index, about: &str) -> String {
    with(index, |told| told.find(about, &FRESH).unwrap_err())
}

/// A cluster with a Service of each of these names.
fn cluster(names: &[&str]) -> Index {
    let mut index = three_nodes();
    for (number, name) in (1..).zip(names) {
        index.serve(name, service(&[&format!("10.0.0.{number}")]), &["n1"]);
    }
    index
}

#[test]
fn a_name_that_there_is_not_is_answered_by_near_ones() {
    let index = cluster(&["default/web", "shop/web-front", "default/dns"]);
    assert_eq!(
        refused(&index, "default/wbe"),
        "there is no Service default/wbe of type LoadBalancer; did you mean default/web?"
    );
    assert_eq!(
        refused(&index, "shop/web"),
        "there is no Service shop/web of type LoadBalancer; did you mean default/web or shop/web-front?"
    );
    assert_eq!(
        refused(&index, "xyz"),
        "there is no Service xyz of type LoadBalancer; without a name `lb-agent explain` lists all that there are"
    );
}

#[test]
fn a_name_that_several_namespaces_have_is_answered_by_all_of_them() {
    let index = cluster(&["default/web", "shop/web"]);
    let told = "there are several Services web: ask for default/web or shop/web";
    assert_eq!(refused(&index, "web"), told);
}

#[test]
fn an_address_that_is_no_vip_is_told_whose_it_is() {
    let index = cluster(&["default/web"]);
    let told = [
        "10.0.0.9 is no VIP: IPAddressPool pool has it, but no Service of type LoadBalancer does; \
         without a name `lb-agent explain` lists all that there are",
        "10.9.9.9 is no VIP: neither a Service of type LoadBalancer nor an IPAddressPool has it; \
         without a name `lb-agent explain` lists all that there are",
        "192.168.0.2 is no VIP but Node n2's own address; without a name `lb-agent explain` lists all that there are",
    ];
    assert_eq!(["10.0.0.9", "10.9.9.9", "192.168.0.2"].map(|vip| refused(&index, vip)), told);
}

#[test]
fn a_view_that_is_old_and_configuration_that_is_not_used_are_told_first() {
    let mut index = cluster(&["default/web"]);
    let wrong = |what: &str| vec![what.to_owned()];
    index.put("pool", Pool { problems: wrong("invalid CIDR \"x\""), ..Pool::default() });
    index.put("new", Pool { problems: wrong("pool has no prefixes defined"), ..Pool::default() });
    index.put("all", Advertisement { problems: wrong("nodeSelectors[0]: no"), ..advertisement() });
    let first = |view: View| {
        let subjects = with(&index, |told| told.find("web", &view).unwrap());
        subjects[0].steps.iter().take_while(|step| step.what != "Service").map(ToString::to_string).collect()
    };
    let configuration = "    \
    configuration   IPAddressPool new: pool has no prefixes defined; it is not used
    configuration   IPAddressPool pool: invalid CIDR \"x\"; its last valid version is in use
    configuration   L2Advertisement all: nodeSelectors[0]: no; its last valid version is in use
";
    let view = |is_from_disk, is_stale, seconds: Option<u64>| View {
        is_from_disk,
        is_stale,
        last_word_ago_ns: seconds.map(|seconds| seconds * 1_000_000_000 + 5),
    };
    let cases = [
        (view(false, false, Some(1)), ""),
        (
            view(false, true, Some(14)),
            "    view            stale: no word has come from the Kubernetes API for 14 s; what has changed meanwhile is not known here\n",
        ),
        (
            view(true, true, None),
            "    view            from disk, where an earlier agent left it: no word has come from the Kubernetes API yet\n",
        ),
        (
            view(true, false, Some(2)),
            "    view            from disk, where an earlier agent left it: the Kubernetes API, last heard 2 s ago, has not told all yet\n",
        ),
    ];
    for (view, expected) in cases {
        let told: String = first(view);
        assert_eq!(told, format!("{expected}{configuration}"));
    }
}

#[test]
fn the_survey_has_every_vip_and_every_service_that_lacks_one() {
    let mut index = cluster(&["default/a", "default/b"]);
    index.put("metallb-system/lb-agent", agents(&[("n2", true), ("n3", true)]));
    index.put("default/c", service(&["10.0.0.3"]));
    index.serve("default/d", service(&["10.0.0.1"]), &["n2"]);
    index.serve("default/e", service(&[]), &["n2"]);
    index.serve("default/f", service(&["10.0.0.9"]).class("other"), &["n2"]);
    let origin = |services: &[&str], nobody: Option<&str>, not_here: Option<&str>| Origin {
        services: services.iter().map(ToString::to_string).collect(),
        nobody: nobody.map(str::to_owned),
        not_here: not_here.map(str::to_owned),
    };
    let no_agent = Some("no agent runs there that was ever ready");
    let expected = Survey {
        view: vec![],
        vips: [
            (ip("10.0.0.1"), origin(&["default/a", "default/d"], None, no_agent)),
            (ip("10.0.0.2"), origin(&["default/b"], None, no_agent)),
            (
                ip("10.0.0.3"),
                origin(&["default/c"], Some("it has no endpoint that is ready or serving"), None),
            ),
        ]
        .into(),
        without_vip: vec![("default/e".to_owned(), "its status has no address yet".to_owned())],
    };
    index.settle(crate::cluster::index::ABSENT_FOR_NS);
    assert_eq!(with(&index, |told| told.survey(&FRESH)), expected);
}

#[test]
fn a_service_without_a_vip_and_the_list_are_written_in_lines() {
    let explanation = Explanation {
        about: "default/web".to_owned(),
        vip: None,
        node: "n1".to_owned(),
        source: vec![Step::new("Service", true, "default/web, of no class")],
        nobody: Some("its status has no address yet".to_owned()),
        interfaces: vec![],
    };
    let expected = "\
default/web, as node n1 sees it
  + Service         default/web, of no class
answers: no node, because its status has no address yet
";
    assert_eq!(explanation.to_string(), expected);
    let line = |vip: Option<&str>, interface: Option<&str>, services: &[&str], because: &str| Summary {
        vip: vip.map(ip),
        services: services.iter().map(ToString::to_string).collect(),
        interface: interface.map(str::to_owned),
        verdict: Verdict { answers: vip.is_some(), because: because.to_owned() },
    };
    let list = List {
        view: vec![Step::new("view", None, "stale")],
        lines: vec![
            line(Some("10.0.0.1"), Some("eth0"), &["default/a", "default/b"], "this node holds it"),
            line(None, None, &["default/c"], "its status has no address yet"),
        ],
    };
    let expected = "    \
    view            stale
10.0.0.1                                eth0            default/a,default/b            yes, because this node holds it
-                                       -               default/c                      no, because its status has no address yet
";
    assert_eq!(list.to_string(), expected);
    assert_eq!(List { view: vec![], lines: vec![] }.to_string(), "this node knows of no VIP\n");
}
