//! Writes statuses: a queue with one entry for each Ingress (the latest wins),
//! and a few writers that empty it while this replica leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::metrics::Metrics;
use crate::objects::NamespacedName;

/// Writes at the same time.
const WRITERS: usize = 16;
/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For one write; the API server's own limit is a minute.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

type Addresses = Arc<[IngressLoadBalancerIngress]>;

/// What is to be written: one entry for each Ingress.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// Something to do.
    wake: Notify,
    /// Something done.
    done: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: BTreeMap<NamespacedName, Addresses>,
    in_flight: BTreeSet<NamespacedName>,
}

impl Queue {
    /// Asks for a write; replaces what was asked for that Ingress before.
    pub(crate) fn put(&self, name: NamespacedName, addresses: Addresses) {
        self.inner.lock().waiting.insert(name, addresses);
        self.wake.notify_one();
    }

    /// Nothing needs to be written for that Ingress any more.
    pub(crate) fn forget(&self, name: &NamespacedName) {
        self.inner.lock().waiting.remove(name);
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

    /// The next entry; two writes of one Ingress are never under way together.
    async fn next(&self) -> (NamespacedName, Addresses) {
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

    fn try_next(&self) -> Option<(NamespacedName, Addresses)> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let name = inner
            .waiting
            .keys()
            .find(|name| !inner.in_flight.contains(*name))?
            .clone();
        let addresses = inner.waiting.remove(&name)?;
        inner.in_flight.insert(name.clone());
        Some((name, addresses))
    }

    /// What waits, for tests.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<String> {
        self.inner
            .lock()
            .waiting
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    /// The end of a write; one that failed goes back unless a newer one waits.
    fn finish(&self, name: NamespacedName, again: Option<Addresses>) {
        let mut inner = self.inner.lock();
        inner.in_flight.remove(&name);
        if let Some(addresses) = again {
            inner.waiting.entry(name).or_insert(addresses);
        }
        drop(inner);
        self.wake.notify_one();
        self.done.notify_waiters();
    }
}

/// Empties the queue for ever.
pub(crate) async fn run(client: Client, queue: Arc<Queue>, leader: watch::Receiver<bool>, metrics: Metrics) {
    join_all((0..WRITERS).map(|_| write_all(&client, &queue, leader.clone(), &metrics))).await;
}

async fn write_all(client: &Client, queue: &Queue, leader: watch::Receiver<bool>, metrics: &Metrics) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (name, addresses) = queue.next().await;
        if !*leader.borrow() {
            // Gaining leadership reviews everything anew.
            queue.finish(name, None);
            continue;
        }
        let outcome = match tokio::time::timeout(WRITE_TIMEOUT, write(client, &name, &addresses)).await {
            Ok(result) => Outcome::of(result),
            Err(_) => Outcome::Retry("timed out".to_owned()),
        };
        metrics.status_writes.with_label_values(&[outcome.label()]).inc();
        match outcome {
            Outcome::Retry(error) => {
                warn!(ingress = %name, %error, retry_in = ?pause, "status not written");
                tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                queue.finish(name, Some(addresses));
                continue;
            }
            Outcome::Failed(error) => warn!(ingress = %name, %error, "status refused"),
            Outcome::Written => debug!(ingress = %name, "status written"),
            Outcome::Gone => debug!(ingress = %name, "ingress is gone, status dropped"),
        }
        pause = FIRST_PAUSE;
        queue.finish(name, None);
    }
}

/// How a write ended.
enum Outcome {
    Written,
    /// The Ingress does not exist any more.
    Gone,
    /// The same again would fail again.
    Failed(String),
    /// Worth another try.
    Retry(String),
}

impl Outcome {
    fn of(result: kube::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Written,
            Err(kube::Error::Api(status)) => match status.code {
                404 => Self::Gone,
                409 | 429 | 500.. => Self::Retry(status.message),
                _ => Self::Failed(status.message),
            },
            Err(error) => Self::Retry(error.to_string()),
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
            Self::Retry(_) => "retried",
        }
    }
}

async fn write(client: &Client, name: &NamespacedName, addresses: &Addresses) -> kube::Result<()> {
    let api: Api<Ingress> = Api::namespaced(client.clone(), &name.namespace);
    let patch = Patch::Merge(patch(addresses));
    api.patch_status(&name.name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Touches nothing but the addresses; null removes them.
fn patch(addresses: &[IngressLoadBalancerIngress]) -> Value {
    let addresses = if addresses.is_empty() {
        Value::Null
    } else {
        json!(addresses)
    };
    json!({ "status": { "loadBalancer": { "ingress": addresses } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str) -> Addresses {
        Arc::from([IngressLoadBalancerIngress {
            ip: Some(ip.to_owned()),
            ..IngressLoadBalancerIngress::default()
        }])
    }

    fn name(name: &str) -> NamespacedName {
        NamespacedName::new("ns", name)
    }

    #[test]
    fn the_latest_wins() {
        let queue = Queue::default();
        queue.put(name("a"), address("1.1.1.1"));
        queue.put(name("a"), address("2.2.2.2"));
        assert_eq!(queue.try_next(), Some((name("a"), address("2.2.2.2"))));
        assert_eq!(queue.try_next(), None);
    }

    #[test]
    fn one_ingress_is_written_once_at_a_time() {
        let queue = Queue::default();
        queue.put(name("a"), address("1.1.1.1"));
        queue.try_next().unwrap();
        queue.put(name("a"), address("2.2.2.2"));
        assert_eq!(queue.try_next(), None);
        queue.finish(name("a"), None);
        assert_eq!(queue.try_next(), Some((name("a"), address("2.2.2.2"))));
    }

    #[test]
    fn a_failed_write_returns_unless_a_newer_one_waits() {
        let queue = Queue::default();
        queue.put(name("a"), address("1.1.1.1"));
        let (first, old) = queue.try_next().unwrap();
        queue.put(name("a"), address("2.2.2.2"));
        queue.finish(first, Some(old));
        assert_eq!(queue.try_next(), Some((name("a"), address("2.2.2.2"))));
        queue.finish(name("a"), Some(address("2.2.2.2")));
        assert_eq!(queue.try_next(), Some((name("a"), address("2.2.2.2"))));
        queue.finish(name("a"), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_patch_holds_addresses_and_nothing_else() {
        assert_eq!(
            patch(&address("1.1.1.1")),
            json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}})
        );
        assert_eq!(patch(&[]), json!({"status": {"loadBalancer": {"ingress": null}}}));
    }
}
