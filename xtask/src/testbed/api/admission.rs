//! What the API server itself asks of objects and adds to them, beyond their schemas.

use serde_json::{Value, json};

use super::{refusal::Cause, resources::Resource};

/// Longest name of an object, and longest label.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What is wrong with an object's metadata, and with events.
pub fn problems(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    // Names in RBAC may have colons, and those of other kinds are names of DNS.
    if resource.group != "rbac.authorization.k8s.io" && !is_dns_name(name) {
        causes.push(Cause::invalid("metadata.name", format!("`{name}` is no lower-case RFC 1123 subdomain")));
    }
    for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        if !is_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", format!("`{key}` is no label")));
        }
        if !value.as_str().is_some_and(|value| value.is_empty() || is_label_part(value)) {
            causes.push(Cause::invalid("metadata.labels", format!("{value} cannot be the value of a label")));
        }
    }
    for (key, value) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
        if !is_qualified(&key.to_lowercase()) || !value.is_string() {
            causes.push(Cause::invalid(
                "metadata.annotations",
                format!("`{key}` with {value} is no annotation"),
            ));
        }
    }
    if (resource.group.as_str(), resource.plural.as_str()) == ("events.k8s.io", "events") {
        causes.extend(problems_of_event(object));
    }
    causes
}

fn problems_of_event(event: &Value) -> Vec<Cause> {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let required = ["eventTime", "reportingController", "reportingInstance", "action", "reason"];
    let mut causes: Vec<Cause> =
        required.into_iter().filter(|field| text(field).is_empty()).map(Cause::required).collect();
    if !matches!(text("type"), "Normal" | "Warning") {
        causes.push(Cause::invalid("type", "must be Normal or Warning"));
    }
    for (field, most) in [("action", 128), ("reason", 128), ("reportingInstance", 128), ("note", 1024)] {
        if text(field).len() > most {
            causes.push(Cause::invalid(field, format!("can have at most {most} bytes")));
        }
    }
    if !is_qualified(text("reportingController")) {
        causes.push(Cause::invalid("reportingController", "is no qualified name"));
    }
    let regarding = event["regarding"]["namespace"].as_str().unwrap_or("default");
    if event["metadata"]["namespace"] != regarding {
        let message = format!("does not match regarding.namespace, or is not `default`: {regarding}");
        causes.push(Cause::invalid("metadata.namespace", message));
    }
    causes
}

/// What a new object gets.
pub fn complete_new(resource: &Resource, object: &mut Value, serial: u64) {
    match resource.kind.as_str() {
        "Service" => complete_service(object, serial),
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["status"] = json!({"phase": "Active"});
        }
        _ => {}
    }
}

/// A cluster IP of each family that it asks for, and the defaults that others read.
fn complete_service(object: &mut Value, serial: u64) {
    let spec = &mut object["spec"];
    set_default(spec, "type", json!("ClusterIP"));
    set_default(spec, "sessionAffinity", json!("None"));
    set_default(spec, "internalTrafficPolicy", json!("Cluster"));
    set_default(spec, "ipFamilyPolicy", json!("SingleStack"));
    let is_dual = spec["ipFamilyPolicy"] != "SingleStack";
    set_default(spec, "ipFamilies", if is_dual { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) });
    if spec["type"] != "ExternalName" && spec["clusterIP"].is_null() {
        let families = spec["ipFamilies"].as_array().cloned().unwrap_or_default();
        let address = |family: &Value| match family.as_str() {
            Some("IPv6") => format!("fd96::{:x}:{:x}", serial >> 16 & 0xffff, serial & 0xffff),
            _ => format!("10.{}.{}.{}", 96 + (serial >> 16 & 0xf), serial >> 8 & 0xff, serial & 0xff),
        };
        let addresses: Vec<String> = families.iter().map(address).collect();
        spec["clusterIP"] = json!(addresses.first());
        spec["clusterIPs"] = json!(addresses);
    }
    if spec["type"] == "LoadBalancer" || spec["type"] == "NodePort" {
        set_default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        set_default(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set_default(port, "targetPort", number);
    }
}

fn set_default(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

fn is_dns_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_label)
}

/// A name with a prefix or without.
fn is_qualified(name: &str) -> bool {
    match name.split_once('/') {
        Some((prefix, name)) => is_dns_name(prefix) && is_label_part(name),
        None => is_label_part(name),
    }
}

fn is_label_part(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let is_outer = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    text.len() <= LONGEST_LABEL
        && text.chars().all(is_inner)
        && is_outer(text.chars().next())
        && is_outer(text.chars().last())
}
