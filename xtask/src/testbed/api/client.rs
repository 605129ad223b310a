//! A client for tests, which do not wait asynchronously: of the stand-in or of a real API server.

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use anyhow::{Context as _, bail};
use kube::{
    Api, Client as KubeClient, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::lock;

/// The manager of what the test itself applies.
const MANAGER: &str = "lb-test";

/// Speaks with an API server by a kubeconfig, and waits for each answer.
pub struct Client {
    runtime: Mutex<Runtime>,
    client: KubeClient,
    /// Kinds that have been looked up.
    kinds: Mutex<BTreeMap<(String, String), (ApiResource, Scope)>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// By the kubeconfig in a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(kubeconfig: &Path) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig).context("read the kubeconfig")?;
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            // A refusal is what a test wants to see.
            config.default_retry = false;
            anyhow::Ok(KubeClient::try_from(config)?)
        })?;
        Ok(Self { runtime: Mutex::new(runtime), client, kinds: Mutex::default() })
    }

    /// kube's own client, for what this one does not have. To be used inside of [`Self::block_on`].
    #[must_use]
    pub fn kube(&self) -> KubeClient {
        self.client.clone()
    }

    /// Waits for a future.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        lock(&self.runtime).block_on(future)
    }

    /// Creates an object; its status, if it has one, is set after that.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn create(&self, object: impl Serialize) -> anyhow::Result<Value> {
        let (api, object) = self.api_of(object)?;
        let status = object.data.get("status").filter(|status| !status.is_null()).cloned();
        let created = self.block_on(api.create(&PostParams::default(), &object));
        let created = created.with_context(|| format!("create {}", named(&object)))?;
        match status {
            None => Ok(serde_json::to_value(created)?),
            Some(status) => {
                let patch = Patch::Merge(serde_json::json!({"status": status}));
                let name = created.metadata.name.as_deref().unwrap_or_default();
                let result = self.block_on(api.patch_status(name, &PatchParams::default(), &patch));
                Ok(serde_json::to_value(
                    result.with_context(|| format!("set the status of {}", named(&created)))?,
                )?)
            }
        }
    }

    /// Applies a configuration, as `kubectl apply --server-side --force-conflicts` does.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn apply(&self, object: impl Serialize) -> anyhow::Result<Value> {
        let (api, object) = self.api_of(object)?;
        let name = object.metadata.name.clone().context("an object without a name")?;
        let parameters = PatchParams::apply(MANAGER).force();
        let applied = self.block_on(api.patch(&name, &parameters, &Patch::Apply(&object)));
        Ok(serde_json::to_value(applied.with_context(|| format!("apply {}", named(&object)))?)?)
    }

    /// Changes an object by a merge patch (RFC 7386).
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn patch(&self, at: At<'_>, patch: &Value) -> anyhow::Result<Value> {
        let (api, parameters) = (self.api_at(at)?, PatchParams::default());
        let patched = self.block_on(api.patch(at.name, &parameters, &Patch::Merge(patch)));
        Ok(serde_json::to_value(patched.with_context(|| format!("patch {at:?}"))?)?)
    }

    /// Changes the status of an object by a merge patch (RFC 7386).
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn set_status(&self, at: At<'_>, status: &Value) -> anyhow::Result<Value> {
        let (api, parameters) = (self.api_at(at)?, PatchParams::default());
        let patch = Patch::Merge(serde_json::json!({"status": status}));
        let patched = self.block_on(api.patch_status(at.name, &parameters, &patch));
        Ok(serde_json::to_value(patched.with_context(|| format!("set the status of {at:?}"))?)?)
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn get(&self, at: At<'_>) -> anyhow::Result<Option<Value>> {
        let found = self.block_on(self.api_at(at)?.get_opt(at.name));
        Ok(found.with_context(|| format!("get {at:?}"))?.map(serde_json::to_value).transpose()?)
    }

    /// All objects of a kind, in one namespace or (empty) all of them.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn list(&self, api_version: &str, kind: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
        let at = At { api_version, kind, namespace, name: "" };
        let found = self.block_on(self.api_at(at)?.list(&ListParams::default()));
        let items = found.with_context(|| format!("list {kind}"))?.items;
        items.into_iter().map(|item| Ok(serde_json::to_value(item)?)).collect()
    }

    /// Deletes an object, which has to be there.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn delete(&self, at: At<'_>) -> anyhow::Result<()> {
        let gone = self.block_on(self.api_at(at)?.delete(at.name, &DeleteParams::default()));
        gone.map(drop).with_context(|| format!("delete {at:?}"))
    }

    fn api_of(&self, object: impl Serialize) -> anyhow::Result<(Api<DynamicObject>, DynamicObject)> {
        let object: DynamicObject = serde_json::from_value(serde_json::to_value(object)?)?;
        let types = object.types.clone().context("an object without apiVersion and kind")?;
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let at = At { api_version: &types.api_version, kind: &types.kind, namespace: &namespace, name: "" };
        Ok((self.api_at(at)?, object))
    }

    fn api_at(&self, at: At<'_>) -> anyhow::Result<Api<DynamicObject>> {
        let (resource, scope) = self.kind(at.api_version, at.kind)?;
        match scope {
            Scope::Cluster => Ok(Api::all_with(self.kube(), &resource)),
            Scope::Namespaced if at.namespace.is_empty() && at.name.is_empty() => {
                Ok(Api::all_with(self.kube(), &resource))
            }
            Scope::Namespaced if at.namespace.is_empty() => bail!("{at:?} is in no namespace"),
            Scope::Namespaced => Ok(Api::namespaced_with(self.kube(), at.namespace, &resource)),
        }
    }

    fn kind(&self, api_version: &str, kind: &str) -> anyhow::Result<(ApiResource, Scope)> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = lock(&self.kinds).get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let found = self.block_on(discovery::pinned_kind(&self.client, &gvk));
        let (resource, capabilities) = found.with_context(|| format!("look up {kind} of {api_version}"))?;
        lock(&self.kinds).insert(key, (resource.clone(), capabilities.scope.clone()));
        Ok((resource, capabilities.scope))
    }
}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// `kind`.
    pub kind: &'a str,
    /// Namespace; empty for objects of the cluster.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

fn named(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| types.kind.as_str());
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name =
        object.metadata.name.as_deref().or(object.metadata.generate_name.as_deref()).unwrap_or_default();
    format!("{kind} {namespace}/{name}")
}
