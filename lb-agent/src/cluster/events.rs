//! Events of the watches at random, for tests: few names and few values, so that they meet.

use std::fmt::Debug;

use proptest::prelude::*;

use super::{
    Cluster,
    fixtures::{advertisement, endpoints, name, node, pool, relisted, service},
    index::{Index, Object},
    objects::{Advertisement, Node, Pool, Service, Slice},
};

/// An object is now thus, or gone.
#[derive(Clone, Debug)]
pub enum Event {
    Service(&'static str, Option<Service>),
    Slice(&'static str, Option<Slice>),
    Node(&'static str, Option<Node>),
    Pool(&'static str, Option<Pool>),
    Advertisement(&'static str, Option<Advertisement>),
    /// All Services and slices are listed anew.
    Relist,
}

impl Event {
    /// Says whether the index thinks that anything follows from it.
    pub fn apply(self, index: &mut Index) -> bool {
        match self {
            Self::Service(name, object) => put(index, name, object),
            Self::Slice(name, object) => put(index, name, object),
            Self::Node(name, object) => put(index, name, object),
            Self::Pool(name, object) => put(index, name, object),
            Self::Advertisement(name, object) => put(index, name, object),
            Self::Relist => {
                let Cluster { services, slices, .. } = relisted(index.cluster());
                let services = services.into_iter().map(|(name, service)| (name, (*service).clone()));
                let slices = slices.into_iter().map(|(name, slice)| (name, (*slice).clone()));
                index.reset(services) | index.reset(slices)
            }
        }
    }

    /// The kind and the name of what it is about.
    pub fn about(&self) -> (u8, &'static str) {
        match self {
            Self::Service(name, _) => (0, name),
            Self::Slice(name, _) => (1, name),
            Self::Node(name, _) => (2, name),
            Self::Pool(name, _) => (3, name),
            Self::Advertisement(name, _) => (4, name),
            Self::Relist => (5, ""),
        }
    }
}

fn put<O: Object<Name: TryFrom<String, Error: Debug>>>(
    index: &mut Index,
    text: &str,
    object: Option<O>,
) -> bool {
    match object {
        Some(object) => index.apply(name(text), object),
        None => index.delete::<O>(&name(text)),
    }
}

/// An event.
pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => services(),
        6 => slices(),
        2 => nodes(),
        1 => pools(),
        1 => advertisements(),
        1 => Just(Event::Relist),
    ]
}

fn one_of<T: Clone + Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn services() -> impl Strategy<Value = Event> {
    let address = one_of(&["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.1.0.1", "fd00::1"]);
    let addresses = prop::option::weighted(0.8, prop::collection::vec(address, 0..4));
    let label = one_of(&["app=web", "app=dns"]);
    (one_of(&["a/a", "a/b", "b/a"]), addresses, label, any::<bool>()).prop_map(
        |(name, addresses, label, is_local)| {
            let with = |addresses: Vec<&str>| Service { is_local, ..service(&addresses).labelled(label) };
            Event::Service(name, addresses.map(with))
        },
    )
}

fn slices() -> impl Strategy<Value = Event> {
    let nodes = prop::option::weighted(0.8, prop::sample::subsequence(vec!["n1", "n2", "n3", "?"], 0..=4));
    (one_of(&["a/1", "a/2", "a/3"]), one_of(&["a/a", "a/b", "b/a"]), nodes)
        .prop_map(|(name, of, nodes)| Event::Slice(name, nodes.map(|nodes| endpoints(of, &nodes))))
}

fn nodes() -> impl Strategy<Value = Event> {
    let labels = one_of(&["rack=a", "rack=b", "node.kubernetes.io/exclude-from-external-load-balancers="]);
    let node = (labels, any::<bool>())
        .prop_map(|(label, is_ready)| Node { is_ready, ..node("192.168.0.1").labelled(label) });
    (one_of(&["n1", "n2", "n3"]), prop::option::weighted(0.9, node))
        .prop_map(|(name, node)| Event::Node(name, node))
}

fn pools() -> impl Strategy<Value = Event> {
    let pools =
        [pool(&[("10.0.0.0", "10.1.255.255"), ("fd00::", "fd00::ff")]), pool(&[("10.0.0.0", "10.0.0.2")])];
    (one_of(&["pool", "second"]), prop::option::weighted(0.8, one_of(&pools)))
        .prop_map(|(name, pool)| Event::Pool(name, pool))
}

fn advertisements() -> impl Strategy<Value = Event> {
    let advertisements = [
        advertisement(),
        advertisement().pools(&["second"]),
        advertisement().services("app=web").on(&["eth0"]),
        advertisement().nodes("rack=a").prefers(5, "rack=a").on(&["eth1"]),
    ];
    (one_of(&["all", "more"]), prop::option::weighted(0.8, one_of(&advertisements)))
        .prop_map(|(name, advertisement)| Event::Advertisement(name, advertisement))
}
