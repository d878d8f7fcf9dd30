//! The end of replaced runtimes. Dropping a table of 10,000 hosts takes
//! milliseconds, which must not fall on the request that happens to hold it
//! last: a thread of its own keeps each one until nobody else does.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::{Runtime, Table};

/// Between two looks at who still holds what. Requests hold a table only
/// while they look up their route.
const LOOK: Duration = Duration::from_millis(100);

/// Where replaced runtimes go.
pub struct Retirement {
    retired: Sender<Retired>,
}

/// A replaced runtime, and those of its tables that went with it: listeners
/// hold tables by themselves.
struct Retired {
    runtime: Arc<Runtime>,
    tables: Vec<Arc<Table>>,
}

impl Retirement {
    /// Starts the thread; it ends when this is dropped, and drops what is left.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start() -> std::io::Result<Self> {
        let (retired, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("retirement".to_owned())
            .spawn(move || run(&receiver))?;
        Ok(Self { retired })
    }

    /// Takes a runtime that `current` replaced.
    pub fn retire(&self, runtime: Arc<Runtime>, current: &Runtime) {
        let replaced = |name: &Arc<str>, table: &Arc<Table>| {
            !current
                .tables
                .get(name)
                .is_some_and(|current| Arc::ptr_eq(current, table))
        };
        let tables = runtime
            .tables
            .iter()
            .filter(|(name, table)| replaced(name, table));
        let tables = tables.map(|(_, table)| table.clone()).collect();
        // Without the thread it is dropped here, by the control thread.
        let _ = self.retired.send(Retired { runtime, tables });
    }
}

impl Retired {
    /// Drops what nobody else holds; whether that was all.
    fn drop_unused(&mut self) -> bool {
        if Arc::strong_count(&self.runtime) > 1 {
            return false;
        }
        // The runtime itself holds each table once more.
        self.tables.retain(|table| Arc::strong_count(table) > 2);
        self.tables.is_empty()
    }
}

fn run(receiver: &Receiver<Retired>) {
    let mut waiting: Vec<Retired> = Vec::new();
    loop {
        let next = match waiting.is_empty() {
            true => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => receiver.recv_timeout(LOOK),
        };
        match next {
            Ok(retired) => waiting.push(retired),
            Err(RecvTimeoutError::Timeout) => waiting.retain_mut(|retired| !retired.drop_unused()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Instant;

    use super::*;

    fn eventually(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_is_replaced_lives_until_nobody_holds_it() {
        let retirement = Retirement::start().unwrap();
        let (kept, replaced) = (Arc::<Table>::default(), Arc::<Table>::default());
        let runtime = |tables: &[(&str, &Arc<Table>)]| {
            let tables = tables
                .iter()
                .map(|(name, table)| (Arc::from(*name), Arc::clone(table)));
            Runtime {
                tables: tables.collect::<HashMap<_, _>>(),
                ..Runtime::default()
            }
        };
        let old = Arc::new(runtime(&[("kept", &kept), ("replaced", &replaced)]));
        let current = runtime(&[("kept", &kept), ("replaced", &Arc::default())]);
        let (gone, table_gone) = (Arc::downgrade(&old), Arc::downgrade(&replaced));

        retirement.retire(old, &current);
        thread::sleep(3 * LOOK);
        assert!(
            gone.upgrade().is_some(),
            "a listener still holds one of its tables"
        );
        drop(replaced);
        eventually(|| gone.upgrade().is_none() && table_gone.upgrade().is_none());
        assert_eq!(Arc::strong_count(&kept), 2);
    }
}
