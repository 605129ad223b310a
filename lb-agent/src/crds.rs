//! The custom resources of `metallb.io/v1beta1`, as Rust types and as CustomResourceDefinitions.
//!
//! Manifests that MetalLB takes have to be taken here too, so names, types, required fields, enums, defaults and printer
//! columns are MetalLB's (a table in the tests states them). Added, and ignored by what does not know it:
//! - `L2Advertisement.spec.preferredNodeSelectors` (`weight`, `preference`): nodes that go before others in the election.
//! - IPAddressPool: a rule that refuses an empty `addresses`. Elsewhere only the admission webhook does so, and agents may run
//!   without one.
//!
//! What no schema or rule can say on every supported API server (namespace, valid ranges, overlaps) is left to whoever reads
//! the objects: a rule may use neither the namespace, nor, before Kubernetes 1.30, functions for addresses, and a list without
//! a limit costs more than rules over its items may.

mod advertisement;
mod configuration_state;
mod l2_status;
mod pool;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

pub use self::{
    advertisement::{L2Advertisement, L2AdvertisementSpec, L2AdvertisementStatus, PreferredNodeSelector},
    configuration_state::{
        ConfigurationResult, ConfigurationState, ConfigurationStateSpec, ConfigurationStateStatus,
    },
    l2_status::{InterfaceInfo, ServiceL2Status, ServiceL2StatusSpec, ServiceL2StatusStatus},
    pool::{IPAddressPool, IPAddressPoolSpec, IPAddressPoolStatus, ServiceAllocation},
};

/// All definitions, in the order of their names.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    [ConfigurationState::crd(), IPAddressPool::crd(), L2Advertisement::crd(), ServiceL2Status::crd()]
        .into_iter()
        .map(schema::finish)
        .collect()
}

/// All definitions as YAML documents, such as `kubectl apply` takes.
///
/// # Errors
/// When one cannot be written as YAML.
pub fn to_yaml() -> Result<String, serde_saphyr::ser::Error> {
    all().iter().map(|definition| Ok(format!("---\n{}", serde_saphyr::to_string(definition)?))).collect()
}

#[cfg(test)]
mod tests;
