//! What is told of very many Services.

use std::{collections::BTreeMap, thread::sleep};

use lb_agent::{
    holding::Stance,
    model::Place,
    report::{History, UnitReport},
};

use super::*;

const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const ADVERTISEMENTS: &str = "/apis/metallb.io/v1beta1/l2advertisements";
const STATUSES: &str = "/apis/metallb.io/v1beta1/namespaces/lb/servicel2statuses";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const SERVICES_HELD: u16 = 500;
/// Three writes each; to find out after so many of them as are picked at once what is still to be written would take longer.
const SOON: Duration = Duration::from_secs(12);

fn vip(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    [10, 1, high, low].into()
}

fn slice(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.0.1"], "nodeName": "n1", "conditions": {"ready": true}}],
    })
}

fn held(number: u16) -> (Place, Arc<UnitReport>) {
    let at = Place { ifindex: 2, address: vip(number) };
    let history = History::default();
    (at, Arc::new(UnitReport { vips: [at.address].into(), stance: Stance::Held, history }))
}

/// A cluster whose Services `n1` alone may announce.
fn fill(api: &Fake, count: u16) {
    let mut n1 = node("n1", 0);
    n1["status"]["addresses"] = json!([{"type": "InternalIP", "address": "192.168.0.1"}]);
    api.put(NODES, n1);
    api.put(&format!("{SLICES}{}", fake::OF_AGENTS), slice("lb", "lb-agent"));
    let name = |name: &str| json!({"namespace": "lb", "name": name});
    api.put(POOLS, json!({"metadata": name("pool"), "spec": {"addresses": ["10.1.0.0/16"]}}));
    api.put(ADVERTISEMENTS, json!({"metadata": name("all"), "spec": {}}));
    api.put_all(SLICES, (0..count).map(|number| slice("default", &format!("s{number}"))));
    let service = |number: u16| {
        let mut service = service(1, &format!("s{number}"));
        service["status"]["loadBalancer"]["ingress"][0]["ip"] = json!(vip(number).to_string());
        service
    };
    api.put_all(SERVICES, (0..count).map(service));
}

/// Writes, by what they are.
fn writes(requests: &[String]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        let kind = match request.split_once(' ') {
            Some(("POST", path)) if path.starts_with(STATUSES) => "status created",
            Some(("PATCH", path)) if path.starts_with(STATUSES) => "status said",
            Some(("POST", path)) if path.starts_with(EVENTS) => "event",
            Some((_, path)) if path.contains("/configurationstates/") => continue,
            Some(_) => "other",
            None => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[test]
fn all_of_very_many_services_are_told_of_once_and_soon() {
    let bed = Bed::new();
    fill(&bed.api, SERVICES_HELD);
    let (reports, reported) = tokio::sync::watch::channel(Arc::default());
    let mut source = bed.source_with(reported);
    bed.wait(&mut source, "all Services", |published| {
        published.selection.plan.units.len() == usize::from(SERVICES_HELD)
    });
    let report = Report {
        node: "n1".into(),
        has_lease: true,
        interfaces: [(2, "eth0".into())].into(),
        units: Arc::new((0..SERVICES_HELD).map(held).collect()),
        ..Report::default()
    };
    let begun = Instant::now();
    reports.send_replace(Arc::new(report));
    let all = usize::from(SERVICES_HELD);
    let expected = BTreeMap::from([("status created", all), ("status said", all), ("event", all)]);
    let mut requests = Vec::new();
    while writes(&requests) != expected {
        assert!(begun.elapsed() < PATIENCE, "{:?}", writes(&requests));
        sleep(Duration::from_millis(50));
        requests.extend(bed.api.take_requests(""));
    }
    let took = begun.elapsed();
    println!("{all} Services told of in {took:?}");
    assert!(took < SOON, "{took:?}");
    sleep(Duration::from_secs(1));
    requests.extend(bed.api.take_requests(""));
    assert_eq!(writes(&requests), expected, "nothing is written twice");
    drop(source);
}
