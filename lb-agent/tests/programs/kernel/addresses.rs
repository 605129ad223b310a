//! The maps that are keyed by address, of one family.

use aya::{
    Pod,
    maps::{HashMap, Map, MapData},
};
use lb_common::maps::{PeerStats, VipEntry, VipKey, VipStats};

pub struct Addresses<A>
where
    VipKey<A>: Pod,
{
    vips: HashMap<MapData, VipKey<A>, VipEntry>,
    stats: HashMap<MapData, VipKey<A>, VipStats>,
    peers: HashMap<MapData, VipKey<A>, PeerStats>,
}

fn key<A>((ifindex, address): (u32, A)) -> VipKey<A> {
    VipKey { ifindex, address }
}

fn clear<K: Pod, V: Pod>(map: &mut HashMap<MapData, K, V>) {
    for key in map.keys().collect::<Result<Vec<K>, _>>().expect("list keys") {
        map.remove(&key).expect("remove an entry");
    }
}

impl<A> Addresses<A>
where
    VipKey<A>: Pod,
{
    pub fn new([vips, stats, peers]: [Map; 3]) -> Self {
        Self {
            vips: vips.try_into().expect("a hash of VIPs"),
            stats: stats.try_into().expect("a hash of counters"),
            peers: peers.try_into().expect("a hash of peers"),
        }
    }

    pub fn clear(&mut self) {
        clear(&mut self.vips);
        clear(&mut self.stats);
        clear(&mut self.peers);
    }

    pub fn add_vip(&mut self, vip: (u32, A), entry: VipEntry)
    where
        A: Copy,
    {
        self.set_stats(vip, VipStats::default());
        self.vips.insert(key(vip), entry, 0).expect("add a VIP");
    }

    pub fn add_peer(&mut self, peer: (u32, A)) {
        self.peers.insert(key(peer), PeerStats::default(), 0).expect("add a peer");
    }

    pub fn set_stats(&mut self, vip: (u32, A), stats: VipStats) {
        self.stats.insert(key(vip), stats, 0).expect("write counters");
    }

    pub fn stats(&self, vip: (u32, A)) -> VipStats {
        self.stats.get(&key(vip), 0).unwrap_or_default()
    }

    /// The counters of the known peer, if there is one.
    pub fn peer(&self) -> Option<PeerStats> {
        self.peers.iter().next().map(|item| item.expect("read a peer").1)
    }
}
