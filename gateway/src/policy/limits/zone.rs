//! Counters by client, shared by the routes of a zone and kept across
//! snapshots.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::Bucket;

/// Clients that a zone remembers (nginx's 5 MiB hold about as many).
pub(super) const CAPACITY: usize = 1 << 16;
/// Parts with a lock of their own.
const SHARDS: usize = 16;
/// Clients that are looked at to find one to forget.
const SAMPLE: usize = 8;

/// All zones in use, by name.
static ZONES: LazyLock<Mutex<HashMap<Arc<str>, Weak<Zone>>>> = LazyLock::new(Mutex::default);

/// What tells a client apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    /// The client of this address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(u128::from_be_bytes(address.to_ipv6_mapped().octets())),
            IpAddr::V6(address) => Self(u128::from_be_bytes(address.octets())),
        }
    }
}

/// The counters of a zone.
pub(super) struct Zone {
    name: Arc<str>,
    hasher: RandomState,
    other: RandomState,
    shards: [Mutex<HashMap<Key, Client>>; SHARDS],
}

/// What is known of a client.
#[derive(Clone, Copy, Default)]
pub(super) struct Client {
    pub(super) second: Bucket,
    pub(super) minute: Bucket,
    pub(super) connections: u32,
    /// Milliseconds; its latest request.
    pub(super) last: u64,
}

impl Zone {
    /// The zone of this name: the one in use, or a new one.
    pub(super) fn of(name: &Arc<str>) -> Arc<Self> {
        let mut zones = ZONES.lock();
        if let Some(zone) = zones.get(name).and_then(Weak::upgrade) {
            return zone;
        }
        let zone = Arc::new(Self {
            name: name.clone(),
            hasher: RandomState::new(),
            other: RandomState::new(),
            shards: Default::default(),
        });
        zones.insert(name.clone(), Arc::downgrade(&zone));
        zone
    }

    /// The client of which a variable says this. What it says is kept as a hash of
    /// 128 bits under keys that nobody knows.
    pub(super) fn key(&self, value: &[u8]) -> Key {
        let both = [&self.hasher, &self.other].map(|hasher| u128::from(hasher.hash_one(value)));
        Key((both[0] << 64) | both[1])
    }

    fn shard(&self, client: Key) -> &Mutex<HashMap<Key, Client>> {
        let at = self.hasher.hash_one(client) as usize % SHARDS;
        &self.shards[at]
    }

    /// Changes what is known of a client. `None`: there is no room for one more.
    pub(super) fn update<T>(
        &self,
        client: Key,
        now: u64,
        spent: impl Fn(&Client) -> bool,
        change: impl FnOnce(&mut Client) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(client).lock();
        if shard.len() >= CAPACITY / SHARDS && !shard.contains_key(&client) {
            forget(&mut shard, now, spent)?;
        }
        Some(change(shard.entry(client).or_default()))
    }

    fn release(&self, client: Key) {
        if let Some(known) = self.shard(client).lock().get_mut(&client) {
            known.connections = known.connections.saturating_sub(1);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// Makes room: of a few clients one with nothing to remember, else the one that
/// was not seen for the longest time.
fn forget(shard: &mut HashMap<Key, Client>, now: u64, spent: impl Fn(&Client) -> bool) -> Option<()> {
    let idle = shard.iter().filter(|(_, client)| client.connections == 0);
    let (client, _) = idle.take(SAMPLE).max_by_key(|(_, client)| {
        let age = now.saturating_sub(client.last);
        (spent(client), age)
    })?;
    let client = *client;
    shard.remove(&client);
    Some(())
}

impl Drop for Zone {
    fn drop(&mut self) {
        let mut zones = ZONES.lock();
        // A zone of the same name may have been made meanwhile.
        if zones.get(&self.name).is_some_and(|zone| zone.strong_count() == 0) {
            zones.remove(&self.name);
        }
    }
}

/// A request under way: it counts until this is dropped.
pub struct Permit {
    zone: Arc<Zone>,
    client: Key,
}

impl Permit {
    pub(super) fn new(zone: Arc<Zone>, client: Key) -> Self {
        Self { zone, client }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.zone.release(self.client);
    }
}
