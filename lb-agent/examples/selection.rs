//! What selection costs in a large cluster: 10 000 Services, 100 Nodes, 200 advertisements. Prints one JSON object, in ns of CPU
//! time: the first look at everything, a change of one Service, of one endpoint, and of one Node; and the memory of it all.

use std::{fs, sync::Arc};

use lb_agent::{
    cluster::{
        index::Index,
        objects::{
            Advertisement, AgentSlice, Node, ObjectName, Operator, Pool, Requirement, Selector, Service,
            Slice,
        },
        selection::{Options, Selection, Selector as Selecting},
    },
    plan::Interfaces,
    ranges::AddressRange,
};
use nix::{
    sys::time::TimeValLike as _,
    time::{ClockId, clock_gettime},
};
use serde_json::json;

const SERVICES: u16 = 10_000;
const NODES: u16 = 100;
const POOLS: u16 = 20;
const ADVERTISEMENTS: u16 = 200;
/// Changes of each sort.
const RUNS: u16 = 200;

fn main() {
    let options = Options {
        me: node_name(0),
        interfaces: Interfaces::Discovered { also: Default::default(), skip: Default::default() },
        ..Options::default()
    };
    let mut index = cluster();
    let mut selecting = Selecting::default();
    let (first, selection) = timed(|| selecting.select(index.cluster(), &options));
    assert_eq!(selection.plan.units.len(), usize::from(SERVICES), "all are announced");
    let mut measure = |change: &dyn Fn(&mut Index, u16)| {
        let mut times = Vec::new();
        let mut before = Arc::clone(&selection);
        for run in 0..RUNS {
            let (time, after) = timed(|| {
                change(&mut index, run);
                let changes = index.take_changes();
                selecting.select_changes(index.cluster(), &changes, &options)
            });
            assert!(!Arc::ptr_eq(&before, &after), "each change has consequences");
            before = after;
            times.push(time);
        }
        times.sort_unstable();
        json!({"median": times[times.len() / 2], "p99": times[times.len() * 99 / 100]})
    };
    let service_ns = measure(&|index, run| {
        let address = [10, 255, 1, u8::try_from(run % 256).expect("a byte")].into();
        index.apply(name(run), Service { addresses: vec![address], ..service(run) });
    });
    let endpoint_ns = measure(&|index, run| {
        index.apply(name(run), slice(run, run + 1));
    });
    let node_ns = measure(&|index, run| {
        index.apply(node_name(1), Node { is_ready: run % 2 == 1, ..node(1) });
    });
    let figures = json!({
        "services": SERVICES, "nodes": NODES, "advertisements": ADVERTISEMENTS,
        "first_ns": first, "service_ns": service_ns, "endpoint_ns": endpoint_ns, "node_ns": node_ns,
        "rss_bytes": rss_bytes(),
    });
    println!("{figures}");
}

/// What it takes, in CPU time: others may run on this machine.
fn timed(select: impl FnOnce() -> Arc<Selection>) -> (i64, Arc<Selection>) {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    let begun = now();
    let selection = select();
    ((now() - begun).num_nanoseconds(), selection)
}

fn rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
}

/// Every third Service has the Local policy; each pool has ten advertisements, which select by labels of Services and Nodes.
fn cluster() -> Index {
    let mut index = Index::default();
    for number in 0..NODES {
        index.apply(node_name(number), node(number));
    }
    let agents = (0..NODES).map(|number| (node_name(number), true)).collect();
    index.apply(ObjectName::new("metallb-system", "lb-agent"), AgentSlice { nodes: agents });
    for number in 0..POOLS {
        let [_, third] = number.to_be_bytes();
        let range = |second| AddressRange {
            first: [10, second, third, 0].into(),
            last: [10, second, third, 255].into(),
        };
        let ranges = (0..2).map(range).chain((number == 1).then(|| range(255))).collect();
        let mut ranges: Vec<AddressRange> = ranges;
        ranges.extend((2..4).map(range));
        index.apply(format!("pool-{number:02}"), Pool { ranges, ..Pool::default() });
    }
    for number in 0..ADVERTISEMENTS {
        index.apply(format!("advertisement-{number:03}"), advertisement(number));
    }
    for number in 0..SERVICES {
        index.apply(name(number), service(number));
        index.apply(name(number), slice(number, number));
    }
    index.settle(0);
    index
}

fn name(number: u16) -> ObjectName {
    ObjectName::new(format!("namespace-{:03}", number / 100), format!("service-{number:05}"))
}

fn node_name(number: u16) -> String {
    format!("node-{number:03}")
}

fn node(number: u16) -> Node {
    let [_, last] = number.to_be_bytes();
    Node {
        labels: [("rack".to_owned(), format!("r{}", number % 10))].into(),
        addresses: vec![[192, 168, 0, last].into()],
        is_ready: true,
        is_network_unavailable: false,
    }
}

fn advertisement(number: u16) -> Advertisement {
    let kind = number / POOLS;
    Advertisement {
        pools: [format!("pool-{:02}", number % POOLS)].into(),
        node_selectors: match kind {
            0 => Vec::new(),
            kind => vec![selector("rack", &format!("r{kind}"))],
        },
        service_selectors: match kind {
            0 => Vec::new(),
            kind => vec![selector("kind", &format!("k{kind}"))],
        },
        preferred: vec![(i64::from(kind) + 1, selector("rack", &format!("r{kind}")))],
        ..Advertisement::default()
    }
}

fn selector(key: &str, value: &str) -> Selector {
    let requirement =
        Requirement { key: key.to_owned(), operator: Operator::In, values: [value.to_owned()].into() };
    Selector { requirements: vec![requirement] }
}

fn service(number: u16) -> Service {
    let (pool, host) = (number % POOLS, number / POOLS);
    let [_, pool] = pool.to_be_bytes();
    let [second, last] = host.to_be_bytes();
    Service {
        labels: [("kind".to_owned(), format!("k{}", number % 9))].into(),
        is_local: number.is_multiple_of(3),
        addresses: vec![[10, second, pool, last].into()],
        ..Service::default()
    }
}

fn slice(number: u16, on: u16) -> Slice {
    let nodes = (0..3).map(|next| Some(node_name((on + next * 7) % NODES).into())).collect();
    Slice { service: name(number), serving_nodes: nodes }
}
