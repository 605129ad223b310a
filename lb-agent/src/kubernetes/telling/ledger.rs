//! What is to be written about each Service, kept up so that a look costs what has changed: it makes anew only what is told of
//! Services whose verdict is another object, whose VIPs are held or claimed otherwise than before, or whose ServiceL2Status has
//! changed.

mod objects;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    net::IpAddr,
    sync::Arc,
};

pub use objects::Change;
use objects::Objects;

use crate::{
    cluster::{
        objects::ObjectName,
        selection::{Selection, ServiceVerdict},
    },
    outputs::{
        Event, Write, events, is_spokesman,
        l2_status::{self, Existing},
        observed::{Units, View},
    },
    report::Report,
    side_by_side::changes,
};

/// What there is to tell, by Service.
pub struct Ledger {
    me: Arc<str>,
    /// What was last looked at.
    selection: Arc<Selection>,
    report: Arc<Report>,
    speaks_for_all: bool,
    units: Units,
    /// The Services that have a VIP.
    sharing: HashMap<IpAddr, Vec<ObjectName>>,
    objects: Objects,
    /// Services that something has changed about since they were last looked at.
    touched: BTreeSet<ObjectName>,
    /// What the ServiceL2Statuses do not say yet, by Service.
    unsaid: BTreeMap<ObjectName, Vec<Write>>,
    /// What there is to tell of Services, as far as there is anything.
    events: BTreeMap<ObjectName, Vec<Event>>,
}

impl Ledger {
    /// Of a node's agent, which has not looked at anything.
    pub fn new(me: &str) -> Self {
        Self {
            me: me.into(),
            selection: Arc::default(),
            report: Arc::default(),
            speaks_for_all: false,
            units: Units::default(),
            sharing: HashMap::new(),
            objects: Objects::default(),
            touched: BTreeSet::new(),
            unsaid: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// Takes note of a ServiceL2Status of this node.
    pub fn take(&mut self, change: Change) {
        self.touched.extend(self.objects.take(change));
    }

    /// Takes note that this one says so now: the watch will tell.
    pub fn said(&mut self, object: &str, interfaces: &[String]) {
        if let Some(known) = self.objects.get(object) {
            let interfaces = Some(interfaces.to_vec());
            self.take(Change::Put(object.to_owned(), Existing { interfaces, ..known.clone() }));
        }
    }

    /// Looks at what has changed; says which events are new.
    pub fn follow(&mut self, selection: &Arc<Selection>, report: &Arc<Report>) -> Vec<Event> {
        self.follow_selection(selection);
        self.follow_report(report);
        let touched = mem::take(&mut self.touched);
        touched.into_iter().flat_map(|service| self.look(service)).collect()
    }

    /// What is to be written, by Service.
    pub fn unsaid(&self) -> impl Iterator<Item = (&ObjectName, &Write)> {
        self.unsaid.iter().flat_map(|(service, writes)| writes.iter().map(move |write| (service, write)))
    }

    /// Whether there still is that to tell.
    pub fn is_to_be_told(&self, event: &Event) -> bool {
        self.events.get(&event.service).is_some_and(|events| events.contains(event))
    }

    /// Whether anything is to be written about a Service.
    pub fn is_unsaid(&self, service: &ObjectName) -> bool {
        self.unsaid.contains_key(service)
    }

    /// The ServiceL2Statuses that a Service has, by name.
    pub fn statuses_of<'a>(&'a self, service: &ObjectName) -> impl Iterator<Item = (&'a str, &'a Existing)> {
        self.objects.of(service)
    }

    /// Whether this node tells what all see alike.
    pub const fn speaks_for_all(&self) -> bool {
        self.speaks_for_all
    }

    fn follow_selection(&mut self, selection: &Arc<Selection>) {
        if Arc::ptr_eq(&self.selection, selection) {
            return;
        }
        let before = mem::replace(&mut self.selection, Arc::clone(selection));
        for (service, old, new) in changes(before.services.iter(), selection.services.iter()) {
            self.share(service, old, new);
            self.touched.insert(service.clone());
        }
        let speaks_for_all = is_spokesman(selection, &self.me);
        if mem::replace(&mut self.speaks_for_all, speaks_for_all) != speaks_for_all {
            self.touch_all();
        }
    }

    fn follow_report(&mut self, report: &Arc<Report>) {
        if Arc::ptr_eq(&self.report, report) {
            return;
        }
        let before = mem::replace(&mut self.report, Arc::clone(report));
        for vip in self.units.follow(&before, report) {
            self.touched.extend(self.sharing.get(&vip).into_iter().flatten().cloned());
        }
        if before.has_lease != report.has_lease || before.interfaces != report.interfaces {
            self.touch_all();
        }
    }

    fn touch_all(&mut self) {
        self.touched.extend(self.selection.services.keys().chain(self.objects.services()).cloned());
    }

    /// A Service may have other VIPs now.
    fn share(
        &mut self,
        service: &ObjectName,
        old: Option<&Arc<ServiceVerdict>>,
        new: Option<&Arc<ServiceVerdict>>,
    ) {
        let addresses = |verdict: Option<&Arc<ServiceVerdict>>| {
            verdict.map(|verdict| Arc::clone(&verdict.addresses)).unwrap_or_default()
        };
        let (old, new) = (addresses(old), addresses(new));
        if old == new {
            return;
        }
        for vip in old.iter().map(|address| address.address) {
            if let Some(services) = self.sharing.get_mut(&vip) {
                services.retain(|known| known != service);
                if services.is_empty() {
                    self.sharing.remove(&vip);
                }
            }
        }
        for vip in new.iter().map(|address| address.address) {
            self.sharing.entry(vip).or_default().push(service.clone());
        }
    }

    /// Looks at a Service; says which events are new.
    fn look(&mut self, service: ObjectName) -> Vec<Event> {
        let verdict = self.selection.services.get(&service).map(|verdict| &**verdict);
        let view = View::new(&self.me, self.speaks_for_all, &self.report, &self.units);
        let writes = l2_status::of_service(&view, &service, verdict, self.objects.of(&service));
        let events = verdict.map(|verdict| events::of_service(&view, &service, verdict)).unwrap_or_default();
        let before = self.events.remove(&service).unwrap_or_default();
        let news = events::news(&before, &events).cloned().collect();
        if !events.is_empty() {
            self.events.insert(service.clone(), events);
        }
        match writes.is_empty() {
            true => _ = self.unsaid.remove(&service),
            false => _ = self.unsaid.insert(service, writes),
        }
        news
    }
}

#[cfg(test)]
impl Ledger {
    /// The same agent's, by a look at everything from the beginning.
    pub fn afresh(&self) -> Self {
        let mut ledger = Self::new(&self.me);
        ledger.take(Change::Listed(self.objects.all().clone()));
        ledger.follow(&self.selection, &self.report);
        ledger
    }

    /// All that there is to tell, whether it was told or not.
    pub fn events(&self) -> &BTreeMap<ObjectName, Vec<Event>> {
        &self.events
    }
}
