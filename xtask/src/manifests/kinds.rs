//! Objects as their kinds' types have them.

use anyhow::{Context as _, bail};
use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};

/// An object as it comes back from its kind's type: without what the type does not know.
///
/// # Errors
/// When it does not fit its kind, or nobody knows the kind.
pub fn round_trip(object: &Value) -> anyhow::Result<Value> {
    let kind = (object["apiVersion"].as_str().unwrap_or(""), object["kind"].as_str().unwrap_or(""));
    let result = match kind {
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            through::<CustomResourceDefinition>(object)
        }
        ("apps/v1", "DaemonSet") => through::<DaemonSet>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => through::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => through::<ClusterRoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => through::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => through::<RoleBinding>(object),
        ("v1", "ConfigMap") => through::<ConfigMap>(object),
        ("v1", "Namespace") => through::<Namespace>(object),
        ("v1", "Service") => through::<Service>(object),
        ("v1", "ServiceAccount") => through::<ServiceAccount>(object),
        _ => bail!("no type is known for {kind:?}"),
    };
    result.with_context(|| format!("read {} {}", kind.1, object["metadata"]["name"]))
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> anyhow::Result<Value> {
    let typed: T = serde_json::from_value(object.clone())?;
    Ok(with_whole_numbers(serde_json::to_value(typed)?))
}

/// Limits of schemas are floating point numbers to the types, and `1` in YAML.
fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(items) => items.into_iter().map(with_whole_numbers).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, with_whole_numbers(value))).collect(),
        other => other,
    }
}

fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    format!("{float:.0}").parse::<i64>().ok().map(Number::from)
}
