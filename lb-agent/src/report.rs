//! What the agent holds, and what it has told of it, as a plain value: status objects, events and metrics are functions of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use lb_common::wire::ethernet::Mac;

use crate::{
    election::NodeId,
    holding::{Account, Cause, Change, Holding, Stance},
    model::Place,
    side_by_side::walk,
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
    /// The units. Those that have not changed are the same objects as in the report before.
    pub units: Units,
}

/// Units by interface and first VIP. There are very many, and few change: objects are compared by their address first.
pub type Units = Arc<BTreeMap<Place, Arc<UnitReport>>>;

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
    histories: HashMap<Place, History>,
    number: u64,
    /// Those of which something was noted since they were last looked at.
    noted: BTreeSet<Place>,
    /// The units as they stood then.
    units: Units,
}

impl Chronicle {
    /// Takes note of changes of holding.
    pub fn note(&mut self, changes: &[(Place, Change)], name: impl Fn(NodeId) -> Arc<str>) {
        for &(at, change) in changes {
            self.number += 1;
            let number = self.number;
            let history = self.histories.entry(at).or_default();
            self.noted.insert(at);
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
        self.histories.get(&at).cloned().unwrap_or_default()
    }

    /// The units as they stand. Those that are gone are forgotten.
    pub fn units(&mut self, holding: &Holding, name: impl Fn(NodeId) -> Arc<str>) -> Units {
        let changed = self.changed(holding, name);
        if !changed.is_empty() {
            let units = Arc::make_mut(&mut self.units);
            for (at, unit) in changed {
                match unit {
                    Some(unit) => _ = units.insert(at, Arc::new(unit)),
                    None => {
                        units.remove(&at);
                        self.histories.remove(&at);
                    }
                }
            }
        }
        for at in std::mem::take(&mut self.noted) {
            if !self.units.contains_key(&at) {
                self.histories.remove(&at); // it has come and gone
            }
        }
        Arc::clone(&self.units)
    }

    /// What differs from the last look; `None` for a unit that is gone.
    fn changed(
        &self,
        holding: &Holding,
        name: impl Fn(NodeId) -> Arc<str>,
    ) -> Vec<(Place, Option<UnitReport>)> {
        let known = self.units.iter().map(|(&at, unit)| (at, unit));
        let changed = |(at, account, known): (Place, Option<Account<'_>>, Option<&Arc<UnitReport>>)| {
            let Some(account) = account else { return Some((at, None)) };
            let stance = account.stance.named(&name);
            let is_same = known.is_some_and(|known| known.stance == stance && known.vips == *account.vips);
            if is_same && !self.noted.contains(&at) {
                return None;
            }
            let unit = UnitReport { vips: Arc::clone(account.vips), stance, history: self.history(at) };
            // What was noted need not have changed what is told of it.
            known.is_none_or(|known| **known != unit).then_some((at, Some(unit)))
        };
        walk(holding.accounts(), known).filter_map(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::holding::{Failback, Part, Rules, Wanted};

    const MAC: Mac = [2, 0, 0, 0, 0, 1];
    const STRANGER: Mac = [2, 0, 0, 0, 0, 9];

    fn name(node: NodeId) -> Arc<str> {
        format!("n{node}").into()
    }

    fn at(last: u8) -> Place {
        Place { ifindex: 2, address: [10, 77, 1, last].into() }
    }

    fn wanted(at: Place) -> Wanted {
        Wanted {
            addresses: [at.address].into(),
            order: [1, 2].into(),
            mac: MAC,
            part: Part::Candidate { asks: true },
        }
    }

    fn holding(places: &[Place]) -> Holding {
        let mut holding = Holding::new(1, Rules::default());
        let wanted = places.iter().map(|&at| (at, wanted(at))).collect();
        holding.follow(&wanted, Failback::default(), |_| true, 0);
        holding
    }

    #[test]
    fn what_happened_is_numbered_so_that_it_is_told_once_and_goes_with_its_unit() {
        let at = at(10);
        let mut holding = holding(&[at]);
        let mut chronicle = Chronicle::default();
        let changes =
            [Change::Taken(Cause::Silent(2)), Change::Conflict(STRANGER), Change::Conflict(STRANGER)];
        chronicle.note(&changes.map(|change| (at, change)), name);
        let history = History {
            taken: Some(Told { what: Takeover { cause: "silent", peer: Some("n2".into()) }, number: 1 }),
            conflict: Some(Told { what: STRANGER, number: 3 }),
            split: None,
        };
        let unit = UnitReport { vips: [at.address].into(), stance: Stance::Held, history };
        assert_eq!(*chronicle.units(&holding, name), [(at, Arc::new(unit))].into());
        holding.follow(&BTreeMap::new(), Failback::default(), |_| false, 1);
        assert_eq!(*chronicle.units(&holding, name), BTreeMap::new());
        assert_eq!(chronicle.history(at), History::default());
    }

    #[test]
    fn what_is_noted_of_a_unit_that_is_gone_already_is_forgotten() {
        let mut chronicle = Chronicle::default();
        chronicle.note(&[(at(10), Change::Conflict(STRANGER))], name);
        chronicle.units(&holding(&[]), name);
        assert_eq!(chronicle.history(at(10)), History::default());
    }

    #[test]
    fn units_that_have_not_changed_are_the_same_objects() {
        let mut holding = holding(&[at(10), at(20)]);
        let mut chronicle = Chronicle::default();
        let first = chronicle.units(&holding, name);
        assert!(Arc::ptr_eq(&first, &chronicle.units(&holding, name)), "none has");
        chronicle.note(&[(at(10), Change::Released)], name);
        assert!(Arc::ptr_eq(&first, &chronicle.units(&holding, name)), "nothing is told of that");
        chronicle.note(&[(at(10), Change::Conflict(STRANGER))], name);
        let second = chronicle.units(&holding, name);
        let is_same = |at| Arc::ptr_eq(&first[&at], &second[&at]);
        assert_eq!([at(10), at(20)].map(is_same), [false, true]);
        assert!(second[&at(10)].history.conflict.is_some());
        let drained = Wanted { part: Part::Leaver, ..wanted(at(20)) };
        holding.follow_some(&[(at(20), Some(drained))].into(), 1);
        let third = chronicle.units(&holding, name);
        let is_same = |at| Arc::ptr_eq(&second[&at], &third[&at]);
        assert_eq!([at(10), at(20)].map(is_same), [true, false]);
    }

    /// One unit of very many is heard of each time.
    #[test]
    fn a_report_of_one_change_among_very_many_takes_few_milliseconds() {
        let places: Vec<Place> = (0..10_000_u32)
            .map(|number| Place { ifindex: 2, address: (0x0a4e_0000 + number).to_be_bytes().into() })
            .collect();
        let holding = holding(&places);
        let mut chronicle = Chronicle::default();
        let mut report = Report { units: chronicle.units(&holding, name), ..Report::default() };
        let cpu_time =
            || -> Duration { clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into() };
        let mut rounds: Vec<Duration> = Vec::new();
        for at in &places[..20] {
            chronicle.note(&[(*at, Change::Conflict(STRANGER))], name);
            let begun = cpu_time();
            let new = Report { units: chronicle.units(&holding, name), ..report.clone() };
            assert_ne!(new, report);
            rounds.push(cpu_time() - begun);
            report = new;
        }
        rounds.sort_unstable();
        println!("reported in {:?}", rounds[10]);
        assert!(rounds[10] < Duration::from_millis(20), "{rounds:?}");
    }
}
