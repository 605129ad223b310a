//! The agent's lease, and how the node is by it.

use crate::wire::bfd::{Diag, State};

/// Past the end of the lease by this long, the programs touch nothing any more: an abandoned program must not
/// deafen a host.
pub const ABANDONED_AFTER_NS: u64 = 24 * 3600 * 1_000_000_000;
/// An agent that was last seen longer ago than this takes nothing over.
pub const AGENT_STALE_AFTER_NS: u64 = 1_000_000_000;

/// State of the agent: the only value of `LB_AGENT`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Agent {
    /// CLOCK_BOOTTIME at which the lease ends, in ns. Zero: there was never a lease, and the host is left as it was.
    pub valid_until_ns: u64,
    /// CLOCK_BOOTTIME at which the agent was last seen at work, in ns; 0 for never.
    pub agent_seen_ns: u64,
    /// The node's S-BFD discriminator (RFC 7880, 4), host byte order. Zero: none yet, and no probe is reflected.
    pub discriminator: u32,
    /// Not zero: the node is about to leave. Its VIPs are answered for, and probes hear AdminDown.
    pub admin_down: u32,
}

/// How the lease stands at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lease {
    /// Answers go out.
    Valid,
    /// The agent is late: VIPs fall silent.
    Expired,
    /// The agent is gone for good, or has never come so far: everything passes.
    Abandoned,
}

impl Agent {
    /// How the lease stands at `now_ns` (CLOCK_BOOTTIME).
    #[must_use]
    #[inline(always)]
    pub const fn lease(&self, now_ns: u64) -> Lease {
        if now_ns < self.valid_until_ns {
            Lease::Valid
        } else if self.valid_until_ns != 0 && now_ns - self.valid_until_ns < ABANDONED_AFTER_NS {
            Lease::Expired
        } else {
            Lease::Abandoned
        }
    }

    /// What probes hear of the node at `now_ns` (CLOCK_BOOTTIME), or `None` for no answer at all. AdminDown comes by
    /// the clock and at the instant at which VIPs fall silent.
    #[must_use]
    #[inline(always)]
    pub const fn reflection(&self, now_ns: u64) -> Option<(State, Diag)> {
        match self.lease(now_ns) {
            Lease::Abandoned => None,
            Lease::Valid if self.admin_down == 0 => {
                let is_stale = now_ns > self.agent_seen_ns.saturating_add(AGENT_STALE_AFTER_NS);
                Some((State::Up, if is_stale { Diag::ControlDetectionTimeExpired } else { Diag::None }))
            }
            Lease::Valid | Lease::Expired => Some((State::AdminDown, Diag::AdministrativelyDown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASED: Agent =
        Agent { valid_until_ns: 5_000_000_000, agent_seen_ns: 100, discriminator: 7, admin_down: 0 };

    #[test]
    fn a_lease_is_valid_then_expired_then_abandoned() {
        let agent = Agent { valid_until_ns: 100, ..Agent::default() };
        assert_eq!(agent.lease(99), Lease::Valid);
        assert_eq!(agent.lease(100), Lease::Expired);
        assert_eq!(agent.lease(99 + ABANDONED_AFTER_NS), Lease::Expired);
        assert_eq!(agent.lease(100 + ABANDONED_AFTER_NS), Lease::Abandoned);
        assert_eq!(Agent::default().lease(99), Lease::Abandoned);
    }

    #[test]
    fn a_node_is_up_while_the_lease_lasts_and_says_when_its_agent_is_not_seen() {
        let up = |diag| Some((State::Up, diag));
        assert_eq!(LEASED.reflection(100 + AGENT_STALE_AFTER_NS), up(Diag::None));
        assert_eq!(LEASED.reflection(101 + AGENT_STALE_AFTER_NS), up(Diag::ControlDetectionTimeExpired));
        let seen_by_another_cpu = Agent { agent_seen_ns: 300, ..LEASED };
        assert_eq!(seen_by_another_cpu.reflection(200), up(Diag::None));
    }

    #[test]
    fn a_node_is_admin_down_past_its_lease_and_while_it_leaves_and_silent_when_abandoned() {
        let admin_down = Some((State::AdminDown, Diag::AdministrativelyDown));
        assert_eq!(LEASED.reflection(LEASED.valid_until_ns), admin_down);
        assert_eq!(Agent { admin_down: 1, ..LEASED }.reflection(100), admin_down);
        assert_eq!(LEASED.reflection(LEASED.valid_until_ns + ABANDONED_AFTER_NS), None);
        assert_eq!(Agent { valid_until_ns: 0, ..LEASED }.reflection(100), None);
    }
}
