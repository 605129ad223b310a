//! A fault that befalls the holder of a VIP, and what a client sees of it.

use std::{thread, time::Duration};

use nix::sys::signal::Signal;

use super::{
    families::Unit,
    faults::between,
    group::Group,
    prober::{Probers, Report},
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
    /// It holds the VIPs but does not answer: the entries are taken out of its maps behind its agent's back.
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
    pub fn begin(self, group: &mut Group<'_>, holder: usize, unit: Unit) -> anyhow::Result<()> {
        let hosts = group.hosts;
        match self {
            Self::PortCut => hosts.segment.set_port(&hosts.nodes[holder], false),
            Self::Frozen => group.agents[holder].signal(Signal::SIGSTOP),
            Self::Killed => group.agents[holder].end(Signal::SIGKILL),
            Self::Drained => group.agents[holder].succeed("drain").map(drop),
            Self::Silent => unit.addresses().try_for_each(|vip| group.remove_entry(holder, vip)),
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

/// A client that asks for the VIPs of a unit while a fault befalls node `first`.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The VIPs.
    pub unit: Unit,
    /// The node that holds them before.
    pub first: usize,
    /// How long the client asks before the fault.
    pub before: Duration,
    /// How long it goes on asking after it.
    pub after: Duration,
}

impl Trial {
    /// Waits until node `first` alone holds the unit (unless the segment is parted), and looks on: a report for each
    /// VIP, IPv4 first.
    ///
    /// # Errors
    /// When the group does not settle, or the fault cannot be brought about or undone.
    pub fn run(&self, group: &mut Group<'_>, fault: Fault) -> anyhow::Result<Vec<Report>> {
        let &Self { unit, first, before, after } = self;
        if fault != Fault::Joined {
            group.wait_held_by(unit, first)?;
        }
        thread::sleep(SETTLED);
        let probers = Probers::start(&group.hosts.client, unit.addresses(), INTERVAL)?;
        thread::sleep(before);
        fault.begin(group, first, unit)?;
        thread::sleep(after);
        let reports = probers.finish()?;
        fault.end(group, first)?;
        Ok(reports)
    }
}
