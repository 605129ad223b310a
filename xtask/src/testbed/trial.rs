//! A fault that befalls the holder of a VIP, and what a client sees of it.

use std::{net::Ipv4Addr, thread, time::Duration};

use nix::sys::signal::Signal;

use super::{
    faults::between,
    group::Group,
    prober::{Prober, Report},
    segment::Host,
};

/// Between two requests of the client.
const INTERVAL: Duration = Duration::from_millis(2);
/// After the holder is where it should be, for what may still be under way.
const SETTLED: Duration = Duration::from_millis(500);

/// What can befall the holder of a VIP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Its port on the switch goes down.
    PortCut,
    /// Its agent is stopped.
    Frozen,
    /// Its agent is killed.
    Killed,
    /// It is drained.
    Drained,
    /// It holds the VIP but does not answer: the entry is taken out of its map behind its agent's back.
    Silent,
    /// It is parted from all others.
    Parted,
    /// Parted before, it is joined with the others again.
    Joined,
}

impl Fault {
    /// Brings it about.
    ///
    /// # Errors
    /// When that fails.
    pub fn begin(self, group: &mut Group<'_>, holder: usize, vip: Ipv4Addr) -> anyhow::Result<()> {
        let hosts = group.hosts;
        match self {
            Self::PortCut => hosts.segment.set_port(&hosts.nodes[holder], false),
            Self::Frozen => group.agents[holder].signal(Signal::SIGSTOP),
            Self::Killed => group.agents[holder].end(Signal::SIGKILL),
            Self::Drained => group.agents[holder].succeed("drain").map(drop),
            Self::Silent => group.remove_entry(holder, vip),
            Self::Parted => hosts.segment.block(&parted(group, holder)),
            Self::Joined => hosts.segment.block(&[]),
        }
    }

    /// Undoes it.
    ///
    /// # Errors
    /// When that fails.
    pub fn end(self, group: &mut Group<'_>, holder: usize) -> anyhow::Result<()> {
        let hosts = group.hosts;
        match self {
            Self::PortCut => hosts.segment.set_port(&hosts.nodes[holder], true),
            Self::Frozen => group.agents[holder].signal(Signal::SIGCONT),
            Self::Killed => group.agents[holder].spawn(),
            Self::Drained => group.agents[holder].succeed("undrain").map(drop),
            Self::Silent => {
                // The agent writes the map anew when its interface has been down.
                hosts.segment.set_port(&hosts.nodes[holder], false)?;
                thread::sleep(Duration::from_millis(200));
                hosts.segment.set_port(&hosts.nodes[holder], true)
            }
            Self::Parted | Self::Joined => Ok(()),
        }
    }
}

/// The holder on one side, everyone else on the other.
fn parted<'a>(group: &'a Group<'_>, holder: usize) -> Vec<(&'a Host, &'a Host)> {
    let hosts = group.hosts;
    let others = hosts.nodes.iter().enumerate().filter(|&(number, _)| number != holder).map(|(_, node)| node);
    let others: Vec<&Host> = others.chain([&hosts.client]).collect();
    between(&[&hosts.nodes[holder]], &others)
}

/// A client that asks for a VIP while a fault befalls node `first`.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The VIP.
    pub vip: Ipv4Addr,
    /// The node that holds it before.
    pub first: usize,
    /// How long the client asks before the fault.
    pub before: Duration,
    /// How long it goes on asking after it.
    pub after: Duration,
}

impl Trial {
    /// Waits until node `first` alone holds the VIP (unless the segment is parted), and looks on.
    ///
    /// # Errors
    /// When the group does not settle, or the fault cannot be brought about or undone.
    pub fn run(&self, group: &mut Group<'_>, fault: Fault) -> anyhow::Result<Report> {
        let &Self { vip, first, before, after } = self;
        if fault != Fault::Joined {
            group.wait_held_by(vip, first)?;
        }
        thread::sleep(SETTLED);
        let prober = Prober::start(&group.hosts.client, vip, INTERVAL)?;
        thread::sleep(before);
        fault.begin(group, first, vip)?;
        thread::sleep(after);
        let report = prober.finish()?;
        fault.end(group, first)?;
        Ok(report)
    }
}
