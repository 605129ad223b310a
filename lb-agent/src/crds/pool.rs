//! IPAddressPool.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Which addresses a pool has, and who may have one of them.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[expect(clippy::duplicated_attributes, reason = "columns of one type each name it")]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "IPAddressPool",
    namespaced,
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    doc = "Addresses that Services of type LoadBalancer may be given.",
    printcolumn(name = "Auto Assign", type_ = "boolean", json_path = ".spec.autoAssign"),
    printcolumn(name = "Avoid Buggy IPs", type_ = "boolean", json_path = ".spec.avoidBuggyIPs"),
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses")
)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolSpec {
    /// The addresses: prefixes (`192.0.2.0/28`) and ranges (`192.0.2.10-192.0.2.20`), of either family.
    #[x_kube(validation = Rule::new("size(self) > 0").message("pool has no prefixes defined"))]
    pub addresses: Vec<String>,
    /// Whether a Service that asks for no particular pool may get an address of this one.
    #[serde(default = "yes")]
    pub auto_assign: bool,
    /// Whether IPv4 addresses that end in .0 or .255 are left out; some old network equipment takes them for broadcasts.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,
    /// Who the pool is for; everyone unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
}

/// The Services a pool is for: those of one of the namespaces, listed or selected, that one of the Service selectors matches.
/// An empty list does not restrict.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// Among the pools that a Service may use, the one with the lowest number comes first; 0, or none, comes last.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "schema::integer")]
    pub priority: i64,
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Namespaces by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_selectors")]
    pub namespace_selectors: Vec<LabelSelector>,
    /// Services by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_selectors")]
    pub service_selectors: Vec<LabelSelector>,
}

/// How much of a pool is in use. IPv6 counts stop at the largest number there is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct IPAddressPoolStatus {
    /// IPv4 addresses in use.
    #[serde(rename = "assignedIPv4")]
    pub assigned_ipv4: i64,
    /// IPv6 addresses in use.
    #[serde(rename = "assignedIPv6")]
    pub assigned_ipv6: i64,
    /// IPv4 addresses that are free.
    #[serde(rename = "availableIPv4")]
    pub available_ipv4: i64,
    /// IPv6 addresses that are free.
    #[serde(rename = "availableIPv6")]
    pub available_ipv6: i64,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
