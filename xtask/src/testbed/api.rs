//! A stand-in for the Kubernetes API: an HTTP server inside of the process that keeps objects, lets them be listed and
//! watched, and goes by the RBAC rules and the CustomResourceDefinitions of the manifests that it is given. What goes wrong,
//! a test says at run time.
//!
//! Clients reach it through [`Front`]s, one for each node, which can be cut off one by one. The same fronts stand before a
//! real API server.

mod admission;
mod apply;
mod background;
mod client;
mod discovery;
mod faults;
mod front;
mod log;
mod ownership;
mod patch;
mod rbac;
mod reading;
mod refusal;
mod request;
mod resources;
mod schema;
mod selectors;
mod server;
mod shapes;
mod state;
mod store;
mod watching;
mod writing;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

pub use background::Background;
pub use client::{At, Client};
pub use faults::{Faults, Refuse};
pub use front::{Front, Reach};
pub use log::Record;
pub use rbac::Permission;

use super::Netns;
use server::{Server, Shared};
use state::{State, User};
use watching::Wake;

/// Name and token of the test itself, which may do all.
const ADMIN: &str = "admin";
/// How often a watch gets a bookmark, unless a test wants it otherwise; a real server takes a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(5);
/// Namespaces that every cluster has.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// A running API server. Dropped, it ends.
#[derive(Debug)]
pub struct Api {
    client: Client,
    shared: Shared,
    directory: TempDir,
    server: Server,
}

impl Api {
    /// Starts one that knows the kinds and the rights of these manifests, and has them as its first objects.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub fn start(manifests: &[Value]) -> anyhow::Result<Self> {
        Self::start_with(manifests, BOOKMARK_INTERVAL)
    }

    /// As [`Self::start`], with another time between bookmarks.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(manifests: &[Value], bookmark_interval: Duration) -> anyhow::Result<Self> {
        let mut state = State::new(manifests)?;
        state.tokens.insert(ADMIN.into(), User { name: ADMIN.into(), origin: String::new() });
        for name in NAMESPACES {
            state.seed(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))?;
        }
        manifests.iter().cloned().try_for_each(|manifest| state.seed(manifest))?;
        let (wake, _) = watch::channel(Wake { revision: state.store.revision(), cuts: 0 });
        let shared = Shared { state: Arc::new(Mutex::new(state)), wake: Arc::new(wake), bookmark_interval };
        let server = Server::start(shared.clone())?;
        let directory = tempfile::Builder::new().prefix(&super::leftovers::unique("api-")).tempdir()?;
        let path = directory.path().join("admin");
        let url = format!("http://{}/as/{ADMIN}", server.address);
        write_kubeconfig(&path, &url, &json!({"token": ADMIN}), None)?;
        Ok(Self { client: Client::new(&path)?, shared, directory, server })
    }

    /// The test's own way to it, which no fault touches.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The kubeconfig of the test's own client, for `kubectl` and the like outside of all namespaces.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.directory.path().join("admin")
    }

    /// A directory that goes when the server does.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Puts objects in as they are, with their status, faster than one by one through [`Client::create`].
    ///
    /// # Errors
    /// When the server does not know their kind, or they are not valid.
    pub fn seed(&self, objects: impl IntoIterator<Item = Value>) -> anyhow::Result<()> {
        let mut state = self.state();
        let result = objects.into_iter().try_for_each(|object| state.seed(object));
        self.shared.wake_watches(&state);
        result
    }

    /// A way to it from a namespace, or from where the process is.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn front(&self, netns: Option<&Netns>) -> anyhow::Result<Front> {
        Front::open(netns, self.server.address, self.server.background.runtime().clone())
    }

    /// Writes a kubeconfig for a ServiceAccount (`namespace:name`) by way of a front; `origin` is the name of the node, for
    /// the log.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig(&self, front: &Front, account: &str, origin: &str) -> anyhow::Result<PathBuf> {
        let token = self.token(account, origin);
        let path = self.directory.path().join(format!("{}-{origin}", account.replace(':', "-")));
        let url = format!("http://{}", front.address());
        write_kubeconfig(&path, &url, &json!({"token": token}), None)?;
        Ok(path)
    }

    /// A token of a ServiceAccount (`namespace:name`).
    #[must_use]
    pub fn token(&self, account: &str, origin: &str) -> String {
        let token = format!("{account}@{origin}");
        let user = User { name: account.into(), origin: origin.into() };
        self.state().tokens.insert(token.clone(), user);
        token
    }

    /// Has a token refused from now on.
    pub fn revoke(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// What goes wrong from now on. Watches that run are not ended by it.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The newest revision, for [`Faults::stale_at`].
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state().store.revision()
    }

    /// Ends all watches that run, as the server does it after a while.
    pub fn cut_watches(&self) {
        self.shared.wake.send_modify(|wake| wake.cuts += 1);
    }

    /// Forgets how the objects came to be what they are: who goes on from an older revision is told that it is gone.
    pub fn compact(&self) {
        let mut state = self.state();
        let revision = state.store.revision();
        state.store.compact(revision);
    }

    /// The requests that have come since [`Self::forget_requests`].
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.state().log.clone()
    }

    /// The requests of ServiceAccounts that meet a condition.
    #[must_use]
    pub fn requests_where(&self, condition: impl Fn(&Record) -> bool) -> Vec<Record> {
        let state = self.state();
        let meeting = state.log.iter().filter(|record| record.is_from_account() && condition(record));
        meeting.cloned().collect()
    }

    /// Begins to count requests anew.
    pub fn forget_requests(&self) {
        self.state().log.clear();
    }

    /// What the RBAC rules did not allow, of all that ServiceAccounts have asked.
    #[must_use]
    pub fn forbidden(&self) -> Vec<Record> {
        self.requests_where(|record| record.code == 403)
    }

    /// What the RBAC rules allow, and what of it has been made use of.
    #[must_use]
    pub fn permissions(&self) -> (BTreeSet<Permission>, BTreeSet<Permission>) {
        let state = self.state();
        (state.rbac.granted(), state.rbac.used().clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

/// Reads all documents of a YAML text, as manifests have them.
///
/// # Errors
/// When it is no YAML.
pub fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).context("read the YAML")?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// Writes a kubeconfig: where the server is, who asks (as its `user` has it), and the certificate to trust.
///
/// # Errors
/// When the file cannot be written.
pub fn write_kubeconfig(
    path: &Path,
    url: &str,
    user: &Value,
    authority: Option<&Path>,
) -> anyhow::Result<()> {
    let mut cluster = json!({"server": url});
    if let Some(authority) = authority {
        cluster["certificate-authority"] = json!(authority);
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lb", "cluster": cluster}],
        "users": [{"name": "lb", "user": user}],
        "contexts": [{"name": "lb", "context": {"cluster": "lb", "user": "lb"}}],
        "current-context": "lb",
    });
    fs::write(path, config.to_string()).with_context(|| format!("write {}", path.display()))
}

/// What a mutex holds, whoever has panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
