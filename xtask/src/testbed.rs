//! A segment of real hosts on one machine: network namespaces, joined by a bridge in a namespace of its own, with the
//! real agent on those that are nodes. Demo, tests and benches stand on it.
//!
//! Everything that a test bed makes carries the name of its process, and goes when the bed is dropped or the process
//! is interrupted.

mod agent;
pub mod api;
mod bpf;
mod control_plane;
mod families;
mod faults;
mod flood;
mod frr;
mod group;
mod keepalived;
mod kube_group;
pub mod leftovers;
mod load;
mod logind;
mod lxc;
mod netns;
mod packet;
mod pass;
mod prober;
mod real_api;
mod segment;
pub mod service;
mod snooping;
mod trial;
mod vip_map;
pub mod witness;

pub use agent::{Agent, AgentOptions, agent_binary, set_agent_binary};
pub use control_plane::{ControlPlane, LoadBalancer, SYSTEM};
pub use families::{Families, Unit};
pub use faults::between;
pub use flood::{Flooded, flood};
pub use frr::Frr;
pub use group::{Group, Hosts};
pub use keepalived::Keepalived;
pub use kube_group::KubeGroup;
pub use load::CpuLoad;
pub use logind::Logind;
pub use lxc::Privilege;
pub use netns::Netns;
pub use packet::PacketSocket;
pub use prober::{Prober, Probers, Report};
pub use real_api::RealApi;
pub use segment::{Host, Nic, Segment, Wiring, cabled, mac_text};
pub use trial::{Fault, Trial};
pub use vip_map::{Address, VipMap};

/// Fails with a sentence unless the process is root.
///
/// # Errors
/// When it is not, with the command to run instead.
pub fn require_root(what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "{what} needs root, for network namespaces and BPF programs: run `sudo -E env PATH=\"$PATH\" cargo xtask {what}`"
    );
    Ok(())
}
