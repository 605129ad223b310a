//! Names of the places that a program can be attached to, and of their pins.

use std::{fmt, path::PathBuf};

use crate::pins::{self, Pins};

/// A place at an interface that holds one program of ours.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Slot {
    /// XDP in the driver.
    Xdp,
    /// XDP in the stack.
    XdpGeneric,
    /// tc, incoming.
    TcIngress,
    /// tc, outgoing.
    TcEgress,
}

/// What holds a program there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mechanism {
    /// A BPF link: XDP, and tcx from 6.6.
    Link,
    /// A filter of the clsact qdisc.
    Clsact,
}

impl Slot {
    const ALL: [Self; 4] = [Self::Xdp, Self::XdpGeneric, Self::TcIngress, Self::TcEgress];

    /// Whether it is one of the two XDP modes.
    #[must_use]
    pub const fn is_xdp(self) -> bool {
        match self {
            Self::Xdp | Self::XdpGeneric => true,
            Self::TcIngress | Self::TcEgress => false,
        }
    }

    /// The parent of filters at this slot, as `tc` writes `ffff:fff2` and `ffff:fff3`.
    #[must_use]
    pub const fn tc_parent(self) -> u32 {
        match self {
            Self::TcEgress => 0xffff_fff3,
            Self::TcIngress | Self::Xdp | Self::XdpGeneric => 0xffff_fff2,
        }
    }

    const fn name(self, mechanism: Mechanism) -> &'static str {
        match (self, mechanism) {
            (Self::Xdp, _) => "xdp",
            (Self::XdpGeneric, _) => "xdp-generic",
            (Self::TcIngress, Mechanism::Link) => "tcx-ingress",
            (Self::TcEgress, Mechanism::Link) => "tcx-egress",
            (Self::TcIngress, Mechanism::Clsact) => "clsact-ingress",
            (Self::TcEgress, Mechanism::Clsact) => "clsact-egress",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::TcIngress => "tc ingress",
            Self::TcEgress => "tc egress",
        })
    }
}

/// A program of ours at an interface, as the pin directory names it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pin {
    /// Interface index.
    pub ifindex: u32,
    /// The place at the interface.
    pub slot: Slot,
    /// What holds it.
    pub mechanism: Mechanism,
}

impl Pin {
    /// Everything that is pinned or marked.
    #[must_use]
    pub fn all(pins: &Pins) -> Vec<Self> {
        pins::entries(&pins.links()).iter().filter_map(|path| Self::parse(&pins::name(path))).collect()
    }

    /// Where its pin or mark lies.
    #[must_use]
    pub fn path(&self, pins: &Pins) -> PathBuf {
        pins.links().join(format!("{}-{}", self.ifindex, self.kind()))
    }

    /// The slot's name, with the mechanism in it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.slot.name(self.mechanism)
    }

    fn parse(name: &str) -> Option<Self> {
        let (ifindex, kind) = name.split_once('-')?;
        let ifindex = ifindex.parse().ok()?;
        Slot::ALL.into_iter().find_map(|slot| {
            [Mechanism::Link, Mechanism::Clsact]
                .into_iter()
                .find(|&mechanism| slot.name(mechanism) == kind)
                .map(|mechanism| Self { ifindex, slot, mechanism })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_survives_its_name() {
        for name in
            ["2-xdp", "3-xdp-generic", "4-tcx-ingress", "5-tcx-egress", "6-clsact-ingress", "7-clsact-egress"]
        {
            let pin = Pin::parse(name).unwrap();
            assert_eq!(format!("{}-{}", pin.ifindex, pin.kind()), name);
        }
        for name in ["", "xdp", "2-", "x-xdp", "2-xdp-offloaded"] {
            assert_eq!(Pin::parse(name), None, "{name}");
        }
    }
}
