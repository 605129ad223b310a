//! ConfigurationState.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Nothing, and no field `spec` either: all that is told stands in the status.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[expect(clippy::duplicated_attributes, reason = "columns of one type each name it")]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "ConfigurationState",
    namespaced,
    no_spec,
    status = "ConfigurationStateStatus",
    derive = "PartialEq",
    doc = "Tells what a component makes of the configuration: one object for the controller, and one for each node's agent.",
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "ErrorSummary", type_ = "string", json_path = ".status.errorSummary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ConfigurationStateSpec {}

/// What a component makes of the configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStateStatus {
    /// Whether it can work with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ConfigurationResult>,
    /// What is wrong with it, in one text; empty when nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_summary: String,
    /// The single parts of that judgement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Whether a configuration can be worked with.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ConfigurationResult {
    /// It can.
    Valid,
    /// It cannot.
    Invalid,
    /// Nothing has been judged so far.
    Unknown,
}
