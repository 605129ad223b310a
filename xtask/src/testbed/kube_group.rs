//! A group of nodes whose agents follow a Kubernetes API.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::bail;

use super::{
    agent::{Agent, AgentOptions},
    control_plane::{ControlPlane, SYSTEM},
    group::{Group, Hosts},
    segment::Host,
};

/// Where an agent serves metrics and its health, on its node's loopback.
const HEALTH_PORT: u16 = 7472;
/// What the agents' ConfigMap says.
const CONFIG: &str = "interfaces: [eth0]\nfailback: after 2s\n";

/// A group at work, and its control plane.
#[derive(Debug)]
pub struct KubeGroup<'a> {
    /// The nodes with their agents.
    pub group: Group<'a>,
    /// What tells them what to do.
    pub plane: &'a ControlPlane,
}

impl<'a> KubeGroup<'a> {
    /// Starts an agent on each node, and has it counted among the agents once it is ready.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start(hosts: &'a Hosts, plane: &'a ControlPlane, options: &AgentOptions) -> anyhow::Result<Self> {
        let mut agents = Vec::new();
        for number in 0..hosts.nodes.len() {
            let mut agent = Self::prepare(hosts, plane, number, options)?;
            agent.write_whole_config(CONFIG)?;
            agent.spawn()?;
            agents.push(agent);
        }
        let group = Self { group: Group { hosts, agents }, plane };
        (0..hosts.nodes.len()).try_for_each(|node| group.wait_ready(node))?;
        plane.set_agents(|_| Some(true))?;
        Ok(group)
    }

    /// Prepares the agent of a node, which is not started yet.
    ///
    /// # Errors
    /// As [`Agent::prepare`].
    pub fn prepare(
        hosts: &'a Hosts,
        plane: &ControlPlane,
        number: usize,
        options: &AgentOptions,
    ) -> anyhow::Result<Agent<'a>> {
        let (node, mut options) = (&hosts.nodes[number], options.clone());
        let arguments =
            ["--source", "kubernetes", "--node", &node.name, "--namespace", SYSTEM, "--state-dir"];
        options.arguments.extend(arguments.map(Into::into));
        options.arguments.push(plane.state_directory(&node.name).into());
        options.arguments.extend(["--metrics-address".into(), format!("127.0.0.1:{HEALTH_PORT}").into()]);
        options.environment.push(("KUBECONFIG", plane.kubeconfig(number).into()));
        Agent::prepare(node, "", options)
    }

    /// Waits until a node's agent says that it is ready, as its kubelet does.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn wait_ready(&self, node: usize) -> anyhow::Result<()> {
        self.group.agents[node].wait_for("/readyz", |agent| is_ready(agent.host()))
    }

    /// What a node's agent says of a metric, with its labels if it has any; `None` when it has none of that name.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metric(&self, node: usize, name: &str) -> anyhow::Result<Option<f64>> {
        let answer = get(&self.group.hosts.nodes[node], "/metrics")?;
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?)
    }

    /// Fails unless a condition comes about within a time.
    ///
    /// # Errors
    /// When it does not, with the logs.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        for _ in 0..1_000 {
            if condition(self) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("waited in vain for {what}; the logs:\n{}", self.group.logs())
    }
}

/// What an agent answers at `/readyz`, as its kubelet asks it.
fn is_ready(host: &Host) -> bool {
    get(host, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// What an agent answers by HTTP, header and all.
fn get(host: &Host, path: &str) -> anyhow::Result<String> {
    let answer = host.netns.run(|| -> std::io::Result<String> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, HEALTH_PORT))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    Ok(answer?)
}
