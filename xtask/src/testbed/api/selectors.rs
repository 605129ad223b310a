//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::{refusal::Refusal, resources::Resource};

/// What an object has to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    labels: Vec<(String, Want)>,
    fields: Vec<(String, Want)>,
}

/// What a label or a field has to be.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Want {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl Want {
    fn is_met_by(&self, value: Option<&str>) -> bool {
        let is_listed =
            |values: &[String]| value.is_some_and(|value| values.iter().any(|other| other == value));
        match self {
            Self::In(values) => is_listed(values),
            Self::NotIn(values) => !is_listed(values),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }
}

impl Selection {
    /// From the parameters `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400, when they cannot be read, or the kind has no such field to select by.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = split(labels).map(requirement).collect::<Result<_, _>>()?;
        let fields = split(fields).map(requirement).collect::<Result<Vec<_>, _>>()?;
        let unknown = fields.iter().find(|(field, _)| !is_selectable(resource, field));
        match unknown {
            Some((field, _)) => Err(Refusal::bad_request(format!("field label not supported: {field}"))),
            None => Ok(Self { labels, fields }),
        }
    }

    /// Whether it selects an object.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|(key, want)| want.is_met_by(labels[key].as_str()))
            && self.fields.iter().all(|(path, want)| want.is_met_by(Some(&field(object, path))))
    }
}

/// A field of an object as text; one that is not there is empty.
fn field(object: &Value, path: &str) -> String {
    match path.split('.').fold(object, |value, part| &value[part]) {
        Value::String(text) => text.clone(),
        Value::Null => match path {
            "spec.unschedulable" => "false".into(),
            _ => String::new(),
        },
        other => other.to_string(),
    }
}

fn is_selectable(resource: &Resource, field: &str) -> bool {
    let own: &[&str] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "pods") => &["spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"],
        ("", "secrets") => &["type"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingController",
            "type",
        ],
        _ => &[],
    };
    field == "metadata.name"
        || (field == "metadata.namespace" && resource.is_namespaced)
        || own.contains(&field)
}

/// At the commas that are not inside parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let parts = text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn requirement(text: &str) -> Result<(String, Want), Refusal> {
    let one = |value: &str| vec![value.trim().to_owned()];
    let parsed = if let Some((key, value)) = text.split_once("!=") {
        (key, Want::NotIn(one(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Want::In(one(value)))
    } else if let Some((key, values)) = text.split_once(" notin ") {
        (key, Want::NotIn(values_in(values)?))
    } else if let Some((key, values)) = text.split_once(" in ") {
        (key, Want::In(values_in(values)?))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Want::DoesNotExist)
    } else {
        (text, Want::Exists)
    };
    let (key, want) = parsed;
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Refusal::bad_request(format!("unable to parse requirement: {text}")));
    }
    Ok((key.to_owned(), want))
}

fn values_in(text: &str) -> Result<Vec<String>, Refusal> {
    let inner = text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or_else(|| Refusal::bad_request(format!("unable to parse requirement: {text}")))?;
    Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
}
