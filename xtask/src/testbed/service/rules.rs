//! The rules of kube-proxy for one VIP: its destination is rewritten to a pod's (DNAT), and under policy Cluster the
//! source as well (masquerade), so that the answer comes back through this node.

use std::net::{IpAddr, SocketAddr};

use super::{PORT, Policy};
use crate::testbed::segment::Host;

/// The mark of packets that are to be masqueraded.
const MASQUERADE: &str = "0x4000";

/// kube-proxy's mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proxy {
    /// `iptables`.
    Iptables,
    /// `nftables`.
    Nftables,
}

impl Proxy {
    /// Leads TCP and UDP for a VIP that comes to a node to an endpoint.
    ///
    /// # Errors
    /// When the tool is missing or refuses.
    pub(super) fn lead(self, node: &Host, vip: IpAddr, to: SocketAddr, policy: Policy) -> anyhow::Result<()> {
        match self {
            Self::Iptables => {
                let restore = if vip.is_ipv4() { "iptables-restore" } else { "ip6tables-restore" };
                node.netns.feed(restore, &[], &iptables(vip, to, policy))
            }
            Self::Nftables => node.netns.feed("nft", &["-f", "-"], &nftables(vip, to, policy)),
        }
    }
}

fn iptables(vip: IpAddr, to: SocketAddr, policy: Policy) -> String {
    let each_protocol = |rule: &dyn Fn(&str) -> String| ["tcp", "udp"].map(rule).join("\n");
    let service =
        each_protocol(&|name| format!("-A KUBE-SERVICES -d {vip} -p {name} --dport {PORT} -j KUBE-EXT"));
    let endpoint = each_protocol(&|name| format!("-A KUBE-SEP -p {name} -j DNAT --to-destination {to}"));
    let mark = match policy {
        Policy::Cluster => format!("-A KUBE-EXT -j MARK --or-mark {MASQUERADE}"),
        Policy::Local => String::new(),
    };
    format!(
        "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-EXT - [0:0]\n:KUBE-SEP - [0:0]\n:KUBE-POSTROUTING - [0:0]\n\
         -A PREROUTING -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n\
         {service}\n{mark}\n-A KUBE-EXT -j KUBE-SEP\n{endpoint}\n\
         -A KUBE-POSTROUTING -m mark ! --mark {MASQUERADE}/{MASQUERADE} -j RETURN\n\
         -A KUBE-POSTROUTING -j MARK --xor-mark {MASQUERADE}\n\
         -A KUBE-POSTROUTING -j MASQUERADE --random-fully\nCOMMIT\n"
    )
}

fn nftables(vip: IpAddr, to: SocketAddr, policy: Policy) -> String {
    let family = if vip.is_ipv4() { "ip" } else { "ip6" };
    let mark = match policy {
        Policy::Cluster => format!("meta mark set meta mark or {MASQUERADE}"),
        Policy::Local => String::new(),
    };
    format!(
        "table {family} kube-proxy {{\n\
         chain external {{\n{mark}\nmeta l4proto {{ tcp, udp }} dnat to {to}\n}}\n\
         chain services {{\ntype nat hook prerouting priority dstnat;\n\
         {family} daddr {vip} meta l4proto {{ tcp, udp }} th dport {PORT} goto external\n}}\n\
         chain masquerading {{\ntype nat hook postrouting priority srcnat;\n\
         meta mark and {MASQUERADE} == 0 return\nmeta mark set meta mark xor {MASQUERADE}\n\
         masquerade fully-random\n}}\n}}\n"
    )
}
