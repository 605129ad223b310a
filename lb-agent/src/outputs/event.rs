//! An event on a Service.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::cluster::objects::ObjectName;

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// This node announces the Service now.
    #[default]
    NodeAssigned,
    /// The Service should be announced, and cannot be.
    AnnounceFailed,
    /// A stranger answers for a VIP.
    AddressConflict,
    /// Two nodes hold a VIP, and do not hear each other.
    SplitSegment,
}

impl Reason {
    /// As it stands in the event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeAssigned => "nodeAssigned",
            Self::AnnounceFailed => "announceFailed",
            Self::AddressConflict => "AddressConflict",
            Self::SplitSegment => "SplitSegment",
        }
    }

    /// `Normal` or `Warning`.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::NodeAssigned => "Normal",
            Self::AnnounceFailed | Self::AddressConflict | Self::SplitSegment => "Warning",
        }
    }
}

/// An event on a Service. Its name follows from what it tells: the API refuses it a second time for as long as it keeps events,
/// so that neither a restart nor another node repeats it.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Event {
    /// The Service.
    pub service: ObjectName,
    /// Its `metadata.uid`.
    pub uid: String,
    /// What it is about.
    pub reason: Reason,
    /// For people.
    pub note: String,
    /// Tells it from another one with the same note.
    pub occasion: String,
    /// Tells it from an earlier one of this run of the agent. No part of the name: the API has one object for both.
    pub number: u64,
}

/// Bytes of the hash that stand in a name.
const HASH_BYTES: usize = 8;
/// A name of an object has at most 253 characters; so many of them may be the Service's.
const MAX_SERVICE_NAME: usize = 230;

impl Event {
    /// The same, told apart from others by this.
    #[must_use]
    pub fn on(self, occasion: &str) -> Self {
        Self { occasion: occasion.to_owned(), ..self }
    }

    /// The name of the event's object, in the Service's namespace.
    #[must_use]
    pub fn object_name(&self) -> String {
        let Self { service, uid, reason, note, occasion, number: _ } = self;
        let mut hash = Sha256::new();
        for part in [&service.namespace, &*service.name, uid, reason.as_str(), note, occasion] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut name: String = service.name.chars().take(MAX_SERVICE_NAME).collect();
        name.push('.');
        for byte in &hash.finalize()[..HASH_BYTES] {
            let _ = write!(name, "{byte:02x}"); // to a String it cannot fail
        }
        name
    }
}
