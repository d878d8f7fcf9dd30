//! What the controller knows about itself, for whoever answers questions about
//! it (the admin port, readiness).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tidegate_snapshot::Problem;

use crate::admission::Reviews;
use crate::objects::NamespacedName;
use crate::translate::Judge;

/// A view of a running controller; cheap to read at any time.
#[derive(Debug, Default)]
pub struct State {
    problems: ArcSwap<Vec<Arc<Problem>>>,
    generation: AtomicU64,
    synced: AtomicBool,
    leader: AtomicBool,
    judge: ArcSwapOption<Judge>,
    /// The namespaces whose objects count; `None`: all.
    watched: ArcSwapOption<BTreeSet<String>>,
    reviews: Mutex<Reviews>,
}

impl State {
    /// Nothing known yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The problems that stand, sorted; those of the source first.
    pub fn problems(&self) -> Arc<Vec<Arc<Problem>>> {
        self.problems.load_full()
    }

    /// The generation published last; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether every object needed has been seen once.
    pub fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Whether this replica writes statuses.
    pub fn leader(&self) -> bool {
        self.leader.load(Ordering::Acquire)
    }

    /// What the admission webhook has judged.
    pub fn reviews(&self) -> Reviews {
        self.reviews.lock().clone()
    }

    pub(crate) fn reviewed(&self, ingress: NamespacedName, allowed: bool, took: Duration) {
        self.reviews.lock().add(ingress, allowed, took);
    }

    /// Who judges for the admission webhook; `None` before everything is in sync.
    pub(crate) fn judge(&self) -> Option<Arc<Judge>> {
        self.judge.load_full()
    }

    pub(crate) fn set_judge(&self, judge: Judge) {
        self.judge.store(Some(Arc::new(judge)));
    }

    /// Whether objects of that namespace count.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        let watched = self.watched.load();
        watched.as_ref().is_none_or(|watched| watched.contains(namespace))
    }

    pub(crate) fn set_watched(&self, namespaces: BTreeSet<String>) {
        self.watched.store(Some(Arc::new(namespaces)));
    }

    pub(crate) fn set_problems(&self, problems: Arc<Vec<Arc<Problem>>>) {
        self.problems.store(problems);
    }

    pub(crate) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    pub(crate) fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    pub(crate) fn set_leader(&self, leader: bool) {
        self.leader.store(leader, Ordering::Release);
    }
}
