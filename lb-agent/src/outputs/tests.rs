use super::{l2_status::Existing, *};
use crate::cluster::{
    fixtures::*,
    index::Index,
    objects::{ObjectName, Pool, Service},
    selection::{Options, Selection, Selector},
};

mod about_services;
mod observations;
mod states;
mod statuses;

const ME: &str = "n1";

fn select(index: &Index) -> Arc<Selection> {
    Selector::default().select(index.cluster(), &Options { me: ME.to_owned(), ..Options::default() })
}

/// Two Services that all nodes may announce, of which the second is restricted to `eth1`.
fn two_services() -> Index {
    let mut index = three_nodes();
    index.put("all", advertisement().services("app=web"));
    index.put("b", advertisement().services("app=dns").on(&["eth1", "eth2"]));
    let with_uid = |uid: &str, service: Service| Service { uid: uid.to_owned(), ..service };
    let web = service(&["10.0.0.1", "fd00::1"]).labelled("app=web");
    index.serve("default/web", with_uid("u-web", web), &["n2"]);
    let dns = service(&["10.0.0.2"]).labelled("app=dns");
    index.serve("default/dns", with_uid("u-dns", dns), &["n2"]);
    index
}

fn holding(held: &[(&str, &[&str])]) -> Observed {
    let on = |interfaces: &[&str]| interfaces.iter().map(ToString::to_string).collect();
    let held = held.iter().map(|&(vip, interfaces)| (ip(vip), on(interfaces))).collect();
    Observed { held, ..Observed::default() }
}

#[test]
fn the_first_node_that_is_fit_speaks_for_all() {
    let mut index = three_nodes();
    let spokesmen = |index: &Index| ["n1", "n2", "n3"].map(|me| is_spokesman(&select(index), me));
    assert_eq!(spokesmen(&index), [true, false, false]);
    index.put("n1", node("192.168.0.1").not_ready());
    assert_eq!(spokesmen(&index), [false, true, false]);
    index.put("n0", node("192.168.0.9"));
    assert_eq!(spokesmen(&index), [false, true, false], "n0 has no agent");
}
