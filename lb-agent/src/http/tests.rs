use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use super::*;

fn started() -> (SocketAddr, Metrics, Arc<Health>) {
    let (metrics, health) = (Metrics::new(), Arc::new(Health::default()));
    let address =
        serve("127.0.0.1:0".parse().unwrap(), metrics.clone(), Arc::clone(&health)).expect("served");
    (address, metrics, health)
}

/// The status line and the body of an answer.
fn get_path(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().expect("a status").to_owned(), body.to_owned())
}

#[test]
fn metrics_are_told_as_they_are() {
    let (address, metrics, _) = started();
    metrics.api.updates.inc();
    let (status, body) = get_path(address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("\nmetallb_k8s_client_updates_total 1\n"), "{body}");
}

#[test]
fn health_follows_the_loop() {
    let (address, _, health) = started();
    let unhealthy = "HTTP/1.1 503 Service Unavailable".to_owned();
    let hangs = "the decision loop has not turned for 2 s\n".to_owned();
    health.turned(1, 1, false);
    assert_eq!(get_path(address, "/healthz"), (unhealthy.clone(), hangs));
    let now = clock::boottime_ns();
    health.turned(now, now + 30_000_000_000, false);
    let well = ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned());
    assert_eq!(get_path(address, "/healthz"), well);
    let (status, amiss) = get_path(address, "/readyz");
    assert_eq!((status, amiss.lines().count()), (unhealthy, 2));
    health.knows();
    health.turned(now, now + 30_000_000_000, true);
    assert_eq!(get_path(address, "/readyz"), well);
}

#[test]
fn a_port_that_is_taken_is_told_with_the_remedy() {
    let (address, ..) = started();
    let told = serve(address, Metrics::new(), Arc::default()).expect_err("taken").to_string();
    assert!(
        told.starts_with(&format!("serve metrics on {address}: ")) && told.ends_with("--metrics-address"),
        "{told}"
    );
}
