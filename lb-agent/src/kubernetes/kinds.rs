//! The kinds of objects that are watched, and what is kept of each.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        core::v1::{Node, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, Resource, core::DeserializeGuard};
use tokio::sync::mpsc;

use super::{
    lean::Lean,
    story::Story,
    watching::{Change, Kind, Selectors, watch},
};
use crate::{
    cluster::{
        objects::{self, ObjectName},
        trim,
    },
    crds::{ConfigurationState, IPAddressPool, L2Advertisement},
};

/// The agents' headless Service, in the system namespace.
pub const AGENTS_SERVICE: &str = "lb-agent";

struct Services;
struct Slices;
struct AgentSlices;
struct Nodes;
struct Pools;
struct Advertisements;
struct AgentStates;

/// Begins to watch all of them; says which.
pub fn watch_all(
    client: &Client,
    namespace: &str,
    changes: &mpsc::Sender<Change>,
    story: &Arc<Story>,
) -> Vec<&'static str> {
    let all = Selectors::default;
    let of_agents =
        Selectors { labels: Some(format!("{}={AGENTS_SERVICE}", trim::SERVICE_NAME)), fields: None };
    let load_balancers = Selectors { labels: None, fields: Some("spec.type=LoadBalancer".to_owned()) };
    let to = Destination { client, namespace, changes, story };
    vec![
        to.watch(Services, Api::all(client.clone()), load_balancers),
        to.watch(Slices, Api::all(client.clone()), all()),
        to.watch(Nodes, Api::all(client.clone()), all()),
        to.watch(Pools, to.system(), all()),
        to.watch(Advertisements, to.system(), all()),
        to.watch(AgentSlices, to.system(), of_agents),
        to.watch(AgentStates, to.system(), all()),
    ]
}

struct Destination<'a> {
    client: &'a Client,
    namespace: &'a str,
    changes: &'a mpsc::Sender<Change>,
    story: &'a Arc<Story>,
}

impl Destination<'_> {
    fn system<R>(&self) -> Api<R>
    where
        R: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    fn watch<K: Kind>(&self, kind: K, api: Api<K::Resource>, selectors: Selectors) -> &'static str {
        tokio::spawn(watch(kind, api, selectors, self.changes.clone(), Arc::clone(self.story)));
        K::PLURAL
    }
}

fn object_name(meta: &ObjectMeta) -> Option<ObjectName> {
    Some(ObjectName::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}

impl Kind for Services {
    type Resource = Lean<Service>;
    type Object = objects::Service;

    const PLURAL: &'static str = "services";

    fn trim(&self, Lean(service): Lean<Service>) -> Option<objects::Service> {
        Some(trim::service(&service))
    }

    fn name(&self, meta: &ObjectMeta) -> Option<ObjectName> {
        object_name(meta)
    }
}

impl Kind for Slices {
    type Resource = Lean<EndpointSlice>;
    type Object = objects::Slice;

    const PLURAL: &'static str = "endpointslices";

    fn trim(&self, Lean(slice): Lean<EndpointSlice>) -> Option<objects::Slice> {
        trim::slice(&slice)
    }

    fn name(&self, meta: &ObjectMeta) -> Option<ObjectName> {
        object_name(meta)
    }
}

impl Kind for AgentSlices {
    type Resource = Lean<EndpointSlice>;
    type Object = objects::AgentSlice;

    const PLURAL: &'static str = "endpointslices of the agents";
    const IS_OF_AGENTS: bool = true;

    fn trim(&self, Lean(slice): Lean<EndpointSlice>) -> Option<objects::AgentSlice> {
        Some(trim::agent_slice(&slice))
    }

    fn name(&self, meta: &ObjectMeta) -> Option<ObjectName> {
        object_name(meta)
    }
}

impl Kind for Nodes {
    type Resource = Lean<Node>;
    type Object = objects::Node;

    const PLURAL: &'static str = "nodes";

    fn trim(&self, Lean(node): Lean<Node>) -> Option<objects::Node> {
        Some(trim::node(&node))
    }

    fn name(&self, meta: &ObjectMeta) -> Option<String> {
        meta.name.clone()
    }
}

impl Kind for Pools {
    type Resource = DeserializeGuard<IPAddressPool>;
    type Object = objects::Pool;

    const PLURAL: &'static str = "ipaddresspools";

    fn trim(&self, DeserializeGuard(pool): Self::Resource) -> Option<objects::Pool> {
        Some(match pool {
            Ok(pool) => trim::pool(&pool),
            Err(invalid) => objects::Pool {
                uid: invalid.metadata.uid.unwrap_or_default(),
                labels: invalid.metadata.labels.unwrap_or_default(),
                problems: vec![invalid.error],
                ..objects::Pool::default()
            },
        })
    }

    fn name(&self, meta: &ObjectMeta) -> Option<String> {
        meta.name.clone()
    }
}

impl Kind for Advertisements {
    type Resource = DeserializeGuard<L2Advertisement>;
    type Object = objects::Advertisement;

    const PLURAL: &'static str = "l2advertisements";

    fn trim(&self, DeserializeGuard(advertisement): Self::Resource) -> Option<objects::Advertisement> {
        Some(match advertisement {
            Ok(advertisement) => trim::advertisement(&advertisement),
            Err(invalid) => objects::Advertisement {
                uid: invalid.metadata.uid.unwrap_or_default(),
                problems: vec![invalid.error],
                ..objects::Advertisement::default()
            },
        })
    }

    fn name(&self, meta: &ObjectMeta) -> Option<String> {
        meta.name.clone()
    }
}

impl Kind for AgentStates {
    type Resource = DeserializeGuard<ConfigurationState>;
    type Object = objects::AgentAddresses;

    const PLURAL: &'static str = "configurationstates";
    const IS_OF_AGENTS: bool = true;

    fn trim(&self, DeserializeGuard(state): Self::Resource) -> Option<objects::AgentAddresses> {
        trim::agent_addresses(&state.ok()?.metadata)
    }

    fn name(&self, meta: &ObjectMeta) -> Option<String> {
        trim::agent_of_state(meta)
    }
}
