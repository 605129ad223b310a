//! Why a Service is announced or not, with the values that decided it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use crate::{
    cluster::objects::{ConfigKind, ObjectName},
    plan::PlannedUnit,
};

/// The steps of one Service, each with what it found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceVerdict {
    /// Whose it is.
    pub name: ObjectName,
    /// `metadata.uid`, for events.
    pub uid: Arc<str>,
    /// The addresses of its status, each with the pool that has it.
    pub addresses: Arc<[AddressVerdict]>,
    /// `spec.externalTrafficPolicy` is Local.
    pub is_local: bool,
    /// Its endpoints.
    pub serving: Arc<Serving>,
    /// What the advertisements that select it come to.
    pub advertised: Arc<Advertised>,
    /// What it all comes to.
    pub outcome: Outcome,
    /// What could not be read of it.
    pub problems: Arc<[String]>,
}

/// An address of a Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressVerdict {
    /// The address.
    pub address: IpAddr,
    /// The pool that has it: of several the first by name.
    pub pool: Option<Arc<str>>,
    /// The Node that has it for its own, so that it is nothing to announce or to suppress.
    pub node: Option<Arc<str>>,
}

/// Where a Service has endpoints that are ready or serving.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Serving {
    /// On these nodes.
    pub nodes: BTreeSet<Arc<str>>,
    /// And some of which it is not told where they are.
    pub is_elsewhere: bool,
}

/// What the advertisements that select a Service and its pool come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advertised {
    /// Their names, in order.
    pub by: Vec<Arc<str>>,
    /// The nodes that they select, with the sum of the weights by which each is preferred.
    pub nodes: BTreeMap<Arc<str>, i64>,
    /// The interfaces of this node that they name; `None`: one of them names none.
    pub interfaces: Option<Arc<BTreeSet<String>>>,
}

/// What a Service comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// One of the candidates announces it.
    Announced {
        /// Its VIPs, and those that go together with them.
        unit: Arc<PlannedUnit>,
        /// Whose VIPs those are: this Service, and all that share a VIP with it, at one remove or more.
        services: Arc<[ObjectName]>,
    },
    /// Nobody does. Those of its addresses that lie in a pool are suppressed (under kube-proxy IPVS each node would answer for
    /// them), unless they are another's: those of another class, and a Node's own.
    NotAnnounced(Reason),
}

/// Why nobody announces a Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is of a class (or of none) that is another's to announce.
    OtherClass {
        /// `spec.loadBalancerClass`.
        class: Option<String>,
    },
    /// Its status has no address.
    NoAddress,
    /// No pool has this address.
    OutsideOfPools {
        /// The first such.
        address: IpAddr,
    },
    /// Its addresses lie in several pools: no advertisement speaks for all of them.
    SeveralPools {
        /// Their names.
        pools: Vec<Arc<str>>,
    },
    /// A Node has this address for its own.
    AddressOfNode {
        /// The address.
        address: IpAddr,
        /// The Node.
        node: Arc<str>,
    },
    /// No advertisement selects both the pool and the Service.
    NoAdvertisement {
        /// The pool.
        pool: Arc<str>,
    },
    /// No endpoint is ready or serving.
    NoEndpoint,
    /// Of the nodes that the advertisements select, none is fit; under the Local policy, none has an endpoint.
    NoCandidate,
    /// Each of the Services that share a VIP has candidates, but they have none in common.
    NoCommonCandidate {
        /// This one, and all that share a VIP with it, at one remove or more.
        services: Arc<[ObjectName]>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherClass { class: Some(class) } => {
                write!(f, "it is of class {class}, which is not this agent's to announce")
            }
            Self::OtherClass { class: None } => {
                f.write_str("it is of no class, and this agent announces those of its own class only")
            }
            Self::NoAddress => f.write_str("its status has no address yet"),
            Self::OutsideOfPools { address } => write!(f, "no IPAddressPool has {address}"),
            Self::SeveralPools { pools } => write!(
                f,
                "its addresses lie in several IPAddressPools ({}), and only one may speak for all of them",
                pools.join(", ")
            ),
            Self::AddressOfNode { address, node } => write!(f, "{address} is Node {node}'s own address"),
            Self::NoAdvertisement { pool } => {
                write!(f, "no L2Advertisement selects both IPAddressPool {pool} and the Service")
            }
            Self::NoEndpoint => f.write_str("it has no endpoint that is ready or serving"),
            Self::NoCandidate => f.write_str(
                "none of the Nodes that its L2Advertisements select may announce it: each is excluded, or has no agent, or, under \
                 externalTrafficPolicy Local, no endpoint",
            ),
            Self::NoCommonCandidate { services } => write!(
                f,
                "no Node may announce all Services that share an address: {}",
                services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// What a Node is fit for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeVerdict {
    /// It runs an agent.
    pub has_agent: bool,
    /// It has the label `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub is_excluded: bool,
    /// Its condition `NetworkUnavailable` is True.
    pub is_network_unavailable: bool,
    /// Its condition `Ready` is True.
    pub is_ready: bool,
    /// By which other nodes can probe it.
    pub addresses: Vec<IpAddr>,
}

impl NodeVerdict {
    /// Whether it may be a candidate at all.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        self.has_agent && !self.is_excluded && !self.is_network_unavailable
    }

    /// Whether it goes before those that are merely eligible. One that is not Ready may be about to go; one without an address
    /// cannot be probed, so its loss would show only after seconds. Either is better than nobody.
    #[must_use]
    pub const fn is_fit(&self) -> bool {
        self.is_ready && !self.addresses.is_empty()
    }
}

/// How a Node stands towards a Service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is a candidate, with this score.
    Candidate(i64),
    /// It runs no agent.
    NoAgent,
    /// It is labelled as excluded from load balancers.
    Excluded,
    /// Its network is unavailable.
    NetworkUnavailable,
    /// No advertisement that selects the Service selects it.
    NotSelected,
    /// The policy is Local, and it has no endpoint that is ready or serving.
    NoLocalEndpoint,
    /// It is not a candidate of another Service that shares a VIP with this one.
    NotForAll,
    /// It is not Ready, and others are.
    NotReady,
    /// It has no address by which others could probe it, and others have.
    NoAddress,
    /// The Service is not announced at all, whatever the node.
    NotAnnounced,
}

/// Something wrong with an object of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What it is: `IPAddressPool` or `L2Advertisement`.
    pub kind: ConfigKind,
    /// Its name.
    pub name: Arc<str>,
    /// What is wrong.
    pub what: String,
    /// It is not used on that account, or its last valid version is. Otherwise it is used, and does nothing.
    pub is_invalid: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, what, is_invalid: _ } = self;
        write!(f, "{kind} {name}: {what}")
    }
}
