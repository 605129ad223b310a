//! What the agent is to do, as plain values: what a file says, or what the cluster comes to.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use crate::{discovery::NamePatterns, holding::Failback, roster::Node};

/// A source's whole word.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Where to announce.
    pub interfaces: Interfaces,
    /// The nodes of the group; `None`: this node alone.
    pub nodes: Option<Vec<Node>>,
    /// What one of the nodes announces.
    pub units: Vec<Arc<PlannedUnit>>,
    /// Known VIPs of others, none of which is in a unit.
    pub suppress: Vec<IpAddr>,
    /// When a node that comes back takes its VIPs.
    pub failback: Failback,
}

/// The interfaces that may carry VIPs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Interfaces {
    /// That of the default route.
    #[default]
    OfDefaultRoute,
    /// Those with these names.
    Named(Vec<String>),
    /// Every one that looks like a network interface of the host, and those with these names besides. Units that do not
    /// name their interfaces are announced on the former.
    Discovered {
        /// Names of further ones.
        also: BTreeSet<String>,
        /// Those that only look like one.
        skip: NamePatterns,
    },
}

/// VIPs that go together: one node announces all of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedUnit {
    /// The VIPs, never none; the first one stands for the unit.
    pub addresses: Arc<[IpAddr]>,
    /// The address whose text the election is held by.
    pub key: IpAddr,
    /// Who may announce them; `None`: each node of the plan.
    pub candidates: Option<Arc<[Candidate]>>,
    /// Names of the interfaces of this node to announce on; `None`: all that the plan has.
    pub interfaces: Option<Arc<BTreeSet<String>>>,
}

/// A node that may announce a unit.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Candidate {
    /// Its name, one of [`Plan::nodes`].
    pub node: Arc<str>,
    /// Those with a higher score go before all others (`preferredNodeSelectors`); alike, the hash decides.
    pub score: i64,
}
