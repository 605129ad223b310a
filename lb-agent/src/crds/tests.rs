use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde_json::json;

use super::*;

#[test]
fn an_ip_address_pool_is_defined_as_metallb_defines_it() {
    assert_eq!(
        surface(IPAddressPool::crd()),
        "\
        ipaddresspools.metallb.io: Namespaced IPAddressPool IPAddressPoolList ipaddresspools ipaddresspool\n\
        v1beta1: served stored status\n\
        Auto Assign: boolean .spec.autoAssign\n\
        Avoid Buggy IPs: boolean .spec.avoidBuggyIPs\n\
        Addresses: string .spec.addresses\n\
        .apiVersion: string\n\
        .kind: string\n\
        .metadata: object\n\
        .spec: object, required\n\
        .spec.addresses: array, required, rule `size(self) > 0`: pool has no prefixes defined\n\
        .spec.addresses[]: string\n\
        .spec.autoAssign: boolean, default true\n\
        .spec.avoidBuggyIPs: boolean, default false\n\
        .spec.serviceAllocation: object\n\
        .spec.serviceAllocation.namespaceSelectors: array\n\
        .spec.serviceAllocation.namespaceSelectors[]: LabelSelector\n\
        .spec.serviceAllocation.namespaces: array\n\
        .spec.serviceAllocation.namespaces[]: string\n\
        .spec.serviceAllocation.priority: integer\n\
        .spec.serviceAllocation.serviceSelectors: array\n\
        .spec.serviceAllocation.serviceSelectors[]: LabelSelector\n\
        .status: object\n\
        .status.assignedIPv4: integer int64, required\n\
        .status.assignedIPv6: integer int64, required\n\
        .status.availableIPv4: integer int64, required\n\
        .status.availableIPv6: integer int64, required\n"
    );
}

#[test]
fn an_l2_advertisement_is_defined_as_metallb_defines_it_with_preferred_nodes_besides() {
    assert_eq!(
        surface(L2Advertisement::crd()),
        "\
        l2advertisements.metallb.io: Namespaced L2Advertisement L2AdvertisementList l2advertisements l2advertisement\n\
        v1beta1: served stored status\n\
        IPAddressPools: string .spec.ipAddressPools\n\
        IPAddressPool Selectors: string .spec.ipAddressPoolSelectors\n\
        Interfaces: string .spec.interfaces\n\
        Node Selectors: string .spec.nodeSelectors, priority 10\n\
        .apiVersion: string\n\
        .kind: string\n\
        .metadata: object\n\
        .spec: object\n\
        .spec.interfaces: array\n\
        .spec.interfaces[]: string\n\
        .spec.ipAddressPoolSelectors: array\n\
        .spec.ipAddressPoolSelectors[]: LabelSelector\n\
        .spec.ipAddressPools: array\n\
        .spec.ipAddressPools[]: string\n\
        .spec.nodeSelectors: array\n\
        .spec.nodeSelectors[]: LabelSelector\n\
        .spec.preferredNodeSelectors: array\n\
        .spec.preferredNodeSelectors[]: object\n\
        .spec.preferredNodeSelectors[].preference: LabelSelector, required\n\
        .spec.preferredNodeSelectors[].weight: integer int32, required, from 1, to 100\n\
        .spec.serviceSelectors: array\n\
        .spec.serviceSelectors[]: LabelSelector\n\
        .status: object\n"
    );
}

#[test]
fn a_service_l2_status_is_defined_as_metallb_defines_it() {
    assert_eq!(
        surface(ServiceL2Status::crd()),
        "\
        servicel2statuses.metallb.io: Namespaced ServiceL2Status ServiceL2StatusList servicel2statuses servicel2status\n\
        v1beta1: served stored status\n\
        Allocated Node: string .status.node\n\
        Service Name: string .status.serviceName\n\
        Service Namespace: string .status.serviceNamespace\n\
        .apiVersion: string\n\
        .kind: string\n\
        .metadata: object\n\
        .spec: object\n\
        .status: object\n\
        .status.interfaces: array\n\
        .status.interfaces[]: object\n\
        .status.interfaces[].name: string\n\
        .status.node: string, rule `self == oldSelf`: Value is immutable\n\
        .status.serviceName: string, rule `self == oldSelf`: Value is immutable\n\
        .status.serviceNamespace: string, rule `self == oldSelf`: Value is immutable\n"
    );
}

#[test]
fn a_configuration_state_is_defined_as_metallb_defines_it() {
    assert_eq!(
        surface(ConfigurationState::crd()),
        "\
        configurationstates.metallb.io: Namespaced ConfigurationState ConfigurationStateList configurationstates \
        configurationstate\n\
        v1beta1: served stored status\n\
        Result: string .status.result\n\
        ErrorSummary: string .status.errorSummary\n\
        Age: date .metadata.creationTimestamp\n\
        .apiVersion: string\n\
        .kind: string\n\
        .metadata: object\n\
        .status: object\n\
        .status.conditions: array, list-type map by type\n\
        .status.conditions[]: object\n\
        .status.conditions[].lastTransitionTime: string date-time, required\n\
        .status.conditions[].message: string, required, at most 32768 long\n\
        .status.conditions[].observedGeneration: integer int64, from 0\n\
        .status.conditions[].reason: string, required, at least 1 long, at most 1024 long, \
        like ^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$\n\
        .status.conditions[].status: string, required, one of \"True\" \"False\" \"Unknown\"\n\
        .status.conditions[].type: string, required, at most 316 long, like \
        ^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$\n\
        .status.errorSummary: string\n\
        .status.result: string, one of \"Valid\" \"Invalid\" \"Unknown\"\n"
    );
}

#[test]
fn a_label_selector_is_merged_as_kubernetes_own_is() {
    assert_eq!(
        facts_of(&label_selector()),
        ": object, map-type atomic\n\
        .matchExpressions: array, list-type atomic\n\
        .matchExpressions[]: object\n\
        .matchExpressions[].key: string, required\n\
        .matchExpressions[].operator: string, required\n\
        .matchExpressions[].values: array, list-type atomic\n\
        .matchExpressions[].values[]: string\n\
        .matchLabels: object\n\
        .matchLabels{}: string\n"
    );
}

#[test]
fn every_field_has_a_description() {
    fn check(path: &str, schema: &JSONSchemaProps) {
        let is_item = path.ends_with([']', '}']) || path.ends_with(".metadata");
        assert!(is_item || schema.description.is_some(), "{path} has none");
        children(schema).for_each(|(name, child, _)| check(&format!("{path}{name}"), child));
    }
    for definition in all() {
        check(definition.metadata.name.as_deref().unwrap(), schema_of(&definition));
    }
}

#[test]
fn the_yaml_says_what_the_definitions_say() {
    let yaml = to_yaml().unwrap();
    let read = serde_saphyr::from_multiple::<CustomResourceDefinition>(&yaml).unwrap();
    assert_eq!(read, all());
}

#[test]
fn the_manifests_have_these_definitions() {
    let applied = include_str!("../../../deploy/base/crds.yaml");
    assert!(applied == to_yaml().unwrap(), "run `cargo xtask manifests`");
}

#[test]
fn the_examples_are_understood_to_the_last_field() {
    let read = |text| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
    let pool = read(include_str!("../../../deploy/examples/pool.yaml"));
    let typed: IPAddressPool = serde_json::from_value(pool.clone()).unwrap();
    let mut with_defaults = pool;
    with_defaults["spec"]["autoAssign"] = json!(true);
    with_defaults["spec"]["avoidBuggyIPs"] = json!(false);
    assert_eq!(serde_json::to_value(typed).unwrap(), with_defaults);

    let advertisement = read(include_str!("../../../deploy/examples/advertisement.yaml"));
    let typed: L2Advertisement = serde_json::from_value(advertisement.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), advertisement);
}

#[test]
fn an_advertisement_without_spec_announces_everything() {
    let read: L2Advertisement = serde_json::from_value(json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": {"name": "all"},
    }))
    .unwrap();
    assert_eq!(read, L2Advertisement::new("all", L2AdvertisementSpec::default()));
}

#[test]
fn an_advertisement_is_read_as_it_is_written() {
    let spec = L2AdvertisementSpec {
        ip_address_pools: vec!["web".to_owned()],
        interfaces: vec!["eth0".to_owned()],
        preferred_node_selectors: vec![PreferredNodeSelector {
            weight: 10,
            preference: LabelSelector {
                match_labels: Some([("rack".to_owned(), "a".to_owned())].into()),
                match_expressions: None,
            },
        }],
        ..L2AdvertisementSpec::default()
    };
    let written = serde_json::to_value(L2Advertisement::new("web", spec.clone())).unwrap();
    assert_eq!(
        written,
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": {"name": "web"},
            "spec": {
                "ipAddressPools": ["web"],
                "interfaces": ["eth0"],
                "preferredNodeSelectors": [{"weight": 10, "preference": {"matchLabels": {"rack": "a"}}}],
            },
        })
    );
    assert_eq!(serde_json::from_value::<L2Advertisement>(written).unwrap().spec, spec);
}

#[test]
fn a_pool_has_the_defaults_of_its_definition_where_no_server_has_filled_them_in() {
    let read: IPAddressPoolSpec = serde_json::from_value(json!({"addresses": ["192.0.2.0/28"]})).unwrap();
    let expected = IPAddressPoolSpec {
        addresses: vec!["192.0.2.0/28".to_owned()],
        auto_assign: true,
        avoid_buggy_ips: false,
        service_allocation: None,
    };
    assert_eq!(read, expected);
}

#[test]
fn a_pool_without_addresses_is_none() {
    assert!(serde_json::from_value::<IPAddressPoolSpec>(json!({"autoAssign": true})).is_err());
}

#[test]
fn status_objects_are_read_with_and_without_spec() {
    let status = ServiceL2StatusStatus {
        node: "n1".to_owned(),
        service_name: "web".to_owned(),
        service_namespace: "default".to_owned(),
        interfaces: vec![InterfaceInfo { name: "eth0".to_owned() }],
    };
    let object = |spec: serde_json::Value| {
        let mut object = json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status", "metadata": {"name": "l2-x"},
            "status": {
                "node": "n1", "serviceName": "web", "serviceNamespace": "default", "interfaces": [{"name": "eth0"}],
            },
        });
        object.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value::<ServiceL2Status>(object).unwrap()
    };
    let expected = ServiceL2Status {
        metadata: ObjectMeta { name: Some("l2-x".to_owned()), ..ObjectMeta::default() },
        spec: ServiceL2StatusSpec {},
        status: Some(status),
    };
    assert_eq!([object(json!({})), object(json!({"spec": {}}))], [expected.clone(), expected]);
}

#[test]
fn a_configuration_state_is_written_without_spec() {
    let mut state = ConfigurationState::new("speaker-n1", ConfigurationStateSpec {});
    state.status = Some(ConfigurationStateStatus {
        result: Some(ConfigurationResult::Invalid),
        error_summary: "no".to_owned(),
        conditions: Vec::new(),
    });
    let written = serde_json::to_value(&state).unwrap();
    assert_eq!(
        written,
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "ConfigurationState", "metadata": {"name": "speaker-n1"},
            "status": {"result": "Invalid", "errorSummary": "no"},
        })
    );
    assert_eq!(serde_json::from_value::<ConfigurationState>(written).unwrap(), state);
}

/// All that a definition asks of objects and tells of them, a line a fact, descriptions left out.
fn surface(definition: CustomResourceDefinition) -> String {
    let definition = schema::finish(definition);
    let (spec, names) = (&definition.spec, &definition.spec.names);
    let [version] = &spec.versions[..] else { panic!("more than one version") };
    let mut told = format!(
        "{}: {} {} {} {} {}\n{}:",
        definition.metadata.name.as_deref().unwrap(),
        spec.scope,
        names.kind,
        names.list_kind.as_deref().unwrap(),
        names.plural,
        names.singular.as_deref().unwrap(),
        version.name,
    );
    let has_status = version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some());
    for (_, word) in [(version.served, " served"), (version.storage, " stored"), (has_status, " status")]
        .into_iter()
        .filter(|(is_so, _)| *is_so)
    {
        told += word;
    }
    told += "\n";
    for column in version.additional_printer_columns.iter().flatten() {
        told += &format!("{}: {} {}", column.name, column.type_, column.json_path);
        told += &column.priority.map_or(String::new(), |priority| format!(", priority {priority}"));
        told += "\n";
    }
    told + facts_of(schema_of(&definition)).strip_prefix(": object\n").unwrap()
}

fn schema_of(definition: &CustomResourceDefinition) -> &JSONSchemaProps {
    definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()
}

fn label_selector() -> JSONSchemaProps {
    let definition = L2Advertisement::crd();
    let items = schema_of(&definition).properties.as_ref().unwrap()["spec"].properties.as_ref().unwrap()
        ["nodeSelectors"]
        .items
        .clone();
    let Some(JSONSchemaPropsOrArray::Schema(items)) = items else { panic!("no list of selectors") };
    *items
}

fn facts_of(schema: &JSONSchemaProps) -> String {
    fn tell(told: &mut String, path: &str, schema: &JSONSchemaProps, is_required: bool) {
        let bare = JSONSchemaProps { description: None, ..schema.clone() };
        let is_selector =
            !path.is_empty() && bare == JSONSchemaProps { description: None, ..label_selector() };
        let kind = if is_selector { "LabelSelector".to_owned() } else { schema.type_.clone().unwrap() };
        let facts = [Some(kind)].into_iter().chain(details(schema, is_required, is_selector)).flatten();
        *told += &format!("{path}: {}\n", facts.collect::<Vec<_>>().join(", ").replace(", format ", " "));
        if !is_selector {
            children(schema).for_each(|(name, child, is_required)| {
                tell(told, &format!("{path}{name}"), child, is_required);
            });
        }
    }
    let mut told = String::new();
    tell(&mut told, "", schema, false);
    told
}

/// What else a schema says. Whatever is not looked at here must not be there.
fn details(schema: &JSONSchemaProps, is_required: bool, is_selector: bool) -> Vec<Option<String>> {
    let JSONSchemaProps {
        default,
        enum_,
        format,
        max_length,
        maximum,
        min_length,
        minimum,
        pattern,
        x_kubernetes_list_map_keys,
        x_kubernetes_list_type,
        x_kubernetes_map_type,
        x_kubernetes_validations,
        ..
    } = schema.clone();
    let known = JSONSchemaProps {
        default: None,
        description: None,
        enum_: None,
        format: None,
        max_length: None,
        maximum: None,
        min_length: None,
        minimum: None,
        pattern: None,
        type_: None,
        items: None,
        properties: None,
        additional_properties: None,
        required: None,
        x_kubernetes_list_map_keys: None,
        x_kubernetes_list_type: None,
        x_kubernetes_map_type: None,
        x_kubernetes_validations: None,
        ..schema.clone()
    };
    assert_eq!(known, JSONSchemaProps::default());
    let joined = |values: Vec<String>| values.join(" ");
    let mut facts = vec![
        format.map(|format| format!("format {format}")),
        is_required.then(|| "required".to_owned()),
        default.map(|default| format!("default {}", default.0)),
        enum_.map(|values| {
            format!("one of {}", joined(values.iter().map(|value| value.0.to_string()).collect()))
        }),
        minimum.map(|minimum| format!("from {minimum}")),
        maximum.map(|maximum| format!("to {maximum}")),
        min_length.map(|length| format!("at least {length} long")),
        max_length.map(|length| format!("at most {length} long")),
        pattern.map(|pattern| format!("like {pattern}")),
        x_kubernetes_list_type.map(|kind| match x_kubernetes_list_map_keys {
            Some(keys) => format!("list-type {kind} by {}", joined(keys)),
            None => format!("list-type {kind}"),
        }),
        x_kubernetes_map_type.filter(|_| !is_selector).map(|kind| format!("map-type {kind}")),
    ];
    for rule in x_kubernetes_validations.into_iter().flatten() {
        facts.push(Some(format!("rule `{}`: {}", rule.rule, rule.message.unwrap_or_default())));
    }
    facts
}

fn children(schema: &JSONSchemaProps) -> impl Iterator<Item = (String, &JSONSchemaProps, bool)> {
    let is_required =
        |name: &String| schema.required.as_ref().is_some_and(|required| required.contains(name));
    let properties = schema
        .properties
        .iter()
        .flatten()
        .map(move |(name, child)| (format!(".{name}"), child, is_required(name)));
    let items = schema.items.iter().map(|items| match items {
        JSONSchemaPropsOrArray::Schema(child) => ("[]".to_owned(), &**child, false),
        JSONSchemaPropsOrArray::Schemas(_) => panic!("a list of schemas"),
    });
    let values = schema.additional_properties.iter().map(|values| match values {
        JSONSchemaPropsOrBool::Schema(child) => ("{}".to_owned(), &**child, false),
        JSONSchemaPropsOrBool::Bool(_) => panic!("any value"),
    });
    properties.chain(items).chain(values)
}
