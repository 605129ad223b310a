use std::sync::Arc;

use lb_common::{
    maps::{Role, VipEntry, VipStats},
    reason::FrameCounters,
};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::{cluster::Knowledge, kernel::Readings, *};
use crate::{kubernetes::keeper::Published, model::Place};

/// Encodes what it was given.
#[derive(Debug)]
struct Fixed<T>(T, fn(&T, DescriptorEncoder<'_>) -> fmt::Result);

impl<T: fmt::Debug + Send + Sync + 'static> Collector for Fixed<T> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.1)(&self.0, encoder)
    }
}

/// The samples, without those that are zero.
fn samples<T: fmt::Debug + Send + Sync + 'static>(
    value: T,
    encode: fn(&T, DescriptorEncoder<'_>) -> fmt::Result,
) -> Vec<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Fixed(value, encode)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("encoded");
    lines(&text)
}

fn lines(text: &str) -> Vec<String> {
    let is_sample = |line: &&str| !line.starts_with('#') && !line.ends_with(" 0") && !line.ends_with(" 0.0");
    text.lines().filter(is_sample).map(str::to_owned).collect()
}

fn place(ifindex: u32, address: &str) -> Place {
    Place { ifindex, address: address.parse().expect("an address") }
}

#[test]
fn the_kernels_counters_have_the_names_that_dashboards_know() {
    let stats = |requests, answers| VipStats { requests, answers, ..VipStats::default() };
    let readings = Readings {
        now: 5_000_000_000,
        valid_until_ns: 34_500_000_000,
        vips: [
            (place(2, "10.0.0.1"), VipEntry::new(Role::Announce, [2; 6])),
            (place(3, "10.0.0.1"), VipEntry::new(Role::Suppress, [2; 6])),
            (place(2, "fd00::1"), VipEntry::new(Role::Announce, [2; 6])),
        ]
        .into(),
        stats: [
            (place(2, "10.0.0.1"), stats(7, 5)),
            (place(3, "10.0.0.1"), stats(1, 0)),
            (place(2, "fd00::1"), stats(1, 1)),
        ]
        .into(),
        frames: FrameCounters { answered: 6, suppressed: 1, ..FrameCounters::default() },
        interfaces: [(2, "eth0".to_owned())].into(),
    };
    assert_eq!(
        samples(readings, Readings::encode),
        [
            "lb_lease_left_seconds 29.5",
            r#"lb_vips{interface="3",role="suppress"} 1.0"#,
            r#"lb_vips{interface="eth0",role="announce"} 2.0"#,
            r#"metallb_layer2_requests_received{ip="10.0.0.1"} 8.0"#,
            r#"metallb_layer2_requests_received{ip="fd00::1"} 1.0"#,
            r#"metallb_layer2_responses_sent{ip="10.0.0.1"} 5.0"#,
            r#"metallb_layer2_responses_sent{ip="fd00::1"} 1.0"#,
            r#"lb_frames_total{fate="answered"} 6"#,
            r#"lb_frames_total{fate="suppressed"} 1"#,
        ]
    );
}

#[test]
fn a_lease_that_has_ended_has_less_than_nothing_left() {
    let readings = Readings { now: 5_000_000_000, valid_until_ns: 3_000_000_000, ..Readings::default() };
    assert_eq!(samples(readings, Readings::encode), ["lb_lease_left_seconds -2.0"]);
}

#[test]
fn before_the_api_has_told_anything_nothing_is_loaded_and_the_view_is_stale() {
    let knowledge = Knowledge { is_stale: true, ..Knowledge::default() };
    assert_eq!(samples(knowledge, Knowledge::encode), ["lb_api_stale_bool 1.0"]);
}

#[test]
fn what_came_from_the_api_is_loaded() {
    let published = Published { selection: Arc::default(), is_from_disk: false, seen: 0 };
    let knowledge =
        Knowledge { published: Some(published), word_age_ns: Some(1_500_000_000), ..Knowledge::default() };
    assert_eq!(
        samples(knowledge, Knowledge::encode),
        ["metallb_k8s_client_config_loaded_bool 1.0", "lb_api_word_age_seconds 1.5"]
    );
}

#[test]
fn the_agents_own_counters_are_told_with_the_rest() {
    let metrics = Metrics::new();
    metrics.api.updates.inc();
    metrics.api.wrote("events", "ok");
    let changes = [Change::Taken(Cause::PeersGone), Change::Released, Change::Taken(Cause::PeersGone)];
    changes.into_iter().for_each(|change| metrics.agent.changed(change));
    metrics.agent.changed(Change::Conflict(lb_common::wire::ethernet::Mac::default()));
    metrics.agent.announced("10.0.0.1".parse().unwrap());
    metrics.agent.mapped(1_000_000, 3_500_000);
    let up = Some(Liveness::Up { is_agent_seen: true });
    metrics.agent.set_sessions([("eth0", up), ("eth0", up), ("eth0", Some(Liveness::Down))]);
    metrics.agent.set_sessions([("eth0", up), ("eth0", Some(Liveness::AdminDown))]);
    let mut told = lines(&metrics.text().expect("text"));
    told.retain(|line| !line.starts_with("lb_event_to_map_seconds_bucket"));
    told.sort();
    assert_eq!(
        told,
        [
            r#"lb_api_writes_total{kind="events",result="ok"} 1"#,
            "lb_conflicts_total 1",
            "lb_event_to_map_seconds_count 1",
            "lb_event_to_map_seconds_sum 0.0025",
            r#"lb_sessions{interface="eth0",state="admin_down"} 1"#,
            r#"lb_sessions{interface="eth0",state="up"} 1"#,
            r#"lb_takeovers_total{cause="peers_gone"} 2"#,
            r#"metallb_k8s_client_updates_total 1"#,
            r#"metallb_layer2_gratuitous_sent{ip="10.0.0.1"} 1"#,
        ]
    );
}
