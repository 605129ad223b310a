//! What a request asks for, by its path and parameters.

use std::collections::HashMap;

use super::{refusal::Refusal, resources::Resource};

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub struct Parameters(pub HashMap<String, String>);

impl Parameters {
    /// A parameter as text; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether a parameter is true.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }

    /// A parameter as number.
    ///
    /// # Errors
    /// 400, when it is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            text => {
                let unreadable = |_| Refusal::bad_request(format!("{name}: `{text}` is no number"));
                text.parse().map(Some).map_err(unreadable)
            }
        }
    }
}

/// The objects that a path names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Target {
    /// Number of their kind.
    pub kind: usize,
    /// Namespace; empty for all of them and for objects of the cluster.
    pub namespace: String,
    /// Name; empty for all.
    pub name: String,
    /// `status`, or nothing.
    pub subresource: String,
}

impl Target {
    /// From a path; `None`, when it is not that of objects.
    pub fn parse(resources: &[Resource], path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let kind = |plural: &str| {
            resources.iter().position(|resource| {
                resource.group == group && resource.version == version && resource.plural == plural
            })
        };
        // `namespaces/NAME/status` is a namespace, `namespaces/NAME/services` are services.
        let in_namespace = match rest {
            ["namespaces", namespace, plural, rest @ ..] => kind(plural).map(|kind| (kind, *namespace, rest)),
            _ => None,
        };
        let (kind, namespace, rest) = match (in_namespace, rest) {
            (Some((kind, ..)), _) if !resources[kind].is_namespaced => return None,
            (Some(found), _) => found,
            (None, [plural, rest @ ..]) => (kind(plural)?, "", rest),
            (None, []) => return None,
        };
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, subresource] => (*name, *subresource),
            _ => return None,
        };
        if resources[kind].is_namespaced && namespace.is_empty() && !name.is_empty() {
            return None;
        }
        let known = subresource.is_empty() || (subresource == "status" && resources[kind].has_status);
        let text = |part: &str| part.to_owned();
        known.then(|| Self {
            kind,
            namespace: text(namespace),
            name: text(name),
            subresource: text(subresource),
        })
    }

    /// The word of RBAC for a method here; `None`, when the server does not know it.
    pub fn verb(&self, method: &str, parameters: &Parameters) -> Option<&'static str> {
        let is_one = !self.name.is_empty();
        match (method, is_one) {
            ("GET", _) if parameters.is_set("watch") => Some("watch"),
            ("GET", true) => Some("get"),
            ("GET", false) => Some("list"),
            ("POST", false) => Some("create"),
            ("PUT", true) => Some("update"),
            ("PATCH", true) => Some("patch"),
            ("DELETE", true) => Some("delete"),
            ("DELETE", false) => Some("deletecollection"),
            _ => None,
        }
    }
}
