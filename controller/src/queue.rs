//! What is to be written to the API server: one entry for each object, the latest
//! wins, and no two writes of one object are under way together.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::objects::{Kind, NamespacedName};

/// The object that is written to.
pub(crate) type Target = (Kind, NamespacedName);

/// What is to be written: one entry for each object.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    /// Something to do.
    wake: Notify,
    /// Something done.
    done: Notify,
}

struct Inner<T> {
    waiting: BTreeMap<Target, T>,
    in_flight: BTreeSet<Target>,
    /// Writes that met another version of the object than they were made for.
    stale: BTreeSet<Target>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                waiting: BTreeMap::new(),
                in_flight: BTreeSet::new(),
                stale: BTreeSet::new(),
            }),
            wake: Notify::new(),
            done: Notify::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Asks for a write; replaces what was asked for that object before.
    pub(crate) fn put(&self, target: Target, work: T) {
        self.inner.lock().waiting.insert(target, work);
        self.wake.notify_one();
    }

    /// Nothing needs to be written for that object any more.
    pub(crate) fn forget(&self, target: &Target) {
        self.inner.lock().waiting.remove(target);
    }

    /// Forgets what waits for objects that are not to be kept.
    pub(crate) fn retain(&self, keep: impl Fn(&Target) -> bool) {
        self.inner.lock().waiting.retain(|target, _| keep(target));
    }

    /// Takes the objects whose patch was for another version.
    pub(crate) fn take_stale(&self) -> BTreeSet<Target> {
        std::mem::take(&mut self.inner.lock().stale)
    }

    /// Somebody must look at the object again.
    pub(crate) fn mark_stale(&self, target: Target) {
        self.inner.lock().stale.insert(target);
    }

    /// Forgets what waits; writes under way go on.
    pub(crate) fn clear(&self) {
        self.inner.lock().waiting.clear();
        self.done.notify_waiters();
    }

    /// Ends when nothing waits and nothing is under way.
    pub(crate) async fn drained(&self) {
        loop {
            let done = self.done.notified();
            if self.is_empty() {
                return;
            }
            done.await;
        }
    }

    fn is_empty(&self) -> bool {
        let inner = self.inner.lock();
        inner.waiting.is_empty() && inner.in_flight.is_empty()
    }

    /// The next entry; two writes of one object are never under way together.
    pub(crate) async fn next(&self) -> (Target, T) {
        loop {
            let wake = self.wake.notified();
            if let Some(next) = self.try_next() {
                // Pass the word on: a notification wakes one writer only.
                self.wake.notify_one();
                return next;
            }
            wake.await;
        }
    }

    fn try_next(&self) -> Option<(Target, T)> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let name = inner
            .waiting
            .keys()
            .find(|name| !inner.in_flight.contains(*name))?
            .clone();
        let work = inner.waiting.remove(&name)?;
        inner.in_flight.insert(name.clone());
        Some((name, work))
    }

    /// What waits, for tests.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<String> {
        self.inner
            .lock()
            .waiting
            .keys()
            .map(|(_, name)| name.to_string())
            .collect()
    }

    /// The end of a write; one that failed goes back unless a newer one waits.
    pub(crate) fn finish(&self, name: Target, again: Option<T>) {
        let mut inner = self.inner.lock();
        inner.in_flight.remove(&name);
        if let Some(work) = again {
            inner.waiting.entry(name).or_insert(work);
        }
        drop(inner);
        self.wake.notify_one();
        self.done.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Target {
        (Kind::Ingress, NamespacedName::new("ns", name))
    }

    #[test]
    fn the_latest_wins() {
        let queue = Queue::<u8>::default();
        queue.put(name("a"), 1);
        queue.put(name("a"), 2);
        assert_eq!(queue.try_next(), Some((name("a"), 2)));
        assert_eq!(queue.try_next(), None);
    }

    #[test]
    fn one_object_is_written_once_at_a_time() {
        let queue = Queue::<u8>::default();
        queue.put(name("a"), 1);
        queue.try_next().unwrap();
        queue.put(name("a"), 2);
        assert_eq!(queue.try_next(), None);
        queue.finish(name("a"), None);
        assert_eq!(queue.try_next(), Some((name("a"), 2)));
    }

    #[test]
    fn a_failed_write_returns_unless_a_newer_one_waits() {
        let queue = Queue::<u8>::default();
        queue.put(name("a"), 1);
        let (first, old) = queue.try_next().unwrap();
        queue.put(name("a"), 2);
        queue.finish(first, Some(old));
        assert_eq!(queue.try_next(), Some((name("a"), 2)));
        queue.finish(name("a"), Some(2));
        assert_eq!(queue.try_next(), Some((name("a"), 2)));
        queue.finish(name("a"), None);
        assert!(queue.is_empty());
    }
}
