//! What a hostile station on the segment can send, and that it changes nothing.

mod claims;
mod probes;
mod replies;
