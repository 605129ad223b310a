//! The machine shuts down: the node is drained, and the shutdown goes on once its VIPs are handed over.

use tracing::info;

use crate::{
    model::BoottimeNs,
    pins::{LockedPins, PinError},
    shutdown::{HandedOver, Shutdown},
};

/// How long a shutdown waits: a leaver is silent after a second, whether or not another node takes over.
const PATIENCE_NS: u64 = 1_500_000_000;

/// Where this node stands in it.
#[derive(Debug, Default)]
pub struct Departure {
    waiting: Option<(HandedOver, BoottimeNs)>,
    /// The node is drained because of the shutdown, and not before.
    has_drained: bool,
}

impl Departure {
    /// Drains the node, or ends that when the shutdown was called off.
    ///
    /// # Errors
    /// When the mark cannot be set or taken off; the shutdown does not wait then.
    pub fn follow(&mut self, shutdown: Shutdown, pins: &LockedPins, now: BoottimeNs) -> Result<(), PinError> {
        match shutdown {
            Shutdown::Begins(handed_over) => {
                info!("the machine shuts down");
                self.has_drained |= pins.mark_drained(true)?;
                self.waiting = Some((handed_over, now.saturating_add(PATIENCE_NS)));
            }
            Shutdown::Cancelled => {
                self.waiting = None;
                if std::mem::take(&mut self.has_drained) {
                    info!("the shutdown was called off");
                    pins.mark_drained(false)?;
                }
            }
        }
        Ok(())
    }

    /// Lets the shutdown go on when nothing is held any more, or it has waited long enough.
    pub fn let_go(&mut self, is_holding: bool, now: BoottimeNs) {
        self.waiting.take_if(|(_, deadline)| !is_holding || now >= *deadline);
    }
}
