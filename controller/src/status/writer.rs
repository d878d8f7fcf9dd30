//! Writes statuses: a few writers empty a queue while this replica leads.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use kube::Client;
use kube::api::{ApiResource, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::metrics::Metrics;
use crate::objects::Kind;
use crate::provider::kubernetes::{Served, raw};
pub(crate) use crate::queue::Target;

/// Writes at the same time.
const WRITERS: usize = 16;
/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For one write; the API server's own limit is a minute.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two writes of one object that counts others: each route that attaches
/// changes the status of its Gateway.
const COUNTING_PAUSE: Duration = Duration::from_millis(500);

/// A merge patch.
pub(crate) type Body = Arc<Value>;

/// The statuses that are to be written.
pub(crate) type Queue = crate::queue::Queue<Body>;

/// Empties the queue for ever.
pub(crate) async fn run(
    client: Client,
    served: Served,
    queue: Arc<Queue>,
    leader: watch::Receiver<bool>,
    metrics: Metrics,
) {
    join_all((0..WRITERS).map(|_| write_all(&client, &served, &queue, leader.clone(), &metrics))).await;
}

async fn write_all(
    client: &Client,
    served: &Served,
    queue: &Arc<Queue>,
    leader: watch::Receiver<bool>,
    metrics: &Metrics,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (target, body) = queue.next().await;
        if !*leader.borrow() {
            // Gaining leadership reviews everything anew.
            queue.finish(target, None);
            continue;
        }
        let (kind, name) = &target;
        let outcome = match tokio::time::timeout(WRITE_TIMEOUT, write(client, served, &target, &body)).await {
            Ok(result) => Outcome::of(result, *kind),
            Err(_) => Outcome::Retry("timed out".to_owned()),
        };
        metrics.status_writes.with_label_values(&[outcome.label()]).inc();
        match outcome {
            Outcome::Retry(error) => {
                warn!(%kind, object = %name, %error, retry_in = ?pause, "status not written");
                tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                queue.finish(target, Some(body));
                continue;
            }
            Outcome::Failed(error) => warn!(%kind, object = %name, %error, "status refused"),
            Outcome::Written => debug!(%kind, object = %name, "status written"),
            Outcome::Gone => debug!(%kind, object = %name, "object is gone, status dropped"),
            Outcome::Stale => {
                debug!(%kind, object = %name, "object has changed meanwhile");
                queue.mark_stale(target.clone());
            }
        }
        pause = FIRST_PAUSE;
        if matches!(kind, Kind::Gateway | Kind::ListenerSet) {
            finish_later(queue.clone(), target);
        } else {
            queue.finish(target, None);
        }
    }
}

fn finish_later(queue: Arc<Queue>, target: Target) {
    tokio::spawn(async move {
        tokio::time::sleep(COUNTING_PAUSE).await;
        queue.finish(target, None);
    });
}

/// How a write ended.
enum Outcome {
    Written,
    /// The object does not exist any more.
    Gone,
    /// The patch was made for another version of the object.
    Stale,
    /// The same again would fail again.
    Failed(String),
    /// Worth another try.
    Retry(String),
}

impl Outcome {
    fn of(result: kube::Result<()>, kind: Kind) -> Self {
        match result {
            Ok(()) => Self::Written,
            Err(kube::Error::Api(status)) => match status.code {
                404 => Self::Gone,
                409 if kind != Kind::Ingress => Self::Stale,
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
            Self::Stale => "stale",
            Self::Failed(_) => "failed",
            Self::Retry(_) => "retried",
        }
    }
}

async fn write(client: &Client, served: &Served, (kind, name): &Target, body: &Value) -> kube::Result<()> {
    let patch = Patch::Merge(body);
    let params = PatchParams::default();
    let resource = match kind {
        Kind::Ingress => Some(ApiResource::erase::<Ingress>(&())),
        kind => served.resource(*kind),
    };
    // A kind that is gone has no objects left.
    let Some(resource) = resource else {
        return Ok(());
    };
    let namespace = Some(&*name.namespace).filter(|namespace| !namespace.is_empty());
    let api = raw::api(client.clone(), namespace, &resource);
    api.patch_status(&name.name, &params, &patch).await?;
    Ok(())
}

/// For an Ingress: touches nothing but the addresses; null removes them.
pub(super) fn patch(addresses: &[IngressLoadBalancerIngress]) -> Value {
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

    fn address(ip: &str) -> Body {
        Arc::new(patch(&[IngressLoadBalancerIngress {
            ip: Some(ip.to_owned()),
            ..IngressLoadBalancerIngress::default()
        }]))
    }

    #[test]
    fn a_patch_holds_addresses_and_nothing_else() {
        assert_eq!(
            *address("1.1.1.1"),
            json!({"status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}})
        );
        assert_eq!(patch(&[]), json!({"status": {"loadBalancer": {"ingress": null}}}));
    }
}
