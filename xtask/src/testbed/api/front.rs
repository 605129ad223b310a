//! Where clients reach an API server: a listener in a network namespace, whose connections can be cut or hang.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::watch,
};

use super::lock;
use crate::testbed::{Netns, netns::feed};

/// How long a listener may take to close.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of connections.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// They are served.
    #[default]
    Open,
    /// They stay, and new ones come about, but nothing passes any more: the server hangs.
    Hanging,
    /// They stay, but no packet passes, nor does one that would begin a new one, and nobody says so: a hole in the network.
    Lost,
    /// They are reset, and new ones refused: nothing listens there.
    Refused,
}

/// What the connections go by.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    reach: Reach,
    /// How often all connections have been reset.
    cuts: u64,
}

/// A way to an API server, the stand-in or a real one. Dropped, it is closed.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    /// Name of the namespace; `None`: where the process is.
    netns: Option<String>,
    upstream: SocketAddr,
    runtime: Handle,
    orders: watch::Sender<Orders>,
    /// Says when the listener is closed.
    closed: Mutex<Option<Receiver<()>>>,
}

impl Front {
    /// Listens on a port of 127.0.0.1, in a namespace if one is given, and passes everything on to `upstream`, which is
    /// where the process is.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or there is no port left.
    pub fn open(netns: Option<&Netns>, upstream: SocketAddr, runtime: Handle) -> anyhow::Result<Self> {
        let netns = netns.map(|netns| netns.name().to_owned());
        let listener = listen(netns.as_deref(), 0)?;
        let (address, closed) = (listener.local_addr()?, Mutex::new(None));
        let (orders, _) = watch::channel(Orders::default());
        let front = Self { address, netns, upstream, runtime, orders, closed };
        front.accept(listener)?;
        Ok(front)
    }

    /// Where it listens, in its namespace.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what is to become of connections; when this returns, it is so.
    ///
    /// # Errors
    /// When the port cannot be listened on again; with [`Reach::Lost`] without nftables, or a namespace of its own.
    pub fn set(&self, reach: Reach) -> anyhow::Result<()> {
        let before = self.orders.borrow().reach;
        if (before == Reach::Lost) != (reach == Reach::Lost) {
            self.drop_packets(reach == Reach::Lost)?;
        }
        match (before, reach) {
            (Reach::Refused, Reach::Open | Reach::Hanging | Reach::Lost) => {
                let listener = listen(self.netns.as_deref(), self.address.port())?;
                self.orders.send_modify(|orders| orders.reach = reach);
                self.accept(listener)
            }
            (_, Reach::Refused) => {
                self.orders.send_modify(|orders| orders.reach = reach);
                match lock(&self.closed).take() {
                    Some(closed) => closed.recv_timeout(PATIENCE).context("close the listener"),
                    None => Ok(()),
                }
            }
            _ => {
                self.orders.send_modify(|orders| orders.reach = reach);
                Ok(())
            }
        }
    }

    /// Resets all connections; new ones are served as before.
    pub fn cut_connections(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Has the namespace drop what goes to the listener or comes from it, or not any more.
    fn drop_packets(&self, are_dropped: bool) -> anyhow::Result<()> {
        let netns = self.netns.as_deref().context("packets are dropped in a namespace of its own only")?;
        let (table, port) = (format!("lb_front_{}", self.address.port()), self.address.port());
        let mut rules = format!("table ip {table}\ndelete table ip {table}\n");
        if are_dropped {
            let _ = writeln!(rules, "table ip {table} {{\nchain hole {{\ntype filter hook input priority 0;");
            let _ = writeln!(rules, "tcp dport {port} drop;\ntcp sport {port} drop;\n}}\n}}");
        }
        feed(netns, "nft", &["-f", "-"], &rules)
    }

    fn accept(&self, listener: StdListener) -> anyhow::Result<()> {
        listener.set_nonblocking(true)?;
        let (close, closed) = channel();
        *lock(&self.closed) = Some(closed);
        let (orders, upstream) = (self.orders.subscribe(), self.upstream);
        let _guard = self.runtime.enter();
        let listener = TcpListener::from_std(listener).context("listen")?;
        self.runtime.spawn(async move {
            accept_all(listener, upstream, orders).await;
            let _ = close.send(());
        });
        Ok(())
    }
}

/// Until it is to be refused, or the front is gone.
async fn accept_all(listener: TcpListener, upstream: SocketAddr, mut orders: watch::Receiver<Orders>) {
    loop {
        let reach = orders.borrow_and_update().reach;
        if reach == Reach::Refused {
            return;
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            // While it hangs, the kernel completes connections, and nobody takes them up.
            accepted = listener.accept(), if reach != Reach::Hanging => {
                if let Ok((near, _)) = accepted {
                    tokio::spawn(relay(near, upstream, orders.clone()));
                }
            }
        }
    }
}

async fn relay(mut near: TcpStream, upstream: SocketAddr, orders: watch::Receiver<Orders>) {
    let Ok(mut far) = TcpStream::connect(upstream).await else { return };
    let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    if !copy_until_cut(&mut near, &mut far, orders).await {
        // Closed so, the other end sees a reset.
        let _ = near.set_zero_linger();
    }
}

/// Whether the connection came to its own end.
async fn copy_until_cut(
    near: &mut TcpStream,
    far: &mut TcpStream,
    mut orders: watch::Receiver<Orders>,
) -> bool {
    let cuts = orders.borrow().cuts;
    let mut copy = std::pin::pin!(copy_bidirectional(near, far));
    loop {
        let now = *orders.borrow_and_update();
        if now.cuts != cuts || now.reach == Reach::Refused {
            return false;
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return false },
            _ = &mut copy, if now.reach != Reach::Hanging => return true,
        }
    }
}

/// A listener in the namespace of this name.
fn listen(netns: Option<&str>, port: u16) -> anyhow::Result<StdListener> {
    let listen = || StdListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match netns {
        Some(name) => Netns::run_in(name, listen)?,
        None => listen(),
    };
    listener
        .with_context(|| format!("listen on port {port} in {}", netns.unwrap_or("the process's namespace")))
}
