//! The stand-in for the Kubernetes API, as kube-rs sees it.
//!
//! Root is needed only where a front stands in a network namespace.

mod applying;
mod faults;
mod fronts;
mod kubectl;
mod reading;
mod rights;
mod schemas;
mod watching;
mod writing;

use std::{fmt::Debug, time::Duration};

use serde_json::{Value, json};
use xtask::testbed::api::{Api, At, Client, Front, documents};

/// A kind of its own, and an account with few rights.
const MANIFESTS: &str = include_str!("manifests.yaml");
/// The account of the manifests.
const ACCOUNT: &str = "library:reader";
/// How long something may take that takes no time: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two bookmarks.
const BOOKMARKS: Duration = Duration::from_millis(300);

/// A server with the manifests, and the account's way to it.
struct Library {
    api: Api,
    front: Front,
    /// The account's client.
    reader: Client,
}

impl Library {
    fn open() -> anyhow::Result<Self> {
        let api = Api::start_with(&documents(MANIFESTS)?, BOOKMARKS)?;
        let front = api.front(None)?;
        let reader = Client::new(&api.kubeconfig(&front, ACCOUNT, "n1")?)?;
        Ok(Self { api, front, reader })
    }

    /// Creates so many services `s0` and up, in turn in the namespaces `default` and `library`.
    fn add_services(&self, services: usize) -> anyhow::Result<()> {
        (0..services).try_for_each(|number| {
            let namespace = ["default", "library"][number % 2];
            self.api.client().create(service(namespace, &format!("s{number}"))).map(drop)
        })
    }
}

fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name, "labels": {"shelf": name}},
        "spec": {"type": "LoadBalancer", "ports": [{"name": "web", "port": 80}]},
    })
}

fn at_service<'a>(namespace: &'a str, name: &'a str) -> At<'a> {
    At { api_version: "v1", kind: "Service", namespace, name }
}

fn shelf(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "test.lb/v1",
        "kind": "Shelf",
        "metadata": {"namespace": "library", "name": name},
        "spec": spec,
    })
}

fn at_shelf(name: &str) -> At<'_> {
    At { api_version: "test.lb/v1", kind: "Shelf", namespace: "library", name }
}

/// Code, reason and message of a refusal.
fn refusal<T: Debug>(result: Result<T, kube::Error>) -> (u16, String, String) {
    match result.expect_err("a refusal") {
        kube::Error::Api(status) => (status.code, status.reason, status.message),
        other => panic!("{other:?}"),
    }
}

/// The same, of a client of the test bed.
fn refusal_of<T: Debug>(result: anyhow::Result<T>) -> (u16, String, String) {
    refusal::<T>(Err(result.expect_err("a refusal").downcast().expect("an error of kube")))
}
