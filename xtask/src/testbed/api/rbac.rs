//! Role-based access control, by the manifests.

use std::collections::BTreeSet;

use anyhow::Context as _;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing that a rule allows, as small as it gets: by this, a rule that nobody needs is found.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Permission {
    /// The role that has the rule, as `ClusterRole lb-agent`.
    pub role: String,
    /// API group.
    pub group: String,
    /// Resource, with its subresource if there is one.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// `list` and its like.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Resource, with its subresource if there is one.
    pub resource: &'a str,
    /// Namespace; empty for all of them and for objects of the cluster.
    pub namespace: &'a str,
    /// Name; empty for all.
    pub name: &'a str,
}

/// Somebody who may do something: a rule, where, and for whom.
#[derive(Debug)]
struct Grant {
    role: String,
    rule: PolicyRule,
    /// `None`: everywhere.
    namespace: Option<String>,
    subject: Subject,
}

/// Who may do what.
#[derive(Debug, Default)]
pub struct Rbac {
    grants: Vec<Grant>,
    used: BTreeSet<Permission>,
}

impl Rbac {
    /// From manifests; those of other kinds are passed over.
    ///
    /// # Errors
    /// When a binding names a role that is not there.
    pub fn new(manifests: &[Value]) -> anyhow::Result<Self> {
        let roles = of_kind::<Role>(manifests)?;
        let cluster_roles = of_kind::<ClusterRole>(manifests)?;
        let rules = |reference: &RoleRef, namespace: Option<&str>| -> anyhow::Result<Vec<PolicyRule>> {
            let found = match reference.kind.as_str() {
                "ClusterRole" => {
                    let mut all = cluster_roles.iter();
                    all.find(|role| role.metadata.name.as_ref() == Some(&reference.name))
                        .map(|role| role.rules.clone())
                }
                _ => {
                    let is_meant = |role: &&Role| {
                        role.metadata.name.as_ref() == Some(&reference.name)
                            && role.metadata.namespace.as_deref() == namespace
                    };
                    roles.iter().find(is_meant).map(|role| role.rules.clone())
                }
            };
            let found =
                found.with_context(|| format!("there is no {} {}", reference.kind, reference.name))?;
            Ok(found.unwrap_or_default())
        };
        let mut grants = Vec::new();
        for binding in of_kind::<RoleBinding>(manifests)? {
            let namespace = binding.metadata.namespace;
            let rules = rules(&binding.role_ref, namespace.as_deref())?;
            grants.extend(granted(&binding.role_ref, rules, namespace.as_ref(), binding.subjects));
        }
        for binding in of_kind::<ClusterRoleBinding>(manifests)? {
            let rules = rules(&binding.role_ref, None)?;
            grants.extend(granted(&binding.role_ref, rules, None, binding.subjects));
        }
        Ok(Self { grants, used: BTreeSet::new() })
    }

    /// Whether a ServiceAccount (`namespace:name`) may; what allows it counts as used.
    pub fn allows(&mut self, account: &str, action: Action<'_>) -> bool {
        let Self { grants, used } = self;
        let mut allowed = grants.iter().filter(|grant| grant.is_for(account) && grant.covers(action));
        let Some(grant) = allowed.next() else { return false };
        used.insert(Permission {
            role: grant.role.clone(),
            group: action.group.into(),
            resource: action.resource.into(),
            verb: action.verb.into(),
        });
        true
    }

    /// Everything that the rules allow, one by one.
    pub fn granted(&self) -> BTreeSet<Permission> {
        self.grants.iter().flat_map(Grant::permissions).collect()
    }

    /// What of that has been made use of.
    pub const fn used(&self) -> &BTreeSet<Permission> {
        &self.used
    }
}

fn granted<'a>(
    reference: &'a RoleRef,
    rules: Vec<PolicyRule>,
    namespace: Option<&'a String>,
    subjects: Option<Vec<Subject>>,
) -> impl Iterator<Item = Grant> + 'a {
    let role = format!("{} {}", reference.kind, reference.name);
    let pairs = rules.into_iter().flat_map(move |rule| {
        subjects.clone().unwrap_or_default().into_iter().map(move |subject| (rule.clone(), subject))
    });
    pairs.map(move |(rule, subject)| Grant {
        role: role.clone(),
        rule,
        namespace: namespace.cloned(),
        subject,
    })
}

fn of_kind<T: k8s_openapi::Resource + DeserializeOwned>(manifests: &[Value]) -> anyhow::Result<Vec<T>> {
    let is_one = |manifest: &&Value| manifest["kind"] == T::KIND && manifest["apiVersion"] == T::API_VERSION;
    let read = |manifest: &Value| serde_json::from_value(manifest.clone());
    manifests.iter().filter(is_one).map(read).collect::<Result<_, _>>().context("read the RBAC manifests")
}

impl Grant {
    fn is_for(&self, account: &str) -> bool {
        let (namespace, name) = account.split_once(':').unwrap_or(("", account));
        let subject = &self.subject;
        match subject.kind.as_str() {
            "ServiceAccount" => subject.name == name && subject.namespace.as_deref() == Some(namespace),
            "Group" => {
                let name = subject.name.as_str();
                name == "system:authenticated"
                    || name == "system:serviceaccounts"
                    || name.strip_prefix("system:serviceaccounts:") == Some(namespace)
            }
            _ => subject.name == format!("system:serviceaccount:{account}"),
        }
    }

    fn covers(&self, action: Action<'_>) -> bool {
        let lists = |list: &Option<Vec<String>>, word: &str| {
            list.iter().flatten().any(|item| item == "*" || item == word)
        };
        let names = self.rule.resource_names.as_deref().unwrap_or_default();
        self.namespace.as_deref().is_none_or(|namespace| namespace == action.namespace)
            && lists(&self.rule.api_groups, action.group)
            && lists(&self.rule.resources, action.resource)
            && lists(&Some(self.rule.verbs.clone()), action.verb)
            && (names.is_empty() || names.iter().any(|name| name == action.name))
    }

    fn permissions(&self) -> impl Iterator<Item = Permission> {
        let groups = self.rule.api_groups.iter().flatten();
        groups.flat_map(move |group| {
            let resources = self.rule.resources.iter().flatten();
            resources.flat_map(move |resource| {
                self.rule.verbs.iter().map(move |verb| Permission {
                    role: self.role.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                })
            })
        })
    }
}
