//! Live handles by their labels: equal labels share one, whose series disappear
//! with its last holder.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// What an [`Index`] holds. Must call [`Index::forget`] when it is dropped.
pub(super) trait Handle {
    type Labels: Eq + Hash;
}

/// All handles of one kind that somebody holds.
pub(super) struct Index<H: Handle>(Mutex<HashMap<Arc<H::Labels>, Weak<H>>>);

impl<H: Handle> Default for Index<H> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<H: Handle> Index<H> {
    /// The handle with these labels; `make` makes a new one.
    pub(super) fn handle(&self, labels: H::Labels, make: impl FnOnce(Arc<H::Labels>) -> H) -> Arc<H> {
        let mut handles = self.0.lock();
        if let Some(handle) = handles.get(&labels).and_then(Weak::upgrade) {
            return handle;
        }
        let labels = Arc::new(labels);
        let handle = Arc::new(make(labels.clone()));
        handles.insert(labels, Arc::downgrade(&handle));
        handle
    }

    /// Forgets a handle that was dropped, unless a new one took its place.
    pub(super) fn forget(&self, labels: &H::Labels) {
        let mut handles = self.0.lock();
        if handles
            .get(labels)
            .is_some_and(|handle| handle.strong_count() == 0)
        {
            handles.remove(labels);
        }
        // A burst of deletions gives its memory back.
        if handles.len() * 4 < handles.capacity() && handles.capacity() > 1024 {
            handles.shrink_to_fit();
        }
    }

    /// All live handles. The lock is released before the caller drops them:
    /// dropping the last one takes it again.
    pub(super) fn live(&self) -> Vec<Arc<H>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }
}
