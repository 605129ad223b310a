//! The maps that are keyed by address, of one family.

use std::{collections::BTreeMap, net::IpAddr};

use aya::{
    Pod,
    maps::{HashMap, Map, MapData, MapError},
};
use lb_common::maps::{PeerStats, Role, SELF_TEST_IFINDEX, SELF_TEST_MAC, VipEntry, VipKey, VipStats};

use super::{TableError, failed, is_errno, removed};
use crate::model::Place;

/// The maps' names.
pub struct Names {
    /// Of VIPs.
    pub vips: &'static str,
    /// Of the VIPs' counters.
    pub stats: &'static str,
    /// Of peers.
    pub peers: &'static str,
}

/// The maps of IPv4.
pub const IPV4: Names = Names { vips: "LB_VIPS_V4", stats: "LB_STATS_V4", peers: "LB_PEERS_V4" };
/// The maps of IPv6.
pub const IPV6: Names = Names { vips: "LB_VIPS_V6", stats: "LB_STATS_V6", peers: "LB_PEERS_V6" };

/// The tables by address. `A` is `[u8; 4]` or `[u8; 16]`, in wire order.
pub struct Addresses<A>
where
    VipKey<A>: Pod,
{
    names: Names,
    vips: HashMap<MapData, VipKey<A>, VipEntry>,
    stats: HashMap<MapData, VipKey<A>, VipStats>,
    peers: HashMap<MapData, VipKey<A>, PeerStats>,
}

/// Name, and bytes of key and value, of each map.
pub const fn layouts<A>(names: &Names) -> [(&'static str, usize, usize); 3] {
    let key = size_of::<VipKey<A>>();
    [
        (names.vips, key, size_of::<VipEntry>()),
        (names.stats, key, size_of::<VipStats>()),
        (names.peers, key, size_of::<PeerStats>()),
    ]
}

impl<A: Copy + Default + Into<IpAddr>> Addresses<A>
where
    VipKey<A>: Pod,
{
    /// Takes the maps.
    ///
    /// # Errors
    /// When one is not there, or of other sizes.
    pub fn new(
        names: Names,
        mut map: impl FnMut(&'static str) -> Result<Map, MapError>,
        explain: impl Fn(&'static str, MapError) -> TableError,
    ) -> Result<Self, TableError> {
        let mut take = |name| map(name).map_err(|source| explain(name, source));
        let [vips, stats, peers] = [take(names.vips)?, take(names.stats)?, take(names.peers)?];
        Ok(Self {
            vips: vips.try_into().map_err(|source| explain(names.vips, source))?,
            stats: stats.try_into().map_err(|source| explain(names.stats, source))?,
            peers: peers.try_into().map_err(|source| explain(names.peers, source))?,
            names,
        })
    }

    /// The entries of VIPs; that of the self-test is left out.
    pub fn vips(&self) -> Result<BTreeMap<Place, VipEntry>, TableError> {
        let is_self_test = |place: &Place| place.ifindex == SELF_TEST_IFINDEX;
        let mut vips = read(&self.vips, self.names.vips)?;
        vips.retain(|place, _| !is_self_test(place));
        Ok(vips)
    }

    /// One VIP's entry, and its counters.
    pub fn vip(&self, ifindex: u32, address: A) -> Result<Option<(VipEntry, VipStats)>, TableError> {
        let key = VipKey { ifindex, address };
        let found = |result: Result<VipEntry, MapError>| match result {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error),
        };
        let entry = found(self.vips.get(&key, 0)).map_err(failed("read a VIP of", self.names.vips))?;
        let stats = match self.stats.get(&key, 0) {
            Err(MapError::KeyNotFound) => VipStats::default(),
            stats => stats.map_err(failed("read a VIP of", self.names.stats))?,
        };
        Ok(entry.map(|entry| (entry, stats)))
    }

    /// Counters by VIP.
    pub fn stats(&self) -> Result<BTreeMap<Place, VipStats>, TableError> {
        read(&self.stats, self.names.stats)
    }

    /// Peers, with what they have been answered.
    pub fn peers(&self) -> Result<BTreeMap<Place, PeerStats>, TableError> {
        read(&self.peers, self.names.peers)
    }

    /// Writes a VIP, its counters before it; those that are there stay.
    pub fn set_vip(&mut self, ifindex: u32, address: A, entry: VipEntry) -> Result<(), TableError> {
        const ONLY_IF_ABSENT: u64 = 1; // BPF_NOEXIST
        let key = VipKey { ifindex, address };
        match self.stats.insert(key, VipStats::default(), ONLY_IF_ABSENT) {
            Err(error) if !is_errno(&error, libc::EEXIST) => {
                return Err(failed("add a VIP to", self.names.stats)(error));
            }
            _ => {}
        }
        self.vips.insert(key, entry, 0).map_err(failed("write a VIP to", self.names.vips))
    }

    /// Removes a VIP, its counters after it.
    pub fn remove_vip(&mut self, ifindex: u32, address: A) -> Result<(), TableError> {
        let key = VipKey { ifindex, address };
        removed(self.vips.remove(&key)).map_err(failed("remove a VIP from", self.names.vips))?;
        removed(self.stats.remove(&key)).map_err(failed("remove a VIP from", self.names.stats))
    }

    /// Makes the reserved entry that the self-test asks for, without counters.
    pub fn add_self_test(&mut self) -> Result<(), TableError> {
        let key = VipKey { ifindex: SELF_TEST_IFINDEX, address: A::default() };
        let entry = VipEntry::new(Role::SelfTest, SELF_TEST_MAC);
        self.vips.insert(key, entry, 0).map_err(failed("write the self-test entry to", self.names.vips))
    }

    /// Makes a peer known, with fresh counters.
    pub fn add_peer(&mut self, ifindex: u32, address: A) -> Result<(), TableError> {
        let key = VipKey { ifindex, address };
        self.peers.insert(key, PeerStats::default(), 0).map_err(failed("write a peer to", self.names.peers))
    }

    /// Forgets a peer.
    pub fn remove_peer(&mut self, ifindex: u32, address: A) -> Result<(), TableError> {
        let key = VipKey { ifindex, address };
        removed(self.peers.remove(&key)).map_err(failed("remove a peer from", self.names.peers))
    }
}

fn read<A: Copy + Into<IpAddr>, V: Pod>(
    map: &HashMap<MapData, VipKey<A>, V>,
    name: &'static str,
) -> Result<BTreeMap<Place, V>, TableError>
where
    VipKey<A>: Pod,
{
    let place = |key: VipKey<A>| Place { ifindex: key.ifindex, address: key.address.into() };
    map.iter()
        .map(|item| item.map(|(key, value)| (place(key), value)))
        .collect::<Result<_, _>>()
        .map_err(failed("read", name))
}
