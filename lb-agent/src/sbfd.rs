//! S-BFD (RFC 7880, 7881): whether other nodes live, asked of their kernels.
//!
//! The reflector is in the kernel side. This is the initiator: [`Initiator`] decides what to send and what the answers
//! mean, [`probing`] owns the thread, the clock and the sockets.

mod initiator;
pub mod probing;
mod socket;

use std::net::IpAddr;

pub use initiator::{Initiator, Probe, Refusals};

/// How peers are probed (RFC 5880, 6.8.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// Time between two probes of a session, in ns; each but the last before a verdict is shortened at random by up to
    /// a quarter.
    pub interval_ns: u64,
    /// Probes in a row that may go without an answer before a peer counts as down; not zero.
    pub detect_mult: u8,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval_ns: 50_000_000, detect_mult: 3 }
    }
}

/// A peer, by its address on one interface.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionKey {
    /// Interface index.
    pub ifindex: u32,
    /// The peer's address there.
    pub peer: IpAddr,
}

/// What it takes to probe a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// This node's own address on the interface.
    pub local: IpAddr,
    /// The peer's discriminator.
    pub your_discriminator: u32,
}

/// How a peer is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Liveness {
    /// Its kernel answers, under a valid lease.
    Up {
        /// Its kernel has seen its agent of late: it will take over what it has to.
        is_agent_seen: bool,
    },
    /// Its kernel does not answer.
    Down,
    /// Its kernel says that it is not to be counted on: drained, or without a lease.
    AdminDown,
}
