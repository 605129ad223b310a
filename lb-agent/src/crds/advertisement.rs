//! L2Advertisement.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::schema;

/// What is announced, by whom and where. An empty list does not restrict, and the empty advertisement, or one without `spec`,
/// has every node announce every address on every interface.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[expect(clippy::duplicated_attributes, reason = "columns of one type each name it")]
#[kube(
    group = "metallb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    namespaced,
    status = "L2AdvertisementStatus",
    derive = "PartialEq",
    doc = "Has the addresses of pools announced on the nodes' segments, by ARP and NDP.",
    printcolumn(name = "IPAddressPools", type_ = "string", json_path = ".spec.ipAddressPools"),
    printcolumn(
        name = "IPAddressPool Selectors",
        type_ = "string",
        json_path = ".spec.ipAddressPoolSelectors"
    ),
    printcolumn(name = "Interfaces", type_ = "string", json_path = ".spec.interfaces"),
    printcolumn(name = "Node Selectors", type_ = "string", json_path = ".spec.nodeSelectors", priority = 10)
)]
#[serde(rename_all = "camelCase", remote = "Self")]
pub struct L2AdvertisementSpec {
    /// Names of the pools whose addresses are announced. With neither names nor selectors: all pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_address_pools: Vec<String>,
    /// Further pools, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_selectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,
    /// The nodes that may announce, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_selectors")]
    pub node_selectors: Vec<LabelSelector>,
    /// The Services whose addresses are announced, by their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_selectors")]
    pub service_selectors: Vec<LabelSelector>,
    /// Names of the interfaces to announce on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
    /// Nodes that go before others in the election: a node scores the weights of the preferences that match it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,
}

/// A preference for some of the nodes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreferredNodeSelector {
    /// What a node gains by being matched, from 1 to 100.
    #[schemars(schema_with = "schema::weight")]
    pub weight: i64,
    /// The nodes, by their labels.
    #[schemars(schema_with = "schema::label_selector")]
    pub preference: LabelSelector,
}

/// Nothing so far.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct L2AdvertisementStatus {}

impl Serialize for L2AdvertisementSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for L2AdvertisementSpec {
    /// An `Option` may be missing altogether, other types may not: so an object without `spec` is read as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "L2AdvertisementSpec")] L2AdvertisementSpec);
        let spec = Option::<Present>::deserialize(deserializer)?;
        Ok(spec.map(|Present(spec)| spec).unwrap_or_default())
    }
}
