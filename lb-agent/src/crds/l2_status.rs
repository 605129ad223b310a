//! ServiceL2Status.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Nothing: all that is told stands in the status.
#[derive(Clone, CustomResource, Debug, Default, JsonSchema, PartialEq, Serialize)]
#[expect(clippy::duplicated_attributes, reason = "columns of one type each name it")]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "ServiceL2Status",
    plural = "servicel2statuses",
    namespaced,
    status = "ServiceL2StatusStatus",
    derive = "PartialEq",
    doc = "Tells which node announces a Service's addresses. Written by that node's agent.",
    printcolumn(name = "Allocated Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Service Name", type_ = "string", json_path = ".status.serviceName"),
    printcolumn(name = "Service Namespace", type_ = "string", json_path = ".status.serviceNamespace")
)]
pub struct ServiceL2StatusSpec {}

/// Who announces which Service. Node and Service never change: another node writes another object.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceL2StatusStatus {
    /// Name of the node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("Value is immutable"))]
    pub node: String,
    /// Name of the Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("Value is immutable"))]
    pub service_name: String,
    /// Namespace of the Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("Value is immutable"))]
    pub service_namespace: String,
    /// The interfaces, where advertisements restrict them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceInfo>,
}

/// An interface that addresses are announced on.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InterfaceInfo {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl<'de> Deserialize<'de> for ServiceL2StatusSpec {
    /// An `Option` may be missing altogether, other types may not: so an object without `spec` is read as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present {}
        Option::<Present>::deserialize(deserializer).map(|_| Self {})
    }
}
