//! The kinds of objects that the server keeps.

use std::any::TypeId;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::DaemonSet,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Event as CoreEvent, Namespace, Node, Pod, Secret, Service, ServiceAccount},
        discovery::v1::EndpointSlice,
        events::v1::Event,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{refusal::Cause, schema::Schema};

/// A kind of objects, in one version.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core one.
    pub group: String,
    /// Version.
    pub version: String,
    /// Name in paths.
    pub plural: String,
    /// Name of one.
    pub singular: String,
    /// `kind`.
    pub kind: String,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
    /// Whether `status` is written through a path of its own only.
    pub has_status: bool,
    /// Names for people's fingers.
    pub short_names: Vec<String>,
    /// By what its objects are checked.
    pub check: Check,
}

/// How the objects of a kind are checked.
#[derive(Debug)]
pub enum Check {
    /// By decoding and encoding them anew, which drops unknown fields.
    BuiltIn(fn(Value) -> Result<Value, serde_json::Error>),
    /// By the schema of a CustomResourceDefinition.
    Custom(Schema),
}

impl Resource {
    /// `group/version`, or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `plural.group`, or the plural alone for the core group.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether it comes from a CustomResourceDefinition.
    pub const fn is_custom(&self) -> bool {
        matches!(self.check, Check::Custom(_))
    }

    /// The object as it is stored: defaults set, unknown fields gone; or what is wrong with it.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self, object: Value, old: Option<&Value>) -> Result<Value, Vec<Cause>> {
        match &self.check {
            Check::BuiltIn(decode) => {
                decode(object).map_err(|error| vec![Cause::invalid("", error.to_string())])
            }
            Check::Custom(schema) => schema.admit(object, old),
        }
    }
}

/// The kinds that need no CustomResourceDefinition.
pub fn built_in() -> Vec<Resource> {
    vec![
        of::<Service>(&["svc"], true),
        of::<Node>(&["no"], true),
        of::<Namespace>(&["ns"], true),
        of::<Pod>(&["po"], true),
        of::<ConfigMap>(&["cm"], false),
        of::<Secret>(&[], false),
        of::<ServiceAccount>(&["sa"], false),
        of::<CoreEvent>(&["ev"], false),
        of::<Event>(&["ev"], false),
        of::<EndpointSlice>(&[], false),
        of::<Lease>(&[], false),
        of::<DaemonSet>(&["ds"], true),
        of::<Role>(&[], false),
        of::<RoleBinding>(&[], false),
        of::<ClusterRole>(&[], false),
        of::<ClusterRoleBinding>(&[], false),
        of::<CustomResourceDefinition>(&["crd", "crds"], true),
    ]
}

fn of<T>(short_names: &[&str], has_status: bool) -> Resource
where
    T: k8s_openapi::Resource<Scope: 'static> + Serialize + DeserializeOwned,
{
    Resource {
        group: T::GROUP.into(),
        version: T::VERSION.into(),
        plural: T::URL_PATH_SEGMENT.into(),
        singular: T::KIND.to_lowercase(),
        kind: T::KIND.into(),
        is_namespaced: TypeId::of::<T::Scope>() == TypeId::of::<NamespaceResourceScope>(),
        has_status,
        short_names: short_names.iter().map(|&name| name.into()).collect(),
        check: Check::BuiltIn(decode_and_encode::<T>),
    }
}

fn decode_and_encode<T: Serialize + DeserializeOwned>(object: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(object)?)
}

/// The kinds that a CustomResourceDefinition makes: one for each served version.
///
/// # Errors
/// When it is none, or its schema does not compile.
pub fn custom(definition: &Value) -> anyhow::Result<Vec<Resource>> {
    let definition: CustomResourceDefinition = serde_json::from_value(definition.clone())?;
    let spec = definition.spec;
    let served = spec.versions.into_iter().filter(|version| version.served);
    served
        .map(|version| {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
            let schema = serde_json::to_value(schema.unwrap_or_default())?;
            Ok(Resource {
                group: spec.group.clone(),
                version: version.name,
                plural: spec.names.plural.clone(),
                singular: spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_lowercase()),
                kind: spec.names.kind.clone(),
                is_namespaced: spec.scope == "Namespaced",
                has_status: version.subresources.is_some_and(|subresources| subresources.status.is_some()),
                short_names: spec.names.short_names.clone().unwrap_or_default(),
                check: Check::Custom(Schema::new(schema)?),
            })
        })
        .collect()
}
