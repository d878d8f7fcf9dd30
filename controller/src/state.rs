//! What the controller knows about itself, for whoever answers questions about
//! it (the admin port, readiness).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tidegate_snapshot::Problem;

/// A view of a running controller; cheap to read at any time.
#[derive(Debug, Default)]
pub struct State {
    problems: ArcSwap<Vec<Problem>>,
    generation: AtomicU64,
    synced: AtomicBool,
    leader: AtomicBool,
}

impl State {
    /// Nothing known yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The problems that stand, sorted; those of the source first.
    pub fn problems(&self) -> Arc<Vec<Problem>> {
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

    pub(crate) fn set_problems(&self, problems: Arc<Vec<Problem>>) {
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
