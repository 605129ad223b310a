//! What a cluster has besides its nodes: an API, and as much of kubelets and controllers as agents see of them.

mod objects;
mod server;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    api::{Api, At, Client, Front, Reach, documents},
    group::Hosts,
    real_api::RealApi,
    segment::Host,
};
pub use objects::LoadBalancer;
use server::Server;

/// The namespace of agents, pools and advertisements.
pub const SYSTEM: &str = "metallb-system";
/// The agents' ServiceAccount and headless Service.
const AGENT: &str = "lb-agent";
/// What is installed, as one file.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/install.yaml");

/// The control plane for the nodes of a group.
#[derive(Debug)]
pub struct ControlPlane {
    nodes: Vec<Place>,
    server: Server,
}

/// How a node reaches the API, and what it keeps.
#[derive(Debug)]
struct Place {
    name: String,
    front: Front,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// For these nodes, all of them Ready, with what `deploy/` installs, and with a pool of all VIPs of the test bed that is
    /// advertised by all nodes. The API is the stand-in.
    ///
    /// # Errors
    /// When the manifests cannot be read, or a node's namespace not entered.
    pub fn start(hosts: &Hosts) -> anyhow::Result<Self> {
        Self::on(Server::StandIn(Box::new(Api::start(&manifests()?)?)), hosts)
    }

    /// The same with a real API server; `None` where there is none to be had ([`RealApi::from_environment`]).
    ///
    /// # Errors
    /// As [`Self::start`], and when the server does not start, or does not take the manifests.
    pub fn start_real(hosts: &Hosts) -> anyhow::Result<Option<Self>> {
        let Some(api) = RealApi::from_environment()? else { return Ok(None) };
        Self::on(Server::real(api, &manifests()?)?, hosts).map(Some)
    }

    fn on(server: Server, hosts: &Hosts) -> anyhow::Result<Self> {
        let place = |host: &Host| {
            let front = server.front(&host.netns)?;
            let kubeconfig = server.kubeconfig(&front, SYSTEM, AGENT, &host.name)?;
            anyhow::Ok(Place { name: host.name.clone(), front, kubeconfig })
        };
        let nodes = hosts.nodes.iter().map(place).collect::<anyhow::Result<_>>()?;
        let plane = Self { nodes, server };
        for host in &hosts.nodes {
            let addresses = hosts.families.of(host.address, host.ipv6).addresses();
            plane.client().create(objects::node(&host.name, addresses))?;
        }
        plane.client().create(objects::pool("all", &["10.77.1.0/24", "fd77::1:0/112"]))?;
        plane.client().create(objects::advertisement("all", &json!({})))?;
        Ok(plane)
    }

    /// The stand-in, for what only it can do.
    ///
    /// # Errors
    /// When the API server is a real one.
    pub fn stand_in(&self) -> anyhow::Result<&Api> {
        self.server.stand_in()
    }

    /// Has the API server forget what was before: watches cannot go on from there.
    ///
    /// # Errors
    /// When a real one, which is started anew for that, does not get ready.
    pub fn forget_history(&self) -> anyhow::Result<()> {
        self.server.forget_history()
    }

    /// The test's own client.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.server.client()
    }

    /// The kubeconfig of a node's agent.
    #[must_use]
    pub fn kubeconfig(&self, node: usize) -> &Path {
        &self.nodes[node].kubeconfig
    }

    /// Where a node's agent keeps what it knows.
    #[must_use]
    pub fn state_directory(&self, node: &str) -> PathBuf {
        self.server.directory().join(format!("state-{node}"))
    }

    /// Cuts a node, and only it, off from the API, or joins it again.
    ///
    /// # Errors
    /// When the node's port cannot be listened on again.
    pub fn set_reach(&self, node: usize, reach: Reach) -> anyhow::Result<()> {
        self.nodes[node].front.set(reach)
    }

    /// Takes the API away from all nodes, or gives it back.
    ///
    /// # Errors
    /// As [`Self::set_reach`].
    pub fn set_reach_of_all(&self, reach: Reach) -> anyhow::Result<()> {
        self.nodes.iter().try_for_each(|place| place.front.set(reach))
    }

    /// Sets a condition of a node, as its kubelet and the controllers do.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn set_condition(&self, node: usize, condition: &str, status: bool) -> anyhow::Result<()> {
        let mut conditions = vec![objects::condition("Ready", true)];
        conditions.retain(|other| other["type"] != condition);
        conditions.push(objects::condition(condition, status));
        self.client().set_status(self.at_node(node), &json!({"conditions": conditions})).map(drop)
    }

    /// A heartbeat of each node's kubelet: a status that says nothing new but the time.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn heartbeat(&self, seconds: u32) -> anyhow::Result<()> {
        for node in 0..self.nodes.len() {
            let mut condition = objects::condition("Ready", true);
            condition["lastHeartbeatTime"] =
                json!(format!("2026-01-01T00:{:02}:{:02}Z", seconds / 60 % 60, seconds % 60));
            self.client().set_status(self.at_node(node), &json!({"conditions": [condition]}))?;
        }
        Ok(())
    }

    /// Labels a node, or takes the label away.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn label_node(&self, node: usize, label: &str, value: Option<&str>) -> anyhow::Result<()> {
        let patch = json!({"metadata": {"labels": {label: value}}});
        self.client().patch(self.at_node(node), &patch).map(drop)
    }

    /// Says which nodes run an agent, and which of these are ready: the EndpointSlice of their headless Service.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn set_agents(&self, is_ready: impl Fn(usize) -> Option<bool>) -> anyhow::Result<()> {
        let agents = self.nodes.iter().enumerate();
        let agents = agents.filter_map(|(number, place)| Some((place.name.as_str(), is_ready(number)?)));
        self.client().apply(objects::slice(SYSTEM, AGENT, agents)).map(drop)
    }

    /// Adds a Service with its address and its endpoints, or brings it to this state.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn set_service(&self, service: &LoadBalancer) -> anyhow::Result<()> {
        self.client().apply(service.service())?;
        self.client().set_status(service.at(), &service.status())?;
        self.client().apply(service.slice()).map(drop)
    }

    /// Deletes a Service and its endpoints.
    ///
    /// # Errors
    /// When it is not there.
    pub fn delete_service(&self, service: &LoadBalancer) -> anyhow::Result<()> {
        self.client().delete(service.at())?;
        self.client().delete(service.at_slice())
    }

    /// Replaces the spec of the advertisement that there is from the start.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn set_advertisement(&self, spec: &Value) -> anyhow::Result<()> {
        self.client().apply(objects::advertisement("all", spec)).map(drop)
    }

    /// Adds an advertisement beside that one.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn add_advertisement(&self, name: &str, spec: &Value) -> anyhow::Result<()> {
        self.client().create(objects::advertisement(name, spec)).map(drop)
    }

    /// Replaces the addresses of the pool that there is from the start.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn set_pool(&self, addresses: &[&str]) -> anyhow::Result<()> {
        self.client().apply(objects::pool("all", addresses)).map(drop)
    }

    /// Adds a pool beside that one.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn add_pool(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        self.client().create(objects::pool(name, addresses)).map(drop)
    }

    /// Takes away from a node what it tells of its addresses.
    ///
    /// # Errors
    /// When the API does not take it.
    pub fn forget_addresses(&self, node: usize) -> anyhow::Result<()> {
        self.client().set_status(self.at_node(node), &json!({"addresses": null})).map(drop)
    }

    /// The ServiceL2Status objects: service, and the node that says that it announces it.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn announcers(&self) -> anyhow::Result<Vec<(String, String)>> {
        let statuses = self.client().list("metallb.io/v1beta1", "ServiceL2Status", SYSTEM)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut told: Vec<_> = statuses
            .iter()
            .map(|object| (text(&object["status"]["serviceName"]), text(&object["status"]["node"])))
            .collect();
        told.sort();
        Ok(told)
    }

    /// Reasons and notes of the events of a namespace.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn events(&self, namespace: &str) -> anyhow::Result<Vec<(String, String)>> {
        let events = self.client().list("events.k8s.io/v1", "Event", namespace)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(events.iter().map(|event| (text(&event["reason"]), text(&event["note"]))).collect())
    }

    /// Fails if an agent has asked for something that the manifests do not allow, or has sent what the API does not know.
    pub fn assert_nothing_refused(&self) {
        let refused = self.server.refused(SYSTEM, AGENT);
        assert!(refused.as_ref().is_ok_and(Vec::is_empty), "{refused:#?}");
    }

    fn at_node(&self, node: usize) -> At<'_> {
        At { api_version: "v1", kind: "Node", namespace: "", name: &self.nodes[node].name }
    }
}

/// What is installed.
fn manifests() -> anyhow::Result<Vec<Value>> {
    documents(&std::fs::read_to_string(MANIFESTS).with_context(|| format!("read {MANIFESTS}"))?)
}

/// Addresses as a Node tells them.
fn addresses_of_node(addresses: impl Iterator<Item = IpAddr>) -> Vec<Value> {
    addresses.map(|address| json!({"type": "InternalIP", "address": address})).collect()
}
