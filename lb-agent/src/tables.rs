//! The maps that kernel and agent share, as typed tables. They are pinned, and so outlive the agent.

mod addresses;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use addresses::{Addresses, IPV4, IPV6, layouts};
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, MapInfo, PerCpuArray, RingBuf},
};
use lb_common::{
    maps::{Agent, Iface, PeerStats, VipEntry, VipStats},
    reason::FrameCounters,
};

use crate::{diff::MapOp, model::Place, object::OBJECT};

const AGENT: &str = "LB_AGENT";
const FRAMES: &str = "LB_FRAMES";
const IFACES: &str = "LB_IFACES";
const EVENTS: &str = "LB_EVENTS";

/// Each map with the sizes of its key and value, in bytes.
fn all_layouts() -> impl Iterator<Item = (&'static str, usize, usize)> {
    let others = [
        (AGENT, size_of::<u32>(), size_of::<Agent>()),
        (FRAMES, size_of::<u32>(), size_of::<FrameCounters>()),
        (IFACES, size_of::<u32>(), size_of::<Iface>()),
        (EVENTS, 0, 0),
    ];
    layouts::<[u8; 4]>(&IPV4).into_iter().chain(layouts::<[u8; 16]>(&IPV6)).chain(others)
}

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
    ipv4: Addresses<[u8; 4]>,
    ipv6: Addresses<[u8; 16]>,
    agent: Array<MapData, Agent>,
    frames: PerCpuArray<MapData, FrameCounters>,
    ifaces: HashMap<MapData, u32, Iface>,
}

/// Loads the object over the maps pinned in `directory`, making those that are not there.
///
/// # Errors
/// [`TableError`]: not privileged, no memory, or a map of another layout.
pub fn load(directory: &Path) -> Result<(Ebpf, Tables, RingBuf<MapData>), TableError> {
    let mut loader = EbpfLoader::new();
    for (name, key_size, value_size) in all_layouts() {
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
        let explain = |name, source| match source {
            MapError::InvalidKeySize { .. } | MapError::InvalidValueSize { .. } => {
                TableError::Layout { name, path: directory.to_owned() }
            }
            source => failed("open", name)(source),
        };
        let layout = |name| move |source| explain(name, source);
        Ok(Self {
            ipv4: Addresses::new(IPV4, &mut map, explain)?,
            ipv6: Addresses::new(IPV6, &mut map, explain)?,
            agent: map(AGENT).and_then(Array::try_from).map_err(layout(AGENT))?,
            frames: map(FRAMES).and_then(PerCpuArray::try_from).map_err(layout(FRAMES))?,
            ifaces: map(IFACES).and_then(HashMap::try_from).map_err(layout(IFACES))?,
        })
    }

    /// The entries of VIPs; those of the self-test are left out.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn vips(&self) -> Result<BTreeMap<Place, VipEntry>, TableError> {
        Ok(joined(self.ipv4.vips()?, self.ipv6.vips()?))
    }

    /// One VIP's entry, and its counters.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn vip(&self, Place { ifindex, address }: Place) -> Result<Option<(VipEntry, VipStats)>, TableError> {
        match address {
            IpAddr::V4(address) => self.ipv4.vip(ifindex, address.octets()),
            IpAddr::V6(address) => self.ipv6.vip(ifindex, address.octets()),
        }
    }

    /// Counters by VIP.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn stats(&self) -> Result<BTreeMap<Place, VipStats>, TableError> {
        Ok(joined(self.ipv4.stats()?, self.ipv6.stats()?))
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
            MapOp::Remove(Place { ifindex, address: IpAddr::V4(address) }) => {
                self.ipv4.remove_vip(ifindex, address.octets())
            }
            MapOp::Remove(Place { ifindex, address: IpAddr::V6(address) }) => {
                self.ipv6.remove_vip(ifindex, address.octets())
            }
            MapOp::Set(Place { ifindex, address: IpAddr::V4(address) }, entry) => {
                self.ipv4.set_vip(ifindex, address.octets(), entry)
            }
            MapOp::Set(Place { ifindex, address: IpAddr::V6(address) }, entry) => {
                self.ipv6.set_vip(ifindex, address.octets(), entry)
            }
        }
    }

    /// Makes the reserved entries that the self-test asks for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_self_test(&mut self) -> Result<(), TableError> {
        self.ipv4.add_self_test()?;
        self.ipv6.add_self_test()
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
    /// When a map cannot be read.
    pub fn peers(&self) -> Result<BTreeMap<Place, PeerStats>, TableError> {
        Ok(joined(self.ipv4.peers()?, self.ipv6.peers()?))
    }

    /// Brings [`Self::peers`] to `desired`; the counters of those that stay are kept.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_peers(&mut self, desired: &BTreeSet<Place>) -> Result<(), TableError> {
        let actual = self.peers()?;
        for &Place { ifindex, address } in actual.keys().filter(|at| !desired.contains(at)) {
            match address {
                IpAddr::V4(address) => self.ipv4.remove_peer(ifindex, address.octets())?,
                IpAddr::V6(address) => self.ipv6.remove_peer(ifindex, address.octets())?,
            }
        }
        for &Place { ifindex, address } in desired.iter().filter(|at| !actual.contains_key(at)) {
            match address {
                IpAddr::V4(address) => self.ipv4.add_peer(ifindex, address.octets())?,
                IpAddr::V6(address) => self.ipv6.add_peer(ifindex, address.octets())?,
            }
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

fn joined<V>(mut some: BTreeMap<Place, V>, mut others: BTreeMap<Place, V>) -> BTreeMap<Place, V> {
    some.append(&mut others);
    some
}
