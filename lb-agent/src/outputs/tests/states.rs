//! ConfigurationState.

use std::net::{Ipv4Addr, Ipv6Addr};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time},
    jiff::Timestamp,
};

use super::*;
use crate::{
    cluster::objects::Node,
    crds::{ConfigurationResult, ConfigurationState, ConfigurationStateSpec, ConfigurationStateStatus},
    outputs::state,
};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).expect("a time"))
}

fn condition(type_: &str, [status, reason]: [&str; 2], message: &str, second: i64) -> Condition {
    let [type_, status, reason, message] = [type_, status, reason, message].map(str::to_owned);
    Condition { type_, status, reason, message, last_transition_time: at(second), observed_generation: None }
}

fn valid(second: i64) -> Condition {
    condition("ConfigurationValid", ["True", "AllUsed"], "", second)
}

fn effective(second: i64) -> Condition {
    condition("AdvertisementsEffective", ["True", "AllSelect"], "", second)
}

fn reachable(second: i64) -> Condition {
    condition("NodeHasAddress", ["True", "Told"], "", second)
}

fn machines() -> BTreeSet<String> {
    ["host/1".to_owned()].into()
}

fn own<'a>(problems: &'a [String], machines: &'a BTreeSet<String>) -> state::Own<'a> {
    const ADDRESSES: [IpAddr; 2] =
        [IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1))];
    state::Own { problems, addresses: &ADDRESSES, machines }
}

fn write(index: &Index, existing: Option<&ConfigurationState>, second: i64) -> Option<State> {
    state::write(ME, &select(index), own(&[], &machines()), existing, &at(second))
}

/// As the API has it after it was written.
fn written(state: State) -> ConfigurationState {
    let State { object, labels, annotations, status } = state;
    let metadata = ObjectMeta {
        name: Some(object),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    ConfigurationState { metadata, spec: ConfigurationStateSpec {}, status: Some(status) }
}

#[test]
fn a_configuration_without_problems_is_valid() {
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    };
    let expected = State {
        object: "speaker-n1".to_owned(),
        labels: texts(&[("metallb.io/component-type", "speaker"), ("metallb.io/node-name", "n1")]),
        annotations: texts(&[
            ("lb.metallb.io/addresses", "192.168.0.1,fd00::1"),
            ("lb.metallb.io/machines", "host/1"),
        ]),
        status: ConfigurationStateStatus {
            result: Some(ConfigurationResult::Valid),
            error_summary: String::new(),
            conditions: vec![valid(10), effective(10), reachable(10)],
        },
    };
    assert_eq!(write(&three_nodes(), None, 10), Some(expected));
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_and_only_a_change_moves_the_time() {
    let mut index = three_nodes();
    let first = written(write(&index, None, 10).unwrap());
    assert_eq!(write(&index, Some(&first), 20), None, "nothing has changed");
    index.put("pool", Pool { problems: vec!["pool has no prefixes defined".to_owned()], ..pool(&[]) });
    index.put("idle", advertisement().pools(&["other"]));
    let idle = "L2Advertisement idle: selects no IPAddressPool: look at ipAddressPools, ipAddressPoolSelectors and the pools' \
                labels";
    let not_effective =
        |second| condition("AdvertisementsEffective", ["False", "SelectsNothing"], idle, second);
    let invalid = "IPAddressPool pool: pool has no prefixes defined";
    let expected = ConfigurationStateStatus {
        result: Some(ConfigurationResult::Invalid),
        error_summary: invalid.to_owned(),
        conditions: vec![
            condition("ConfigurationValid", ["False", "LastValidUsed"], invalid, 30),
            not_effective(30),
            reachable(10),
        ],
    };
    let second = write(&index, Some(&first), 30).unwrap();
    assert_eq!(second.status, expected);
    index.put("pool", pool(&[("10.0.0.0", "10.0.0.255")]));
    let third = write(&index, Some(&written(second)), 40).unwrap();
    let expected = ConfigurationStateStatus {
        result: Some(ConfigurationResult::Valid),
        error_summary: String::new(),
        conditions: vec![valid(40), not_effective(30), reachable(10)],
    };
    assert_eq!(third.status, expected);
}

#[test]
fn a_node_that_nobody_could_probe_says_so() {
    let mut index = three_nodes();
    index.put("n1", Node { addresses: vec![], ..node("192.168.0.1") });
    let told = |state: Option<State>| {
        let conditions = state.unwrap().status.conditions;
        let of_node = conditions.into_iter().find(|condition| condition.type_ == "NodeHasAddress").unwrap();
        (of_node.status, of_node.reason, of_node.message.contains("status.addresses"))
    };
    let expected = ("False".to_owned(), "NoneTold".to_owned(), true);
    assert_eq!(told(write(&index, None, 10)), expected);
    let other = state::write("n2", &select(&index), own(&[], &machines()), None, &at(10));
    assert_eq!(told(other), ("True".to_owned(), "Told".to_owned(), false));
}

#[test]
fn problems_of_the_settings_count_too() {
    let settings = ["lb.yaml:1: unknown key `x`; remove it".to_owned()];
    let state =
        state::write(ME, &select(&three_nodes()), own(&settings, &machines()), None, &at(10)).unwrap();
    assert_eq!(state.status.result, Some(ConfigurationResult::Invalid));
    assert_eq!(state.status.error_summary, settings[0]);
}

#[test]
fn an_edit_by_hand_is_undone_and_what_others_add_is_left() {
    let index = three_nodes();
    let first = written(write(&index, None, 10).unwrap());
    let mut more = first.clone();
    more.metadata.labels.get_or_insert_default().insert("a".to_owned(), "b".to_owned());
    more.status.get_or_insert_default().conditions.push(condition("Other", ["True", "Yes"], "", 5));
    assert_eq!(write(&index, Some(&more), 20), None);
    let mut edited = first.clone();
    edited.status.get_or_insert_default().result = Some(ConfigurationResult::Unknown);
    let state = write(&index, Some(&edited), 20).unwrap();
    assert_eq!(Some(state.status), first.status, "with the time that it had");
    let mut moved = first;
    moved.metadata.annotations = None;
    assert!(write(&index, Some(&moved), 20).is_some());
}
