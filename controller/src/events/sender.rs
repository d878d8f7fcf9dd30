//! Sends queued Events at a bounded rate. The same Event again (also from
//! another replica) raises the count of the one that is there.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tracing::debug;

use super::{Entry, Queue};
use crate::metrics::Metrics;

/// Fifty a second.
const INTERVAL: Duration = Duration::from_millis(20);
/// For one Event, retries included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Events whose count is remembered; the API server forgets them after an hour.
const REMEMBERED: usize = 4096;
/// The component that Events name as their source.
const COMPONENT: &str = "tidegate";

/// Sends for ever. `instance` is this replica's name.
pub(crate) async fn run(client: Client, queue: Arc<Queue>, metrics: Metrics, instance: String) {
    let mut sender = Sender {
        client,
        instance,
        counts: HashMap::new(),
    };
    let mut pace = tokio::time::interval(INTERVAL);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let entry = queue.next().await;
        pace.tick().await;
        let result = match tokio::time::timeout(TIMEOUT, sender.send(&entry)).await {
            Ok(Ok(())) => "sent",
            Ok(Err(error)) => {
                debug!(object = ?entry.about.name, reason = entry.reason, %error, "event not written");
                "failed"
            }
            Err(_) => "failed",
        };
        metrics.events.with_label_values(&[result]).inc();
    }
}

struct Sender {
    client: Client,
    instance: String,
    /// How often each Event, by name, was sent.
    counts: HashMap<String, i32>,
}

impl Sender {
    async fn send(&mut self, entry: &Entry) -> kube::Result<()> {
        let namespace = entry.about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let name = event_name(entry);
        let event = self.event(entry, namespace, &name);
        if !self.counts.contains_key(&name) {
            match api.create(&PostParams::default(), &event).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    self.remember(name, 1);
                    return Ok(());
                }
            }
        }
        let count = self.counts.get(&name).copied().unwrap_or(1).saturating_add(1);
        let again = json!({ "count": count, "lastTimestamp": Time(Timestamp::now()) });
        match api
            .patch(&name, &PatchParams::default(), &Patch::Merge(again))
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // It has expired meanwhile.
                api.create(&PostParams::default(), &event).await?;
                self.remember(name, 1);
            }
            Err(error) => return Err(error),
            Ok(_) => self.remember(name, count),
        }
        Ok(())
    }

    fn remember(&mut self, name: String, count: i32) {
        if self.counts.len() >= REMEMBERED {
            self.counts.clear();
        }
        self.counts.insert(name, count);
    }

    fn event(&self, entry: &Entry, namespace: &str, name: &str) -> Event {
        let now = Time(Timestamp::now());
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: entry.about.clone(),
            type_: Some(if entry.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(entry.reason.to_owned()),
            message: Some(entry.message.clone()),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            source: Some(EventSource {
                component: Some(COMPONENT.to_owned()),
                host: Some(self.instance.clone()),
            }),
            ..Event::default()
        }
    }
}

/// Equal Events have equal names, in every replica and after a restart.
fn event_name(entry: &Entry) -> String {
    let mut hasher = DefaultHasher::new();
    (
        entry.warning,
        entry.reason,
        &entry.message,
        &entry.about.kind,
        &entry.about.uid,
    )
        .hash(&mut hasher);
    format!(
        "{}.{:016x}",
        entry.about.name.as_deref().unwrap_or_default(),
        hasher.finish()
    )
}
