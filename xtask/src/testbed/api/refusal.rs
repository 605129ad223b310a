//! What the API server says no with: the body `Status` of `meta/v1`.

use serde_json::{Value, json};

use super::resources::Resource;

/// A refused request: HTTP status code and `Status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// The machine's word for it.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    details: Value,
}

/// One field that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cause {
    /// `FieldValueInvalid` and its like.
    pub reason: &'static str,
    /// Path of the field, as `spec.addresses[0]`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Cause {
    /// A field whose value may not be.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: message.into() }
    }

    /// A field that is missing.
    pub fn required(field: impl Into<String>) -> Self {
        Self { reason: "FieldValueRequired", field: field.into(), message: "Required value".into() }
    }
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: json!({}) }
    }

    fn on(resource: &Resource, name: &str, code: u16, reason: &'static str, what: &str) -> Self {
        let message = format!("{} \"{name}\" {what}", resource.full_name());
        let details = json!({"group": resource.group, "kind": resource.plural, "name": name});
        Self { details, ..Self::new(code, reason, message) }
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::on(resource, name, 404, "NotFound", "not found")
    }

    /// 404 for a path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".into())
    }

    /// 409 for a name that is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::on(resource, name, 409, "AlreadyExists", "already exists")
    }

    /// 409 for a write that stands on an older state.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        let what = "cannot be changed: it is not at the resourceVersion of the request any more";
        Self::on(resource, name, 409, "Conflict", what)
    }

    /// 409 for fields that other managers have set.
    pub fn apply_conflict(causes: Vec<Cause>) -> Self {
        let fields: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let message = format!("Apply failed with {} conflicts: {}", fields.len(), fields.join("; "));
        Self::new(409, "Conflict", message).with_causes(&causes)
    }

    /// 422 with what is wrong.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let fields: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let what = format!("is invalid: {}", fields.join(", "));
        let refusal = Self::on(resource, name, 422, "Invalid", &what);
        Self { message: format!("{}.{} \"{name}\" {what}", resource.kind, resource.group), ..refusal }
            .with_causes(causes)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".into())
    }

    /// 403.
    pub fn forbidden(message: String) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message.into())
    }

    /// 410 for a state that has been compacted away.
    pub fn expired(message: String) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415.
    pub fn unsupported_media_type(message: String) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 429.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        let message = "too many requests, please try again later";
        let refusal = Self::new(429, "TooManyRequests", message.into());
        Self { details: json!({"retryAfterSeconds": retry_after_seconds}), ..refusal }
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message.into())
    }

    /// 504 for a state that this server has not seen yet.
    pub fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        let details = json!({"retryAfterSeconds": 1, "causes": causes});
        Self { details, ..Self::new(504, "Timeout", message) }
    }

    fn with_causes(mut self, causes: &[Cause]) -> Self {
        let told =
            |cause: &Cause| json!({"reason": cause.reason, "field": cause.field, "message": cause.message});
        self.details["causes"] = causes.iter().map(told).collect();
        self
    }

    /// For the header `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    /// The body.
    pub fn status(&self) -> Value {
        let Self { code, reason, message, details } = self;
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": code, "reason": reason, "message": message, "details": details,
        })
    }
}
