//! Hosts on one segment.

use std::{net::Ipv4Addr, os::fd::OwnedFd};

use anyhow::Context as _;
use lb_common::wire::ethernet::Mac;

use super::{netns::Netns, pass};

/// Name of each host's interface.
pub(super) const INTERFACE: &str = "eth0";

/// What lies between a host and the bridge.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wiring {
    /// A veth pair.
    #[default]
    Veth,
    /// A veth pair whose far end runs an XDP program that passes everything: without one, the kernel drops what native
    /// XDP sends from the near end.
    VethWithXdpPeer,
}

/// A bridge in a namespace of its own, and the hosts that are plugged into it.
#[derive(Debug)]
pub struct Segment {
    switch: Netns,
    next_host: u8,
}

/// A host on a segment: 10.77.0.N/16 on `eth0`.
#[derive(Debug)]
pub struct Host {
    /// What the host is called here.
    pub name: String,
    /// Its network namespace.
    pub netns: Netns,
    /// Its address.
    pub address: Ipv4Addr,
    /// The link-layer address of its interface.
    pub mac: Mac,
    /// Index of its interface.
    pub ifindex: u32,
    port: String,
    /// Keeps the program on the far end.
    _pass: Option<OwnedFd>,
}

impl Segment {
    /// An empty segment.
    ///
    /// # Errors
    /// Without root, iproute2 or bridges in the kernel.
    pub fn new() -> anyhow::Result<Self> {
        let switch = Netns::new("sw")?;
        // Without snooping and spanning tree: a plain switch that forwards at once.
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;
        switch.run(ignore_packets)?;
        Ok(Self { switch, next_host: 1 })
    }

    /// The namespace of the switch.
    pub(super) fn switch(&self) -> &Netns {
        &self.switch
    }

    /// Plugs in a host.
    ///
    /// # Errors
    /// When ip fails.
    pub fn host(&mut self, name: &str) -> anyhow::Result<Host> {
        self.host_wired(name, Wiring::Veth)
    }

    /// Plugs in a host.
    ///
    /// # Errors
    /// When ip fails, or the pass program cannot be attached.
    pub fn host_wired(&mut self, name: &str, wiring: Wiring) -> anyhow::Result<Host> {
        let number = self.next_host;
        self.next_host += 1;
        let netns = Netns::new(name)?;
        let port = format!("port{number}");
        let mac: Mac = [2, 0, 0, 77, 0, number];
        let address = Ipv4Addr::new(10, 77, 0, number);
        self.plug(&netns, &port, mac, address)?;
        let pass = match wiring {
            Wiring::Veth => None,
            Wiring::VethWithXdpPeer => Some(self.switch.run(|| pass::attach(&port))??),
        };
        let ifindex = netns.run(|| nix::net::if_::if_nametoindex(INTERFACE))?.context("find eth0")?;
        Ok(Host { name: name.to_owned(), netns, address, mac, ifindex, port, _pass: pass })
    }

    /// Sets the largest frame that the switch forwards.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_mtu(&self, mtu: u32) -> anyhow::Result<()> {
        self.switch.ip(&format!("link set br0 mtu {mtu}"))
    }

    /// Sets the largest frame of a host and its port.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_host_mtu(&self, host: &Host, mtu: u32) -> anyhow::Result<()> {
        self.switch.ip(&format!("link set {} mtu {mtu}", host.port))?;
        host.netns.ip(&format!("link set {INTERFACE} mtu {mtu}"))
    }

    /// Takes a host's interface away and makes it anew, with the same addresses but another index.
    ///
    /// # Errors
    /// When ip fails.
    pub fn replug(&self, host: &Host) -> anyhow::Result<()> {
        host.netns.ip(&format!("link delete {INTERFACE}"))?;
        self.plug(&host.netns, &host.port, host.mac, host.address)
    }

    fn plug(&self, netns: &Netns, port: &str, mac: Mac, address: Ipv4Addr) -> anyhow::Result<()> {
        let (mac, switch) = (mac_text(mac), self.switch.name());
        netns.ip(&format!("link add {INTERFACE} address {mac} type veth peer name {port} netns {switch}"))?;
        self.switch.ip(&format!("link set {port} master br0 up"))?;
        netns.ip(&format!("link set {INTERFACE} up"))?;
        netns.ip(&format!("address add {address}/16 dev {INTERFACE}"))
    }

    /// Pulls a host's cable, or plugs it in again.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_port(&self, host: &Host, up: bool) -> anyhow::Result<()> {
        self.switch.ip(&format!("link set {} {}", host.port, if up { "up" } else { "down" }))
    }
}

impl Host {
    /// The name of its port on the switch.
    pub(super) fn port(&self) -> &str {
        &self.port
    }

    /// Puts addresses on the loopback, as kube-proxy in IPVS mode puts the VIPs on every node.
    ///
    /// # Errors
    /// When ip fails.
    pub fn add_to_loopback(&self, addresses: &[Ipv4Addr]) -> anyhow::Result<()> {
        addresses.iter().try_for_each(|address| self.netns.ip(&format!("address add {address}/32 dev lo")))
    }

    /// Takes an address off `lo` again.
    ///
    /// # Errors
    /// When ip fails.
    pub fn remove_from_loopback(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        self.netns.ip(&format!("address del {address}/32 dev lo"))
    }
}

/// Where br_netfilter is loaded, bridges drop frames with malformed IP packets; switches do not look at them. Where it is
/// not, there is nothing to turn off.
fn ignore_packets() {
    for family in ["arptables", "iptables", "ip6tables"] {
        let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0");
    }
}

/// A link-layer address for people.
#[must_use]
pub fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
