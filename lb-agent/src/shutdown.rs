//! The machine's shutdown, as logind announces it: the node hands its VIPs over while its network still works.
//!
//! logind waits for those that hold a delay inhibitor (InhibitDelayMaxSec, 5 s by default) before it goes on.

use std::future;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};
use zbus::{Connection, OwnedFd};

/// What happens to the machine.
#[derive(Debug)]
pub enum Shutdown {
    /// It is about to shut down, and waits for [`HandedOver`] to be dropped.
    Begins(HandedOver),
    /// It goes on after all.
    Cancelled,
}

/// Dropped, it lets the shutdown go on.
#[derive(Debug)]
pub struct HandedOver {
    _done: oneshot::Sender<()>,
}

/// Shutdowns to come.
#[derive(Debug)]
pub struct Shutdowns {
    receiver: mpsc::Receiver<Shutdown>,
}

impl Shutdowns {
    /// Begins to listen, in the background. Where there is no logind, or no way to it, it is said in the log that a
    /// shutdown comes unannounced.
    #[must_use]
    pub fn listen() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(error) = serve(&sender).await {
                info!(%error, "no word from logind: a shutdown of the machine does not drain this node first");
            }
        });
        Self { receiver }
    }

    /// The next one.
    pub async fn next(&mut self) -> Shutdown {
        match self.receiver.recv().await {
            Some(shutdown) => shutdown,
            None => future::pending().await,
        }
    }
}

/// logind's manager object (org.freedesktop.login1(5)).
#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    /// Takes an inhibitor, which is held until the descriptor is closed.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    /// `start`: before the shutdown; otherwise it was called off.
    #[zbus(signal)]
    fn prepare_for_shutdown(&self, start: bool) -> zbus::Result<()>;
}

/// Ends with an error when the bus does, or quietly when nobody listens any more.
async fn serve(sender: &mpsc::Sender<Shutdown>) -> zbus::Result<()> {
    let manager = ManagerProxy::new(&Connection::system().await?).await?;
    let mut signals = manager.receive_prepare_for_shutdown().await?;
    let mut inhibitor = Some(inhibit(&manager).await?);
    debug!("logind announces shutdowns");
    while let Some(signal) = signals.next().await {
        let (shutdown, done) = match signal.args()?.start {
            true => {
                let (sender, receiver) = oneshot::channel();
                (Shutdown::Begins(HandedOver { _done: sender }), Some(receiver))
            }
            false => {
                inhibitor = Some(inhibit(&manager).await?);
                (Shutdown::Cancelled, None)
            }
        };
        if sender.send(shutdown).await.is_err() {
            return Ok(());
        }
        if let Some(done) = done {
            let _ = done.await; // the sender is dropped, never used
            inhibitor = None;
        }
    }
    drop(inhibitor);
    Ok(())
}

async fn inhibit(manager: &ManagerProxy<'_>) -> zbus::Result<OwnedFd> {
    manager.inhibit("shutdown", "lb-agent", "hands its virtual IPs over to other nodes", "delay").await
}
