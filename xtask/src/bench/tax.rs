//! `cargo xtask bench tax`: what the programs cost traffic that is none of theirs.
//!
//! iperf3 between two namespaces on a veth pair, in turn without and with the programs that `--hook auto` attaches,
//! egress included: the VIPs are local addresses, as under kube-proxy IPVS. The agent itself is stopped meanwhile.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::figures::{Figures, Limit, RATIO, percentile};
use crate::{
    build,
    debian::{Needed, ensure_installed, needed},
    testbed::{self, Agent, AgentOptions, Host, cabled},
};

const TOOLS: [Needed; 3] =
    [needed("ip", "iproute2"), needed("bpftool", "bpftool"), needed("iperf3", "iperf3")];

/// One of each family.
const VIPS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 1, 10)), IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, 0x10))];

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Udp,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
struct Traffic {
    transport: Transport,
    is_ipv6: bool,
}

impl Traffic {
    const ALL: [Self; 4] = [
        Self { transport: Transport::Tcp, is_ipv6: false },
        Self { transport: Transport::Udp, is_ipv6: false },
        Self { transport: Transport::Tcp, is_ipv6: true },
        Self { transport: Transport::Udp, is_ipv6: true },
    ];

    fn name(self) -> String {
        let transport = match self.transport {
            Transport::Tcp => "one TCP stream",
            Transport::Udp => "UDP, 64 bytes",
        };
        format!("{transport} over {}", if self.is_ipv6 { "IPv6" } else { "IPv4" })
    }

    /// Where it goes to.
    fn address(self, node: &Host) -> IpAddr {
        if self.is_ipv6 { node.ipv6.into() } else { node.address.into() }
    }

    const fn unit(self) -> &'static str {
        match self.transport {
            Transport::Tcp => "Gb/s",
            Transport::Udp => "k/s",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self.transport {
            Transport::Tcp => &[],
            Transport::Udp => &["--udp", "--bitrate", "0", "--length", "64"],
        }
    }

    /// What has arrived, in [`Self::unit`].
    fn arrived(self, report: &Value) -> Option<f64> {
        let number = |name: &str| report["end"]["sum_received"][name].as_f64();
        match self.transport {
            Transport::Tcp => Some(number("bits_per_second")? / 1e9),
            Transport::Udp => Some((number("packets")? - number("lost_packets")?) / number("seconds")? / 1e3),
        }
    }
}

pub(super) fn run(rounds: u32, json: bool) -> anyhow::Result<()> {
    testbed::require_root("bench tax")?;
    ensure_installed(&TOOLS)?;
    build::agent()?;
    let [client, node] = cabled(["client", "node"])?;
    node.add_to_loopback(VIPS)?;
    let mut figures = Figures::new(json);
    figures
        .say(&format!("{rounds} times a second of each kind of traffic, without the programs and with them"));
    let mut values: [[Vec<f64>; 4]; 2] = Default::default();
    for _ in 0..rounds {
        measure(&client, &node, &mut values[0])?;
        let _agent = attached(&node)?;
        measure(&client, &node, &mut values[1])?;
    }
    let [without, with] = &values;
    for ((traffic, without), with) in Traffic::ALL.into_iter().zip(without).zip(with) {
        let name = traffic.name();
        figures.add(
            format!("{name}, without the programs"),
            percentile(without, 50),
            traffic.unit(),
            Limit::None,
        );
        figures.add(format!("{name}, with them"), percentile(with, 50), traffic.unit(), Limit::None);
        let ratios: Vec<f64> = with.iter().zip(without).map(|(with, without)| with / without).collect();
        figures.add(format!("{name}, with to without"), percentile(&ratios, 50), RATIO, Limit::AtLeast(0.97));
    }
    figures.conclude()
}

/// An agent whose programs are on the node's interface, in and out; it is stopped.
fn attached(node: &Host) -> anyhow::Result<Agent<'_>> {
    let config = format!("vips: [{}]", VIPS.map(|vip| vip.to_string()).join(", "));
    let agent = Agent::start(node, &config, AgentOptions { lease_ttl: 600, ..AgentOptions::default() })?;
    agent.wait_for("the egress program", |agent| agent.log().contains("egress=true"))?;
    agent.signal(Signal::SIGSTOP)?;
    Ok(agent)
}

fn measure(client: &Host, node: &Host, values: &mut [Vec<f64>; 4]) -> anyhow::Result<()> {
    for (traffic, values) in Traffic::ALL.into_iter().zip(values) {
        values.push(transfer(client, node, traffic)?);
    }
    Ok(())
}

/// A second of traffic from the client to the node, each on a CPU of its own.
fn transfer(client: &Host, node: &Host, traffic: Traffic) -> anyhow::Result<f64> {
    let _server = Server::start(node)?;
    let mut iperf = client.netns.command("iperf3");
    iperf.args([
        "--client",
        &traffic.address(node).to_string(),
        "--time",
        "1",
        "--omit",
        "0",
        "--json",
        "--affinity",
        "0,1",
    ]);
    let output = iperf.args(traffic.arguments()).output().context("run iperf3")?;
    let report: Value = serde_json::from_slice(&output.stdout).context("read what iperf3 prints")?;
    ensure!(output.status.success(), "iperf3 failed: {}", report["error"]);
    traffic.arrived(&report).with_context(|| format!("iperf3 has no totals: {report:#}"))
}

/// An iperf3 that serves one client.
struct Server(Child);

impl Server {
    fn start(node: &Host) -> anyhow::Result<Self> {
        let mut iperf = node.netns.command("iperf3");
        iperf.args(["--server", "--one-off"]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(iperf.spawn().context("run iperf3")?);
        node.netns.run(wait_listening)??;
        Ok(server)
    }
}

/// Waits until iperf3 listens in the calling thread's namespace.
fn wait_listening() -> anyhow::Result<()> {
    /// iperf3's port, 5201, as the kernel's tables show it, of no peer yet.
    const LISTENING: &str = ":1451 00000000";
    let has = |table: &str| std::fs::read_to_string(table).is_ok_and(|table| table.contains(LISTENING));
    for _ in 0..200 {
        if ["/proc/thread-self/net/tcp6", "/proc/thread-self/net/tcp"].into_iter().any(has) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("iperf3 does not listen on its port")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
