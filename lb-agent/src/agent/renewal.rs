//! What the kernel is told of this agent: its lease, that it thinks, and that the node is drained.

use tracing::{info, warn};

use super::Agent;
use crate::{clock, lease::Look, model::BoottimeNs, tables::TableError};

impl Agent {
    /// Whether there is a lease. One that has lapsed is a fresh start.
    pub(super) fn check_lease(&mut self, now: BoottimeNs) -> bool {
        // A drain without this agent ends the lease from outside.
        let valid_until = match self.tables.agent() {
            Ok(agent) => agent.valid_until_ns,
            Err(error) => {
                self.report(error.to_string());
                return false;
            }
        };
        self.state.valid_until_ns = valid_until;
        match self.lease.look(valid_until, now) {
            Look::Valid => return true,
            Look::Lapsed { late_ns } => {
                let late_ms = late_ns / 1_000_000;
                warn!(late_ms, "the lease has lapsed: every VIP is asked for before it is announced again");
                self.holding.start_afresh(now);
            }
            Look::Absent => {}
        }
        self.adopted.clear();
        false
    }

    pub(super) fn check_drained(&mut self) {
        let is_drained = self.pins.is_drained();
        if is_drained != self.is_drained {
            self.is_drained = is_drained;
            self.is_view_new = true;
            self.news += 1;
            self.stamp();
            if is_drained {
                info!("drained: no VIP is announced until `lb-agent undrain`");
            } else {
                info!("undrained");
            }
        }
    }

    pub(super) fn renew(&mut self) -> Result<(), String> {
        self.hooks.self_test(&mut self.programs)?;
        if self.mirror.is_silence_owed() {
            return Err("the lease is not renewed while the map says that VIPs are announced which are not"
                .to_owned());
        }
        self.state.valid_until_ns = clock::boottime_ns() + self.settings.lease_ttl_ns;
        self.write_state().map_err(|error| error.to_string())
    }

    /// Tells the kernel that this agent thinks, without more time for the lease.
    pub(super) fn stamp(&mut self) {
        if let Err(error) = self.write_state() {
            self.report(error.to_string());
        }
    }

    pub(super) fn write_state(&mut self) -> Result<(), TableError> {
        self.state.agent_seen_ns = clock::boottime_ns();
        self.state.admin_down = u32::from(self.pins.is_drained());
        self.tables.set_agent(self.state)
    }
}
