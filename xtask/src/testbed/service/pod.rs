//! A pod: a network namespace behind a node, in which a server tells each client who it is to it.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::testbed::{netns::Netns, segment::Host};

/// Where the pods' servers listen.
const BACKEND_PORT: u16 = 8080;
/// Between two looks at whether the server is to stop, in ms.
const LOOK: u16 = 50;

/// A pod with its server, which answers a connection, and a datagram, with its node's name and the address that it sees.
#[derive(Debug)]
pub struct Pod<'a> {
    home: &'a Host,
    _netns: Netns,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

/// Addresses on the subnets of a node's pods, which have the node's number.
fn addresses(node: &Host, last: u8) -> (Ipv4Addr, Ipv6Addr) {
    let [.., subnet] = node.address.octets();
    (Ipv4Addr::new(10, 78, subnet, last), Ipv6Addr::new(0xfd78, subnet.into(), 0, 0, 0, 0, 0, last.into()))
}

/// Has a node forward packets, and drop those that come in where their answer would not go out.
pub(super) fn forward(node: &Host) -> anyhow::Result<()> {
    let settings =
        [("ipv4/ip_forward", "1"), ("ipv4/conf/all/rp_filter", "1"), ("ipv6/conf/all/forwarding", "1")];
    let write = |(name, value): (&str, &str)| std::fs::write(format!("/proc/sys/net/{name}"), value);
    Ok(node.netns.run(|| settings.into_iter().try_for_each(write))??)
}

impl<'a> Pod<'a> {
    pub(super) fn start(home: &'a Host) -> anyhow::Result<Self> {
        let netns = Netns::new(&format!("pod-{}", home.name))?;
        netns.enable_ipv6()?;
        let ((gateway_v4, gateway_v6), (ipv4, ipv6)) = (addresses(home, 1), addresses(home, 2));
        home.netns.ip(&format!("link add pod0 type veth peer name eth0 netns {}", netns.name()))?;
        home.netns.ip("link set pod0 up")?;
        netns.ip("link set eth0 up")?;
        for (netns, device, ipv4, ipv6) in
            [(&home.netns, "pod0", gateway_v4, gateway_v6), (&netns, "eth0", ipv4, ipv6)]
        {
            netns.ip(&format!("address add {ipv4}/24 dev {device}"))?;
            netns.ip(&format!("address add {ipv6}/64 dev {device}"))?;
        }
        netns.ip(&format!("route add default via {gateway_v4}"))?;
        netns.ip(&format!("route add default via {gateway_v6}"))?;
        let sockets = netns.run(|| {
            let any = (Ipv6Addr::UNSPECIFIED, BACKEND_PORT); // both families
            io::Result::Ok((TcpListener::bind(any)?, UdpSocket::bind(any)?))
        })?;
        let (listener, socket) = sockets?;
        let stop = Arc::new(AtomicBool::new(false));
        let (name, should_stop) = (home.name.clone(), Arc::clone(&stop));
        let server = thread::spawn(move || serve(&name, &listener, &socket, &should_stop));
        Ok(Self { home, _netns: netns, stop, server: Some(server) })
    }

    pub(super) fn is_on(&self, node: &Host) -> bool {
        self.home.name == node.name
    }

    /// Where it listens, by the family of `vip`.
    pub(super) fn endpoint(&self, vip: IpAddr) -> SocketAddr {
        let (ipv4, ipv6) = addresses(self.home, 2);
        let address = if vip.is_ipv4() { ipv4.into() } else { ipv6.into() };
        SocketAddr::new(address, BACKEND_PORT)
    }

    /// The address by which its node speaks to it, of the family of `vip`.
    #[must_use]
    pub fn gateway(&self, vip: IpAddr) -> IpAddr {
        let (ipv4, ipv6) = addresses(self.home, 1);
        if vip.is_ipv4() { ipv4.into() } else { ipv6.into() }
    }

    /// Has a node reach the pod through its own node, as a network plugin does.
    pub(super) fn route_from(&self, node: &Host) -> anyhow::Result<()> {
        if self.is_on(node) {
            return Ok(());
        }
        let (ipv4, ipv6) = addresses(self.home, 0);
        node.netns.ip(&format!("route replace {ipv4}/24 via {}", self.home.address))?;
        node.netns.ip(&format!("route replace {ipv6}/64 via {}", self.home.ipv6))
    }
}

fn serve(name: &str, listener: &TcpListener, socket: &UdpSocket, stop: &AtomicBool) -> io::Result<()> {
    let answer = |from: SocketAddr| format!("{name} {}", from.ip().to_canonical());
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [listener.as_fd(), socket.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut fds, PollTimeout::from(LOOK))?;
        let [has_connection, has_datagram] = fds.map(|fd| fd.any().unwrap_or(false));
        if has_connection {
            let (mut connection, from) = listener.accept()?;
            let _ = connection.write_all(answer(from).as_bytes()); // who called may be gone
        }
        if has_datagram {
            let (_, from) = socket.recv_from(&mut [0; 16])?;
            let _ = socket.send_to(answer(from).as_bytes(), from);
        }
    }
    Ok(())
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}
