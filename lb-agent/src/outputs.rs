//! What the agent writes to the API: who announces which Service, what happened to it, and what is made of the configuration.
//!
//! All of it is a function of the selection, of what the loop tells, and of what stands in the API already. What stands there
//! as it should is not written, so nothing is written without a change, nor after a restart. What is told of a Service is a
//! function of what is known of that Service, so that a change of one leads to no look at the others.

pub mod event;
pub mod events;
pub mod l2_status;
pub mod machines;
pub mod observed;
pub mod state;

pub use event::Event;
use l2_status::Status;
use state::State;

use crate::cluster::selection::Selection;

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Create a ServiceL2Status, with its status. Once it is there the event is to be told, on the occasion of its name.
    CreateStatus(Status, Event),
    /// Put the status of this ServiceL2Status right.
    SetStatus {
        /// Its name.
        object: String,
        /// What it has to say.
        status: Status,
    },
    /// Delete this ServiceL2Status.
    DeleteStatus {
        /// Its name.
        object: String,
    },
    /// Create an event, unless there is one of its name.
    Event(Event),
    /// Create the ConfigurationState of this node, or put it right.
    SetState(State),
}

/// Whether this node speaks for all about what every node sees alike: it is the first by name that runs an agent and is fit.
/// While views differ there may be two, or none, for a moment; what they write is the same.
#[must_use]
pub fn is_spokesman(selection: &Selection, me: &str) -> bool {
    let mut fit = selection.nodes.iter().filter(|(_, node)| node.has_agent && node.is_fit());
    fit.next().is_some_and(|(name, _)| **name == *me)
}

#[cfg(test)]
mod tests;
