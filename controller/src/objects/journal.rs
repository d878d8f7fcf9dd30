//! Which objects have changed lately, so that a reader need not look at all of
//! them to find the few.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Kind, NamespacedName};

/// How many changes are remembered. A reader that is further behind looks at
/// everything, which is what it would have to do anyway.
const LENGTH: usize = 1024;

/// The latest changes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Tells the stores of one process apart.
    store: Arc<()>,
    entries: VecDeque<(Kind, NamespacedName)>,
    /// How many there were before these.
    dropped: u64,
}

/// How far a reader has read. The default has read nothing.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    store: Option<Arc<()>>,
    read: u64,
}

impl Journal {
    pub(super) fn push(&mut self, kind: Kind, name: NamespacedName) {
        if self.entries.len() == LENGTH {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back((kind, name));
    }

    pub(super) fn end(&self) -> Cursor {
        Cursor {
            store: Some(self.store.clone()),
            read: self.dropped + self.entries.len() as u64,
        }
    }

    pub(super) fn since(&self, cursor: &Cursor) -> Option<impl Iterator<Item = (Kind, &NamespacedName)>> {
        let same_store = cursor
            .store
            .as_ref()
            .is_some_and(|store| Arc::ptr_eq(store, &self.store));
        let known = cursor.read.checked_sub(self.dropped).filter(|_| same_store)?;
        let known = usize::try_from(known).ok()?;
        let new = self.entries.range(known.min(self.entries.len())..);
        Some(new.map(|(kind, name)| (*kind, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> NamespacedName {
        NamespacedName::new("a", &number.to_string())
    }

    fn since(journal: &Journal, cursor: &Cursor) -> Option<Vec<NamespacedName>> {
        Some(journal.since(cursor)?.map(|(_, name)| name.clone()).collect())
    }

    #[test]
    fn a_reader_sees_what_came_since() {
        let mut journal = Journal::default();
        assert_eq!(since(&journal, &Cursor::default()), None);
        journal.push(Kind::Pod, name(0));
        let cursor = journal.end();
        assert_eq!(since(&journal, &cursor), Some(Vec::new()));
        journal.push(Kind::Pod, name(1));
        assert_eq!(since(&journal, &cursor), Some(vec![name(1)]));
        assert_eq!(since(&Journal::default(), &cursor), None, "another store");
    }

    #[test]
    fn one_too_far_behind_sees_nothing() {
        let mut journal = Journal::default();
        let cursor = journal.end();
        for number in 0..LENGTH {
            journal.push(Kind::Pod, name(number));
        }
        assert_eq!(since(&journal, &cursor).map(|names| names.len()), Some(LENGTH));
        journal.push(Kind::Pod, name(LENGTH));
        assert_eq!(since(&journal, &cursor), None);
    }
}
