//! Hosts on one segment.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    process::Command,
};

use anyhow::Context as _;
use lb_common::wire::ethernet::Mac;

use super::{
    lxc::{Container, Plug, Privilege},
    netns::Netns,
    pass,
};

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

/// Its addresses begin with 10.77 and fd77 unless another number is asked for.
const NUMBER: u8 = 77;

/// A bridge in a namespace of its own, and the hosts that are plugged into it.
#[derive(Debug)]
pub struct Segment {
    switch: Netns,
    number: u8,
    next_host: u8,
}

/// A further interface of a host, on another segment than its first one.
#[derive(Debug)]
pub struct Nic {
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    /// Its link-layer address.
    pub mac: Mac,
    port: String,
}

/// A host on a segment: 10.77.0.N/16 and fd77::N/64 on `eth0`.
#[derive(Debug)]
pub struct Host {
    /// What the host is called here.
    pub name: String,
    /// Its network namespace.
    pub netns: Netns,
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    /// Its IPv6 address, besides the link-local one.
    pub ipv6: Ipv6Addr,
    /// The link-layer address of its interface.
    pub mac: Mac,
    /// Index of its interface.
    pub ifindex: u32,
    port: String,
    /// Keeps the program on the far end.
    _pass: Option<OwnedFd>,
    /// What the host is, if it is more than a network namespace.
    container: Option<Container>,
}

impl Segment {
    /// An empty segment.
    ///
    /// # Errors
    /// Without root, iproute2 or bridges in the kernel.
    pub fn new() -> anyhow::Result<Self> {
        Self::numbered(NUMBER)
    }

    /// As [`Self::new`], with addresses that begin with 10.`number`: for hosts on several segments.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn numbered(number: u8) -> anyhow::Result<Self> {
        let switch = Netns::new("sw")?;
        // Without snooping and spanning tree: a plain switch that forwards at once.
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;
        switch.run(ignore_packets)?;
        Ok(Self { switch, number, next_host: 1 })
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
        let place = self.next_place();
        let netns = Netns::new(name)?;
        netns.enable_ipv6()?;
        self.plug(&netns, INTERFACE, &place)?;
        let pass = match wiring {
            Wiring::Veth => None,
            Wiring::VethWithXdpPeer => Some(self.switch.run(|| pass::attach(&place.port))??),
        };
        Ok(Host { _pass: pass, ..Host::new(name, netns, place)? })
    }

    /// Plugs in a host that is an LXC container.
    ///
    /// # Errors
    /// When LXC is missing or fails.
    pub fn container(&mut self, name: &str, privilege: Privilege) -> anyhow::Result<Host> {
        let place = self.next_place();
        let plug = Plug { port: &place.port, mac: place.mac, address: place.address };
        let container = Container::start(name, privilege, &self.switch, &plug)?;
        self.plug_in(&place.port)?;
        let netns = container.netns(name)?;
        netns.ip(&format!("address add {}/64 dev {INTERFACE} nodad", place.ipv6))?;
        Ok(Host { container: Some(container), ..Host::new(name, netns, place)? })
    }

    fn next_place(&mut self) -> Place {
        let host = self.next_host;
        self.next_host += 1;
        Place::new(self.number, host)
    }

    /// Plugs in a host of another segment by one more interface.
    ///
    /// # Errors
    /// When ip fails.
    pub fn plug_also(&mut self, host: &Host, interface: &str) -> anyhow::Result<Nic> {
        let place = self.next_place();
        self.plug(&host.netns, interface, &place)?;
        let Place { port, mac, address, ipv6: _ } = place;
        Ok(Nic { address, mac, port })
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
        self.plug(&host.netns, INTERFACE, &host.place())
    }

    fn plug_in(&self, port: &str) -> anyhow::Result<()> {
        self.switch.ip(&format!("link set {port} master br0 up"))
    }

    fn plug(&self, netns: &Netns, interface: &str, place: &Place) -> anyhow::Result<()> {
        let (port, mac, switch) = (&place.port, mac_text(place.mac), self.switch.name());
        netns.ip(&format!("link add {interface} address {mac} type veth peer name {port} netns {switch}"))?;
        self.plug_in(port)?;
        bring_up(netns, interface, place)
    }

    /// Pulls a host's cable, or plugs it in again.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_port(&self, host: &Host, up: bool) -> anyhow::Result<()> {
        self.set_link(&host.port, up)
    }

    /// As [`Self::set_port`], of a further interface.
    ///
    /// # Errors
    /// When ip fails.
    pub fn set_port_of(&self, nic: &Nic, up: bool) -> anyhow::Result<()> {
        self.set_link(&nic.port, up)
    }

    fn set_link(&self, port: &str, up: bool) -> anyhow::Result<()> {
        self.switch.ip(&format!("link set {port} {}", if up { "up" } else { "down" }))
    }
}

/// The interface has its addresses, once it is there.
fn bring_up(netns: &Netns, interface: &str, place: &Place) -> anyhow::Result<()> {
    let Place { port: _, mac: _, address, ipv6 } = place;
    netns.ip(&format!("link set {interface} up"))?;
    netns.ip(&format!("address add {address}/16 dev {interface}"))?;
    netns.ip(&format!("address add {ipv6}/64 dev {interface}"))
}

/// Where a host is plugged in, and by which addresses it is known there.
struct Place {
    port: String,
    mac: Mac,
    address: Ipv4Addr,
    ipv6: Ipv6Addr,
}

impl Place {
    /// Of a host, by its number on the segment of this number, which both families write alike.
    fn new(segment: u8, host: u8) -> Self {
        let in_decimal = u16::from(segment / 10) << 4 | u16::from(segment % 10);
        Self {
            port: format!("port{host}"),
            mac: [2, 0, 0, segment, 0, host],
            address: Ipv4Addr::new(10, segment, 0, host),
            ipv6: Ipv6Addr::new(0xfd00 | in_decimal, 0, 0, 0, 0, 0, 0, host.into()),
        }
    }
}

impl Host {
    /// A host whose interface is there.
    fn new(name: &str, netns: Netns, place: Place) -> anyhow::Result<Self> {
        let Place { port, mac, address, ipv6 } = place;
        let ifindex = netns.run(|| nix::net::if_::if_nametoindex(INTERFACE))?.context("find eth0")?;
        let name = name.to_owned();
        Ok(Self { name, netns, address, ipv6, mac, ifindex, port, _pass: None, container: None })
    }

    fn place(&self) -> Place {
        Place { port: self.port.clone(), mac: self.mac, address: self.address, ipv6: self.ipv6 }
    }

    /// A command on the host as its own users run it: in its network namespace, or all the way in its container.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.container {
            Some(container) => container.command(program),
            None => self.netns.command(program),
        }
    }

    /// Whether [`Self::command`] stays beside the program, as its parent, instead of becoming it.
    pub(super) fn keeps_parent(&self) -> bool {
        self.container.is_some()
    }

    /// The name of its port on the switch.
    #[must_use]
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Puts addresses on the loopback, as kube-proxy in IPVS mode puts the VIPs on every node.
    ///
    /// # Errors
    /// When ip fails.
    pub fn add_to_loopback(
        &self,
        addresses: impl IntoIterator<Item = impl Into<IpAddr>>,
    ) -> anyhow::Result<()> {
        self.loopback("add", addresses)
    }

    /// Takes addresses off `lo` again.
    ///
    /// # Errors
    /// When ip fails.
    pub fn remove_from_loopback(
        &self,
        addresses: impl IntoIterator<Item = impl Into<IpAddr>>,
    ) -> anyhow::Result<()> {
        self.loopback("del", addresses)
    }

    fn loopback(
        &self,
        change: &str,
        addresses: impl IntoIterator<Item = impl Into<IpAddr>>,
    ) -> anyhow::Result<()> {
        let mut addresses = addresses.into_iter().map(Into::into);
        addresses.try_for_each(|address: IpAddr| self.netns.ip(&format!("address {change} {address} dev lo")))
    }
}

/// Where br_netfilter is loaded, bridges drop frames with malformed IP packets; switches do not look at them. Where it is
/// not, there is nothing to turn off.
fn ignore_packets() {
    for family in ["arptables", "iptables", "ip6tables"] {
        let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0");
    }
}

/// Two hosts joined by one veth pair, without a switch: the first ones of a segment.
///
/// # Errors
/// When ip fails.
pub fn cabled(names: [&str; 2]) -> anyhow::Result<[Host; 2]> {
    let places = [1, 2].map(|host| Place::new(NUMBER, host));
    let netns = [Netns::new(names[0])?, Netns::new(names[1])?];
    netns.iter().try_for_each(Netns::enable_ipv6)?;
    let [mac, peer_mac] = places.each_ref().map(|place| mac_text(place.mac));
    netns[0].ip(&format!(
        "link add {INTERFACE} address {mac} type veth peer name {INTERFACE} address {peer_mac} netns {}",
        netns[1].name()
    ))?;
    let ([netns, peer], [place, peer_place]) = (netns, places);
    bring_up(&netns, INTERFACE, &place)?;
    bring_up(&peer, INTERFACE, &peer_place)?;
    Ok([Host::new(names[0], netns, place)?, Host::new(names[1], peer, peer_place)?])
}

/// A link-layer address for people.
#[must_use]
pub fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
