//! What a Service comes to by itself, before those are looked at that share a VIP with it.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use super::{
    Options,
    fields::Field,
    ground::{Ground, Sum},
    verdict::{AddressVerdict, Advertised, Outcome, Reason, ServiceVerdict, Serving},
};
use crate::cluster::objects::{ObjectName, Service};

/// A Service by itself.
#[derive(Debug)]
pub(super) struct Assessed {
    service: Arc<Service>,
    addresses: Arc<[AddressVerdict]>,
    serving: Arc<Serving>,
    advertised: Arc<Advertised>,
    /// The nodes that may announce it; or why none may.
    pub(super) stand: Result<Arc<Field>, Reason>,
    /// Its VIPs, as far as they are known to be ours.
    pub(super) vips: Arc<[IpAddr]>,
}

impl Assessed {
    /// The first of its addresses, as text: what the election is held by.
    pub(super) fn first(&self) -> Option<IpAddr> {
        self.service.addresses.first().copied()
    }

    /// The interfaces of this node that it is to be announced on.
    pub(super) fn interfaces(&self) -> Option<&Arc<BTreeSet<String>>> {
        self.advertised.interfaces.as_ref()
    }

    /// The advertisements that select it.
    pub(super) fn advertised_by(&self) -> &[Arc<str>] {
        &self.advertised.by
    }

    /// Where it has endpoints.
    pub(super) fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving)
    }

    /// Why it is not announced, if it is not by itself.
    pub(super) fn not_announced(&self) -> Option<Outcome> {
        self.stand.as_ref().err().cloned().map(Outcome::NotAnnounced)
    }

    /// All that was found, with what it comes to.
    pub(super) fn verdict(&self, name: &ObjectName, outcome: Outcome) -> ServiceVerdict {
        ServiceVerdict {
            name: name.clone(),
            uid: self.service.uid.as_str().into(),
            addresses: Arc::clone(&self.addresses),
            is_local: self.service.is_local,
            serving: Arc::clone(&self.serving),
            advertised: Arc::clone(&self.advertised),
            outcome,
            problems: self.service.problems.as_slice().into(),
        }
    }
}

pub(super) fn assess(
    service: &Arc<Service>,
    serving: Arc<Serving>,
    options: &Options,
    ground: &mut Ground,
) -> Assessed {
    let address = |&address: &IpAddr| AddressVerdict {
        address,
        pool: ground.pool_with(address),
        node: ground.node_with(address),
    };
    let addresses: Arc<[AddressVerdict]> = service.addresses.iter().map(address).collect();
    let is_ours = service.class == options.lb_class;
    let vips = addresses.iter().filter(|address| is_ours && address.pool.is_some() && address.node.is_none());
    let vips = vips.map(|address| address.address).collect();
    let mut advertised = Arc::default();
    let stand = pool(service, is_ours, &addresses).and_then(|pool| {
        let sum = ground.sum(&pool, &service.labels);
        advertised = Arc::clone(&sum.advertised);
        candidates(service, pool, &sum, &serving, ground)
    });
    Assessed { service: Arc::clone(service), addresses, serving, advertised, stand, vips }
}

/// The one pool that has all addresses.
fn pool(service: &Service, is_ours: bool, addresses: &[AddressVerdict]) -> Result<Arc<str>, Reason> {
    if !is_ours {
        return Err(Reason::OtherClass { class: service.class.clone() });
    }
    let of_node = |address: &AddressVerdict| Some((address.address, address.node.clone()?));
    if let Some((address, node)) = addresses.iter().find_map(of_node) {
        return Err(Reason::AddressOfNode { address, node });
    }
    if let Some(outside) = addresses.iter().find(|address| address.pool.is_none()) {
        return Err(Reason::OutsideOfPools { address: outside.address });
    }
    let pools: BTreeSet<&Arc<str>> = addresses.iter().filter_map(|address| address.pool.as_ref()).collect();
    let mut names = pools.iter().map(|pool| Arc::clone(pool));
    match (names.next(), pools.len()) {
        (None, _) => Err(Reason::NoAddress),
        (Some(only), 1) => Ok(only),
        (Some(first), _) => Err(Reason::SeveralPools { pools: [first].into_iter().chain(names).collect() }),
    }
}

fn candidates(
    service: &Service,
    pool: Arc<str>,
    Sum { advertised, field }: &Sum,
    serving: &Serving,
    ground: &mut Ground,
) -> Result<Arc<Field>, Reason> {
    if advertised.by.is_empty() {
        return Err(Reason::NoAdvertisement { pool });
    }
    if serving.nodes.is_empty() && !serving.is_elsewhere {
        return Err(Reason::NoEndpoint);
    }
    let field = match service.is_local {
        true => ground.fields.serving(field, serving),
        false => Arc::clone(field),
    };
    if field.is_empty() { Err(Reason::NoCandidate) } else { Ok(field) }
}
