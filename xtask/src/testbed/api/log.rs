//! The requests that have come.

use std::time::Instant;

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it came.
    pub at: Instant,
    /// Whose it was: `admin`, or a ServiceAccount as `namespace:name`.
    pub user: String,
    /// From where, as the token says: a node's name.
    pub origin: String,
    /// `list` and its like.
    pub verb: String,
    /// Resource as RBAC names it (`services`, `servicel2statuses.metallb.io/status`), or the path.
    pub resource: String,
    /// Namespace; empty for all of them.
    pub namespace: String,
    /// Name; empty for all.
    pub name: String,
    /// HTTP status code of the answer.
    pub code: u16,
    /// What was refused or left out, in words; empty when all is well.
    pub problem: String,
}

impl Record {
    /// Whether it was to change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// Whether it came from a ServiceAccount, not from the test itself.
    #[must_use]
    pub fn is_from_account(&self) -> bool {
        self.user != super::ADMIN
    }
}
