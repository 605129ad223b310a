//! The user side of the announcer. IO stands at the rim; the core takes values and a `now` and returns values.

pub mod announcements;
pub mod diff;
pub mod holding;
pub mod model;
pub mod object;
