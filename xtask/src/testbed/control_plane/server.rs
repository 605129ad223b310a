//! The API server of a control plane: the stand-in, or a real one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::testbed::{
    Netns, RealApi,
    api::{Api, Background, Client, Front, write_kubeconfig},
    leftovers::unique,
};

/// Where objects are kept.
#[derive(Debug)]
pub enum Server {
    /// In this process.
    StandIn(Box<Api>),
    /// In a kube-apiserver of its own.
    Real(Box<Real>),
}

/// A real one, with what the stand-in has of itself.
#[derive(Debug)]
pub struct Real {
    client: Client,
    fronts: Background,
    directory: TempDir,
    api: RealApi,
}

impl Server {
    /// A real server on which the manifests are applied.
    ///
    /// # Errors
    /// When it does not take one of them.
    pub fn real(api: RealApi, manifests: &[Value]) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix(&unique("plane-")).tempdir()?;
        let path = directory.path().join("admin");
        let user = json!({"token": api.admin_token()});
        write_kubeconfig(&path, &format!("https://{}", api.address()), &user, Some(&api.authority()))?;
        let client = Client::new(&path)?;
        for manifest in manifests {
            client.apply(manifest)?;
        }
        Ok(Self::Real(Box::new(Real { client, fronts: Background::start()?, directory, api })))
    }

    /// The stand-in, for what only it can do.
    ///
    /// # Errors
    /// When it is a real one.
    pub fn stand_in(&self) -> anyhow::Result<&Api> {
        match self {
            Self::StandIn(api) => Ok(api),
            Self::Real(_) => bail!("only the stand-in can do this, not a real API server"),
        }
    }

    /// Has it forget what was before.
    ///
    /// # Errors
    /// When a real one, which is started anew for that, does not get ready.
    pub fn forget_history(&self) -> anyhow::Result<()> {
        match self {
            Self::StandIn(api) => {
                api.compact();
                Ok(())
            }
            Self::Real(real) => real.api.restart(),
        }
    }

    /// What a ServiceAccount was refused.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn refused(&self, namespace: &str, account: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::StandIn(api) => {
                let refused = api.requests_where(|record| {
                    !record.problem.is_empty() && !matches!(record.code, 404 | 409 | 410 | 429 | 500 | 504)
                });
                Ok(refused.iter().map(|record| format!("{record:?}")).collect())
            }
            Self::Real(real) => real.api.refused(namespace, account),
        }
    }

    /// The test's own client.
    pub fn client(&self) -> &Client {
        match self {
            Self::StandIn(api) => api.client(),
            Self::Real(real) => &real.client,
        }
    }

    /// A way to it from a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn front(&self, netns: &Netns) -> anyhow::Result<Front> {
        match self {
            Self::StandIn(api) => api.front(Some(netns)),
            Self::Real(real) => Front::open(Some(netns), real.api.address(), real.fronts.runtime().clone()),
        }
    }

    /// The kubeconfig of a ServiceAccount on a node.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn kubeconfig(
        &self,
        front: &Front,
        namespace: &str,
        account: &str,
        node: &str,
    ) -> anyhow::Result<PathBuf> {
        match self {
            Self::StandIn(api) => api.kubeconfig(front, &format!("{namespace}:{account}"), node),
            Self::Real(real) => {
                let path = real.directory.path().join(node);
                let token = real.api.token(namespace, account).context("get a token for the agents")?;
                let url = format!("https://{}", front.address());
                write_kubeconfig(&path, &url, &json!({"token": token}), Some(&real.api.authority()))?;
                Ok(path)
            }
        }
    }

    /// A directory that goes with it.
    pub fn directory(&self) -> &Path {
        match self {
            Self::StandIn(api) => api.directory(),
            Self::Real(real) => real.directory.path(),
        }
    }
}
