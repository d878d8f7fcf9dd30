//! An ordered map whose copies share what is equal.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Index;
use std::slice;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The most entries of a chunk; one that grows beyond is split in two.
const LARGEST: usize = 64;

/// Neighbours, in the order of their keys.
type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A map from sorted keys, for what every snapshot has a copy of: a copy of ten
/// thousand entries takes about two hundred counts of references, and a change
/// of one entry a copy of its chunk. Looking a key up takes two binary searches.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// In order; none is empty.
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk(key))?;
        let at = position(chunk, key).ok()?;
        Some(&chunk[at].1)
    }

    /// Whether the key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            chunk: [].iter(),
            chunks: self.chunks.iter(),
        }
    }

    /// All keys in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The chunk that a key belongs to: the last that does not begin behind it.
    fn chunk<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins_behind = |chunk: &Chunk<K, V>| chunk[0].0.borrow() > key;
        let after = self.chunks.partition_point(|chunk| !begins_behind(chunk));
        after.saturating_sub(1)
    }
}

impl<K: Ord + Clone, V: Eq> SharedMap<K, V> {
    /// The keys that only one of the maps has, or that have unequal values, in
    /// their order. What both share is passed over unseen.
    pub fn differing(&self, other: &Self) -> Vec<K> {
        let mut keys = Vec::new();
        let (mut own, mut theirs) = (Cursor::new(self), Cursor::new(other));
        loop {
            if own.shares_chunk(&theirs) {
                own.skip_chunk();
                theirs.skip_chunk();
                continue;
            }
            let order = match (own.entry(), theirs.entry()) {
                (Some((own, _)), Some((theirs, _))) => own.cmp(theirs),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return keys,
            };
            let mine = own.entry().filter(|_| order.is_le());
            let other = theirs.entry().filter(|_| order.is_ge());
            match (mine, other) {
                (Some((_, value)), Some((_, other))) if value == other => {}
                (Some((key, _)), _) | (None, Some((key, _))) => keys.push(key.clone()),
                (None, None) => {}
            }
            if order.is_le() {
                own.advance();
            }
            if order.is_ge() {
                theirs.advance();
            }
        }
    }
}

/// See [`SharedMap::iter`].
pub struct Iter<'a, K, V> {
    chunk: slice::Iter<'a, (K, V)>,
    chunks: slice::Iter<'a, Chunk<K, V>>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.chunk.next() {
                return Some((key, value));
            }
            self.chunk = self.chunks.next()?.iter();
        }
    }
}

/// A place in a map.
struct Cursor<'a, K, V> {
    /// The chunk that it is in, and those behind.
    chunks: &'a [Chunk<K, V>],
    at: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(map: &'a SharedMap<K, V>) -> Self {
        Self {
            chunks: &map.chunks,
            at: 0,
        }
    }

    fn entry(&self) -> Option<&'a (K, V)> {
        self.chunks.first()?.get(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.chunks.first().is_some_and(|chunk| chunk.len() == self.at) {
            self.skip_chunk();
        }
    }

    fn skip_chunk(&mut self) {
        self.chunks = &self.chunks[1..];
        self.at = 0;
    }

    /// Whether both are at the start of the very same chunk.
    fn shares_chunk(&self, other: &Self) -> bool {
        match (self.chunks.first(), other.chunks.first()) {
            (Some(own), Some(theirs)) => self.at == 0 && other.at == 0 && Arc::ptr_eq(own, theirs),
            _ => false,
        }
    }
}

fn position<K: Borrow<Q>, V, Q: Ord + ?Sized>(chunk: &[(K, V)], key: &Q) -> Result<usize, usize> {
    chunk.binary_search_by(|(other, _)| other.borrow().cmp(key))
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Sets the value of a key. The one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let number = self.chunk(&key);
        let Some(chunk) = self.chunks.get_mut(number) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match position(chunk, &key) {
            Ok(at) => return Some(std::mem::replace(&mut chunk[at].1, value)),
            Err(at) => chunk.insert(at, (key, value)),
        }
        self.len += 1;
        if chunk.len() > LARGEST {
            let upper = chunk.split_off(LARGEST / 2);
            // It has room for as many again.
            chunk.shrink_to_fit();
            self.chunks.insert(number + 1, Arc::new(upper));
        }
        None
    }

    /// Removes a key. Its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let number = self.chunk(key);
        let chunk = self.chunks.get_mut(number)?;
        let at = position(chunk, key).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(at);
        self.len -= 1;
        if self.chunks[number].is_empty() {
            self.chunks.remove(number);
        } else {
            self.join(number);
            self.join(number.saturating_sub(1));
        }
        Some(value)
    }

    /// Joins a small chunk with the next: many removals must not leave many chunks.
    fn join(&mut self, number: usize) {
        let small = |chunk: Option<&Chunk<K, V>>| chunk.map_or(LARGEST, |chunk| chunk.len());
        if small(self.chunks.get(number)) + small(self.chunks.get(number + 1)) <= LARGEST / 2 {
            let next = self.chunks.remove(number + 1);
            Arc::make_mut(&mut self.chunks[number]).extend(next.iter().cloned());
        }
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a SharedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord + Clone, V: Clone, const N: usize> From<[(K, V); N]> for SharedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the caller knows that the key is there")
    }
}

/// Copies of one map are compared by their chunks.
impl<K: Ord, V: Eq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        if self.len != other.len {
            return false;
        }
        let (mut own, mut theirs) = (&*self.chunks, &*other.chunks);
        while let ([first, rest @ ..], [other, others @ ..]) = (own, theirs)
            && Arc::ptr_eq(first, other)
        {
            (own, theirs) = (rest, others);
        }
        while let ([rest @ .., last], [others @ .., other]) = (own, theirs)
            && Arc::ptr_eq(last, other)
        {
            (own, theirs) = (rest, others);
        }
        let own = own.iter().flat_map(|chunk| chunk.iter());
        own.eq(theirs.iter().flat_map(|chunk| chunk.iter()))
    }
}

impl<K: Ord, V: Eq> Eq for SharedMap<K, V> {}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Serialize, V: Serialize> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is what a `BTreeMap` is, after any changes, and copies stay what they were.
        #[test]
        fn it_maps_as_the_standard_one_does(
            changes in prop::collection::vec((0_u16..500, prop::option::weighted(0.6, 0_u8..4)), 0..1500),
            copied in 0_usize..1500,
        ) {
            let (mut map, mut standard) = (SharedMap::new(), BTreeMap::new());
            let mut copy = None;
            for (number, (key, value)) in changes.into_iter().enumerate() {
                if number == copied {
                    copy = Some((map.clone(), standard.clone()));
                }
                match value {
                    Some(value) => prop_assert_eq!(map.insert(key, value), standard.insert(key, value)),
                    None => prop_assert_eq!(map.remove(&key), standard.remove(&key)),
                }
                prop_assert!(map.chunks.iter().all(|chunk| (1..=LARGEST).contains(&chunk.len())));
            }
            let (map, now) = (map, standard);
            for (map, standard) in copy.iter().chain([&(map.clone(), now.clone())]) {
                prop_assert_eq!(map.len(), standard.len());
                prop_assert!(map.iter().eq(standard.iter()));
                prop_assert!((0..500).all(|key| map.get(&key) == standard.get(&key)));
                prop_assert_eq!(map, &standard.clone().into_iter().collect());
            }
            if let Some((earlier, before)) = copy {
                let changed: Vec<_> = (0..500).filter(|key| before.get(key) != now.get(key)).collect();
                prop_assert_eq!(map.differing(&earlier), changed.clone());
                prop_assert_eq!(earlier.differing(&map), changed);
            }
        }
    }

    #[test]
    fn removals_leave_no_small_chunks_behind() {
        let mut map: SharedMap<u32, u32> = (0..10_000).map(|key| (key, key)).collect();
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            map.remove(&key);
        }
        assert_eq!(map.len(), 100);
        assert!(map.chunks.len() < 20, "{} chunks", map.chunks.len());
        assert!(map.keys().eq((0..10_000).step_by(100).collect::<Vec<_>>().iter()));
    }

    #[test]
    fn copies_share_what_is_equal() {
        let map: SharedMap<u32, u32> = (0..10_000).map(|key| (key, key)).collect();
        let mut copy = map.clone();
        copy.insert(5000, 1);
        let other = map.chunks.iter().zip(&copy.chunks);
        assert_eq!(other.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
        assert_ne!(map, copy);
        copy.insert(5000, 5000);
        assert_eq!(map, copy);
    }
}
