//! Work that comes round for some clusters, all of it in one task: asleep until
//! the next is due, and for good while there is none.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::pin::pin;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cluster::Cluster;

/// The clusters that want the work. Each is held weakly and forgotten when it is
/// dropped.
#[derive(Default)]
pub(super) struct Rounds {
    newcomers: Mutex<Vec<Weak<Cluster>>>,
    arrived: Notify,
}

/// The next round of a cluster.
pub(super) struct Round {
    pub(super) due: Instant,
    pub(super) cluster: Weak<Cluster>,
    /// Rounds before it that failed, in a row.
    pub(super) failures: u32,
}

impl Rounds {
    /// Takes `cluster` in until it is dropped.
    pub(super) fn watch(&self, cluster: &Arc<Cluster>) {
        self.newcomers.lock().push(Arc::downgrade(cluster));
        self.arrived.notify_one();
    }

    /// The task; never ends. `first` says when a newcomer starts; `work` does a
    /// round and answers with the next, or `None` when the cluster is gone.
    pub(super) async fn run<W>(
        &self,
        first: impl Fn(&Cluster) -> Instant,
        work: impl Fn(Weak<Cluster>, u32) -> W,
    ) where
        W: Future<Output = Option<Round>>,
    {
        let mut rounds: BinaryHeap<Reverse<Round>> = BinaryHeap::new();
        let mut under_way = FuturesUnordered::<W>::new();
        loop {
            for cluster in std::mem::take(&mut *self.newcomers.lock()) {
                let due = cluster.upgrade().map(|cluster| first(&cluster));
                rounds.extend(due.map(|due| {
                    Reverse(Round {
                        due,
                        cluster,
                        failures: 0,
                    })
                }));
            }
            let due = rounds.peek().map(|Reverse(round)| round.due);
            let next_due = pin!(async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            });
            tokio::select! {
                () = self.arrived.notified() => {}
                Some(next) = under_way.next(), if !under_way.is_empty() => rounds.extend(next.map(Reverse)),
                () = next_due => {
                    if let Some(Reverse(Round { cluster, failures, .. })) = rounds.pop() {
                        under_way.push(work(cluster, failures));
                    }
                }
            }
        }
    }
}

impl PartialEq for Round {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Round {}

impl PartialOrd for Round {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Round {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}
