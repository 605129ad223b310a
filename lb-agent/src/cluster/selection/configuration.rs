//! The pools and advertisements that a selection follows from, for whoever asks why.

use std::{collections::BTreeMap, sync::Arc};

use crate::cluster::{
    Cluster,
    objects::{Advertisement, ConfigKind, Pool},
};

/// What is in use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    /// IPAddressPools by name: of each the last valid version.
    pub pools: BTreeMap<Arc<str>, Arc<Pool>>,
    /// L2Advertisements by name: of each the last valid version.
    pub advertisements: BTreeMap<Arc<str>, AdvertisementInUse>,
    /// Those whose newest version is not used, and whether an earlier one is.
    pub rejected: BTreeMap<(ConfigKind, Arc<str>), bool>,
}

/// An advertisement, and what it selects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdvertisementInUse {
    /// The object.
    pub object: Arc<Advertisement>,
    /// The Nodes, each with the weight by which it is preferred.
    pub nodes: Arc<BTreeMap<Arc<str>, i64>>,
}

pub(super) fn rejected(cluster: &Cluster) -> BTreeMap<(ConfigKind, Arc<str>), bool> {
    let pools = cluster.rejected_pools.keys();
    let pools = pools.map(|name| (ConfigKind::IpAddressPool, name, cluster.pools.contains_key(name)));
    let advertisements = cluster.rejected_advertisements.keys();
    let advertisements = advertisements
        .map(|name| (ConfigKind::L2Advertisement, name, cluster.advertisements.contains_key(name)));
    pools.chain(advertisements).map(|(kind, name, is_used)| ((kind, name.as_str().into()), is_used)).collect()
}
