//! What the agent holds, and what it has told of it, as a plain value: status objects, events and metrics are functions of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use lb_common::wire::ethernet::Mac;

use crate::{
    election::NodeId,
    holding::{Cause, Change, Holding, Stance},
    model::Place,
};

/// Everything that outputs have to know. A new one is published when it differs from the one before.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// This node's name.
    pub node: Arc<str>,
    /// The kernel answers for it.
    pub has_lease: bool,
    /// No VIP is announced until it is undrained.
    pub is_drained: bool,
    /// What went wrong last, until something else does.
    pub trouble: Option<String>,
    /// What is wrong with the newest settings, so that the last valid ones stay.
    pub config_problem: Option<String>,
    /// Names of the interfaces that carry programs, by index.
    pub interfaces: BTreeMap<u32, Arc<str>>,
    /// This node's own addresses on them, by which peers may reach it. None is a VIP.
    pub addresses: BTreeSet<IpAddr>,
    /// The units, by interface and first VIP.
    pub units: BTreeMap<Place, UnitReport>,
}

/// One unit on one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnitReport {
    /// Its VIPs.
    pub vips: Arc<[IpAddr]>,
    /// How this node stands to it.
    pub stance: Stance<Arc<str>>,
    /// What has happened to it.
    pub history: History,
}

/// What was last told of a unit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct History {
    /// Why it was last taken.
    pub taken: Option<Told<Takeover>>,
    /// A station that is no peer claims it although it is announced here.
    pub conflict: Option<Told<Mac>>,
    /// Two peers answer for it.
    pub split: Option<Told<(Arc<str>, Arc<str>)>>,
}

/// Something that is to be told once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told<T> {
    /// What happened.
    pub what: T,
    /// Later ones have higher numbers, over all units: whoever has seen this one need not tell it again.
    pub number: u64,
}

/// Why a unit was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Takeover {
    /// One word, the label of a metric: `unanswered`, `unasked`, `peers_gone`, `silent`, `failback`, `given_back` or `moved`.
    pub cause: &'static str,
    /// The peer that had it, where the cause has to do with one.
    pub peer: Option<Arc<str>>,
}

impl Takeover {
    fn of(cause: Cause, name: impl Fn(NodeId) -> Arc<str>) -> Self {
        let (cause, peer) = match cause {
            Cause::Unanswered => ("unanswered", None),
            Cause::Unasked => ("unasked", None),
            Cause::PeersGone => ("peers_gone", None),
            Cause::Silent(peer) => ("silent", Some(peer)),
            Cause::Failback(peer) => ("failback", Some(peer)),
            Cause::GivenBack(peer) => ("given_back", Some(peer)),
            Cause::Moved(peer) => ("moved", Some(peer)),
        };
        Self { cause, peer: peer.map(name) }
    }
}

/// What was told of all units.
#[derive(Debug, Default)]
pub struct Chronicle {
    units: HashMap<Place, History>,
    number: u64,
}

impl Chronicle {
    /// Takes note of changes of holding.
    pub fn note(&mut self, changes: &[(Place, Change)], name: impl Fn(NodeId) -> Arc<str>) {
        for &(at, change) in changes {
            self.number += 1;
            let number = self.number;
            let history = self.units.entry(at).or_default();
            match change {
                Change::Taken(cause) => {
                    history.taken = Some(Told { what: Takeover::of(cause, &name), number });
                }
                Change::Conflict(station) => history.conflict = Some(Told { what: station, number }),
                Change::SplitSegment(one, other) => {
                    history.split = Some(Told { what: (name(one), name(other)), number });
                }
                Change::Released | Change::Yielded(_) | Change::Contested(_) => {}
            }
        }
    }

    /// What was told of a unit.
    #[must_use]
    pub fn history(&self, at: Place) -> History {
        self.units.get(&at).cloned().unwrap_or_default()
    }

    /// The units as they stand. Those that are gone are forgotten.
    pub fn units(
        &mut self,
        holding: &Holding,
        name: impl Fn(NodeId) -> Arc<str>,
    ) -> BTreeMap<Place, UnitReport> {
        self.units.retain(|&at, _| holding.account(at).is_some());
        let report = |(at, account): (Place, crate::holding::Account<'_>)| {
            let stance = account.stance.named(&name);
            (at, UnitReport { vips: Arc::clone(account.vips), stance, history: self.history(at) })
        };
        holding.accounts().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holding::{Failback, Part, Rules, Wanted};

    const MAC: Mac = [2, 0, 0, 0, 0, 1];
    const STRANGER: Mac = [2, 0, 0, 0, 0, 9];

    fn name(node: NodeId) -> Arc<str> {
        format!("n{node}").into()
    }

    #[test]
    fn what_happened_is_numbered_so_that_it_is_told_once_and_goes_with_its_unit() {
        let at = Place { ifindex: 2, address: [10, 77, 1, 10].into() };
        let wanted = Wanted {
            addresses: [at.address].into(),
            order: [1, 2].into(),
            mac: MAC,
            part: Part::Candidate { asks: true },
        };
        let mut holding = Holding::new(1, Rules::default());
        let mut chronicle = Chronicle::default();
        holding.follow(&[(at, wanted)].into(), Failback::default(), |_| true, 0);
        let changes =
            [Change::Taken(Cause::Silent(2)), Change::Conflict(STRANGER), Change::Conflict(STRANGER)];
        chronicle.note(&changes.map(|change| (at, change)), name);
        let history = History {
            taken: Some(Told { what: Takeover { cause: "silent", peer: Some("n2".into()) }, number: 1 }),
            conflict: Some(Told { what: STRANGER, number: 3 }),
            split: None,
        };
        let unit = UnitReport { vips: [at.address].into(), stance: Stance::Held, history };
        assert_eq!(chronicle.units(&holding, name), [(at, unit)].into());
        holding.follow(&BTreeMap::new(), Failback::default(), |_| false, 1);
        assert_eq!(chronicle.units(&holding, name), BTreeMap::new());
        assert_eq!(chronicle.history(at), History::default());
    }
}
