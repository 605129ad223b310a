//! The maps that kernel and agent share, as typed tables. They are pinned, and so outlive the agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, MapInfo, PerCpuArray, RingBuf},
};
use lb_common::{
    maps::{
        Agent, Iface, PeerKeyV4, PeerStats, Role, SELF_TEST_IFINDEX, SELF_TEST_MAC, VipEntry, VipKey,
        VipKeyV4, VipStats,
    },
    reason::FrameCounters,
};

use crate::{diff::MapOp, model::Place, object::OBJECT};

const VIPS: &str = "LB_VIPS_V4";
const STATS: &str = "LB_STATS_V4";
const AGENT: &str = "LB_AGENT";
const FRAMES: &str = "LB_FRAMES";
const IFACES: &str = "LB_IFACES";
const PEERS: &str = "LB_PEERS_V4";
const EVENTS: &str = "LB_EVENTS";
/// Each map with the sizes of its key and value, in bytes.
const LAYOUTS: [(&str, usize, usize); 7] = [
    (VIPS, size_of::<VipKeyV4>(), size_of::<VipEntry>()),
    (STATS, size_of::<VipKeyV4>(), size_of::<VipStats>()),
    (AGENT, size_of::<u32>(), size_of::<Agent>()),
    (FRAMES, size_of::<u32>(), size_of::<FrameCounters>()),
    (IFACES, size_of::<u32>(), size_of::<Iface>()),
    (PEERS, size_of::<PeerKeyV4>(), size_of::<PeerStats>()),
    (EVENTS, 0, 0),
];

/// What went wrong with a map.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The object was refused as a whole, or a map could not be made.
    #[error("load the BPF object with its maps in {}: {source}{}", path.display(), crate::privileges::remedy_for(&**source))]
    Load {
        /// Directory of the pinned maps.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<EbpfError>,
    },
    /// One operation on a map failed.
    #[error("{operation} {name}: {source}")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Which map.
        name: &'static str,
        /// Why not.
        #[source]
        source: MapError,
    },
    /// A pinned map has other sizes than this program's.
    #[error(
        "map {name} in {} has another layout than this agent's although its version is the same; stop the agent and \
         run `lb-agent cleanup`", path.display()
    )]
    Layout {
        /// Which map.
        name: &'static str,
        /// Directory of the pinned maps.
        path: PathBuf,
    },
}

fn failed(operation: &'static str, name: &'static str) -> impl Fn(MapError) -> TableError {
    move |source| TableError::Map { operation, name, source }
}

/// The tables as the agent writes and `status` reads them.
pub struct Tables {
    vips: HashMap<MapData, VipKeyV4, VipEntry>,
    stats: HashMap<MapData, VipKeyV4, VipStats>,
    agent: Array<MapData, Agent>,
    frames: PerCpuArray<MapData, FrameCounters>,
    ifaces: HashMap<MapData, u32, Iface>,
    peers: HashMap<MapData, PeerKeyV4, PeerStats>,
}

/// Loads the object over the maps pinned in `directory`, making those that are not there.
///
/// # Errors
/// [`TableError`]: not privileged, no memory, or a map of another layout.
pub fn load(directory: &Path) -> Result<(Ebpf, Tables, RingBuf<MapData>), TableError> {
    let mut loader = EbpfLoader::new();
    for (name, key_size, value_size) in LAYOUTS {
        let path = directory.join(name);
        check_layout(name, &path, (key_size, value_size))?;
        loader.map_pin_path(name, path);
    }
    let mut object = loader
        .load(OBJECT)
        .map_err(|source| TableError::Load { path: directory.to_owned(), source: source.into() })?;
    let tables = Tables::from_maps(|name| object.take_map(name).ok_or_else(|| missing(name)), directory)?;
    let events = object.take_map(EVENTS).ok_or_else(|| missing(EVENTS)).and_then(RingBuf::try_from);
    Ok((object, tables, events.map_err(failed("open", EVENTS))?))
}

/// A map that is pinned already has to be laid out as this agent's: aya takes it as it is.
fn check_layout(name: &'static str, path: &Path, sizes: (usize, usize)) -> Result<(), TableError> {
    if !path.exists() {
        return Ok(());
    }
    let info = MapInfo::from_pin(path).map_err(failed("look at", name))?;
    if (info.key_size() as usize, info.value_size() as usize) == sizes {
        return Ok(());
    }
    Err(TableError::Layout { name, path: path.parent().unwrap_or(path).to_owned() })
}

fn missing(name: &str) -> MapError {
    MapError::IoError(io::Error::new(io::ErrorKind::NotFound, format!("no map {name}")))
}

impl Tables {
    /// Opens the pinned maps without the object, for commands beside the agent.
    ///
    /// # Errors
    /// [`TableError`] where no agent has been, or one of another schema version.
    pub fn open(directory: &Path) -> Result<Self, TableError> {
        Self::from_maps(
            |name| {
                let data = MapData::from_pin(directory.join(name))?;
                Ok(match name {
                    AGENT => Map::Array(data),
                    FRAMES => Map::PerCpuArray(data),
                    _ => Map::HashMap(data),
                })
            },
            directory,
        )
    }

    fn from_maps(
        mut map: impl FnMut(&'static str) -> Result<Map, MapError>,
        directory: &Path,
    ) -> Result<Self, TableError> {
        let layout = |name| {
            move |source| match source {
                MapError::InvalidKeySize { .. } | MapError::InvalidValueSize { .. } => {
                    TableError::Layout { name, path: directory.to_owned() }
                }
                source => failed("open", name)(source),
            }
        };
        Ok(Self {
            vips: map(VIPS).and_then(HashMap::try_from).map_err(layout(VIPS))?,
            stats: map(STATS).and_then(HashMap::try_from).map_err(layout(STATS))?,
            agent: map(AGENT).and_then(Array::try_from).map_err(layout(AGENT))?,
            frames: map(FRAMES).and_then(PerCpuArray::try_from).map_err(layout(FRAMES))?,
            ifaces: map(IFACES).and_then(HashMap::try_from).map_err(layout(IFACES))?,
            peers: map(PEERS).and_then(HashMap::try_from).map_err(layout(PEERS))?,
        })
    }

    /// The entries of VIPs; that of the self-test is left out.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn vips(&self) -> Result<BTreeMap<Place, VipEntry>, TableError> {
        self.vips
            .iter()
            .filter(|item| !matches!(item, Ok((key, _)) if key.ifindex == SELF_TEST_IFINDEX))
            .map(|item| item.map(|(key, entry)| (place(key), entry)))
            .collect::<Result<_, _>>()
            .map_err(failed("read", VIPS))
    }

    /// Counters by VIP.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn stats(&self) -> Result<BTreeMap<Place, VipStats>, TableError> {
        self.stats
            .iter()
            .map(|item| item.map(|(key, stats)| (place(key), stats)))
            .collect::<Result<_, _>>()
            .map_err(failed("read", STATS))
    }

    /// Frames by fate, all CPUs together.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn frames(&self) -> Result<FrameCounters, TableError> {
        let by_cpu = self.frames.get(&0, 0).map_err(failed("read", FRAMES))?;
        let mut sum = FrameCounters::default();
        by_cpu.iter().for_each(|counters| sum.add(counters));
        Ok(sum)
    }

    /// Makes one write. Counters come before their VIP, and go after it.
    ///
    /// # Errors
    /// When the kernel refuses: no memory, or more VIPs than the map holds.
    pub fn apply(&mut self, op: &MapOp) -> Result<(), TableError> {
        match *op {
            MapOp::Remove(at) => {
                let Some(key) = key(at) else { return Ok(()) };
                removed(self.vips.remove(&key)).map_err(failed("remove a VIP from", VIPS))?;
                removed(self.stats.remove(&key)).map_err(failed("remove a VIP from", STATS))
            }
            MapOp::Set(at, entry) => {
                let Some(key) = key(at) else { return Ok(()) };
                const ONLY_IF_ABSENT: u64 = 1; // BPF_NOEXIST
                match self.stats.insert(key, VipStats::default(), ONLY_IF_ABSENT) {
                    Err(error) if !is_errno(&error, libc::EEXIST) => {
                        return Err(failed("add a VIP to", STATS)(error));
                    }
                    _ => {}
                }
                self.vips.insert(key, entry, 0).map_err(failed("write a VIP to", VIPS))
            }
        }
    }

    /// Makes the reserved entry that the self-test asks for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_self_test(&mut self) -> Result<(), TableError> {
        let key = VipKey { ifindex: SELF_TEST_IFINDEX, address: [0; 4] };
        let entry = VipEntry::new(Role::SelfTest, SELF_TEST_MAC);
        self.vips.insert(key, entry, 0).map_err(failed("write the self-test entry to", VIPS))
    }

    /// What the kernel has been told of the agent: the lease, and the rest.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn agent(&self) -> Result<Agent, TableError> {
        self.agent.get(&0, 0).map_err(failed("read", AGENT))
    }

    /// Tells the kernel of the agent.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_agent(&mut self, agent: Agent) -> Result<(), TableError> {
        self.agent.set(0, agent, 0).map_err(failed("write the lease to", AGENT))
    }

    /// The peers that the kernel knows, with what it has answered them.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn peers(&self) -> Result<BTreeMap<Place, PeerStats>, TableError> {
        self.peers
            .iter()
            .map(|item| item.map(|(key, stats)| (place(key), stats)))
            .collect::<Result<_, _>>()
            .map_err(failed("read", PEERS))
    }

    /// Brings [`Self::peers`] to `desired`; the counters of those that stay are kept.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_peers(&mut self, desired: &BTreeSet<Place>) -> Result<(), TableError> {
        let actual = self.peers()?;
        for key in actual.keys().filter(|at| !desired.contains(at)).filter_map(|&at| key(at)) {
            removed(self.peers.remove(&key)).map_err(failed("remove a peer from", PEERS))?;
        }
        for key in desired.iter().filter(|at| !actual.contains_key(at)).filter_map(|&at| key(at)) {
            self.peers.insert(key, PeerStats::default(), 0).map_err(failed("write a peer to", PEERS))?;
        }
        Ok(())
    }

    /// Own addresses by interface index, as the egress program sees them.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn ifaces(&self) -> Result<BTreeMap<u32, Iface>, TableError> {
        self.ifaces.iter().collect::<Result<_, _>>().map_err(failed("read", IFACES))
    }

    /// Brings [`Self::ifaces`] to `desired`, by as few writes as that takes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_ifaces(&mut self, desired: &BTreeMap<u32, Iface>) -> Result<(), TableError> {
        let actual = self.ifaces()?;
        for ifindex in actual.keys().filter(|ifindex| !desired.contains_key(ifindex)) {
            removed(self.ifaces.remove(ifindex)).map_err(failed("remove an interface from", IFACES))?;
        }
        for (ifindex, iface) in desired.iter().filter(|(ifindex, iface)| actual.get(ifindex) != Some(iface)) {
            self.ifaces.insert(ifindex, iface, 0).map_err(failed("write an interface to", IFACES))?;
        }
        Ok(())
    }
}

/// Gone already is as good as removed.
fn removed(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(error) if is_errno(&error, libc::ENOENT) => Ok(()),
        result => result,
    }
}

fn is_errno(error: &MapError, errno: i32) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(errno))
}

fn key(place: Place) -> Option<VipKeyV4> {
    match place.address {
        IpAddr::V4(address) => Some(VipKey { ifindex: place.ifindex, address: address.octets() }),
        IpAddr::V6(_) => None, // the configuration has refused it
    }
}

fn place(key: VipKeyV4) -> Place {
    Place { ifindex: key.ifindex, address: Ipv4Addr::from(key.address).into() }
}
