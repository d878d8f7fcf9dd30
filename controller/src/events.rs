//! Kubernetes Events about objects: `Sync` when an Ingress is taken up, and one
//! Warning for each Problem, where the object's owner looks first
//! (`kubectl describe`). Core `v1` Events, which existing roles of
//! ingress-nginx allow.
//!
//! At most fifty a second, warnings first. What does not fit the queue is
//! dropped and counted: Events are a courtesy, not a ledger; the whole list of
//! problems is on the admin port and in the log.

mod sender;

use std::collections::VecDeque;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use parking_lot::Mutex;
use tidegate_snapshot::{ObjectRef, Problem};
use tokio::sync::Notify;

use crate::gateway_api;
use crate::metrics::Metrics;
use crate::objects::{Kind, Objects};

pub(crate) use sender::run;

/// Warnings that may wait.
const WARNINGS: usize = 2000;
/// `Sync` events that may wait.
const NORMALS: usize = 500;
/// A message longer than this is cut (the API's limit is 1,024 bytes).
const MESSAGE_BYTES: usize = 1000;

/// An Event to be written.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    warning: bool,
    reason: &'static str,
    message: String,
    about: ObjectReference,
}

/// The queue of Events, to be emptied by [`run`].
#[derive(Clone)]
pub(crate) struct Events {
    queue: Arc<Queue>,
    metrics: Metrics,
    /// `--disable-sync-events` turns it off.
    sync: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Default)]
struct Inner {
    warnings: VecDeque<Entry>,
    normals: VecDeque<Entry>,
}

impl Queue {
    /// Whether there was room.
    fn push(&self, entry: Entry) -> bool {
        let mut inner = self.inner.lock();
        let (list, limit) = if entry.warning {
            (&mut inner.warnings, WARNINGS)
        } else {
            (&mut inner.normals, NORMALS)
        };
        if list.len() >= limit {
            return false;
        }
        list.push_back(entry);
        drop(inner);
        self.wake.notify_one();
        true
    }

    fn pop(&self) -> Option<Entry> {
        let mut inner = self.inner.lock();
        inner.warnings.pop_front().or_else(|| inner.normals.pop_front())
    }

    async fn next(&self) -> Entry {
        loop {
            let wake = self.wake.notified();
            if let Some(entry) = self.pop() {
                return entry;
            }
            wake.await;
        }
    }
}

impl Events {
    pub(crate) fn new(metrics: Metrics, sync: bool) -> Self {
        Self {
            queue: Arc::default(),
            metrics,
            sync,
        }
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// An accepted Ingress was added or changed.
    pub(crate) fn scheduled_for_sync(&self, ingress: &ObjectRef, objects: &Objects) {
        if self.sync {
            self.push(false, "Sync", "Scheduled for sync".to_owned(), ingress, objects);
        }
    }

    /// Something is wrong with an object.
    pub(crate) fn problem(&self, problem: &Problem, objects: &Objects) {
        let mut message = format!("{}: {} ({})", problem.field, problem.message, problem.effect);
        if !problem.fix.is_empty() {
            message.push_str("; ");
            message.push_str(&problem.fix);
        }
        self.push(true, problem.reason, message, &problem.object, objects);
    }

    fn push(
        &self,
        warning: bool,
        reason: &'static str,
        message: String,
        object: &ObjectRef,
        objects: &Objects,
    ) {
        // Files and flags can have problems too, but no Events.
        let Some(about) = reference(object, objects) else {
            return;
        };
        let entry = Entry {
            warning,
            reason,
            message: cut(message),
            about,
        };
        if !self.queue.push(entry) {
            self.metrics.events.with_label_values(&["dropped"]).inc();
        }
    }
}

/// The object as an Event names it; `None` for one that is not in the store.
fn reference(object: &ObjectRef, objects: &Objects) -> Option<ObjectReference> {
    let kind = *Kind::ALL.iter().find(|kind| kind.as_str() == &*object.kind)?;
    let (namespace, name) = (&*object.namespace, &*object.name);
    let (api_version, metadata) = match kind {
        Kind::Ingress => (
            "networking.k8s.io/v1",
            &objects.ingress(namespace, name)?.metadata,
        ),
        Kind::IngressClass => ("networking.k8s.io/v1", &objects.ingress_class(name)?.metadata),
        Kind::Service => ("v1", &objects.service(namespace, name)?.metadata),
        Kind::Secret => ("v1", &objects.secret(namespace, name)?.metadata),
        Kind::ConfigMap => ("v1", &objects.config_map(namespace, name)?.metadata),
        Kind::EndpointSlice | Kind::Namespace | Kind::Node | Kind::Pod => return None,
        kind => (
            gateway_api::GROUP_VERSION,
            objects.gateway_api().metadata(kind, namespace, name)?,
        ),
    };
    Some(ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.as_str().to_owned()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    })
}

/// At most [`MESSAGE_BYTES`], cut between characters.
fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let mut end = MESSAGE_BYTES - '…'.len_utf8();
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(warning: bool, message: &str) -> Entry {
        Entry {
            warning,
            reason: "Sync",
            message: message.to_owned(),
            about: ObjectReference::default(),
        }
    }

    #[test]
    fn warnings_come_first() {
        let queue = Queue::default();
        assert!(queue.push(entry(false, "normal")));
        assert!(queue.push(entry(true, "warning")));
        assert_eq!(queue.pop().unwrap().message, "warning");
        assert_eq!(queue.pop().unwrap().message, "normal");
        assert_eq!(queue.pop(), None);
    }

    /// `--disable-sync-events`.
    #[test]
    fn sync_is_told_only_where_it_is_wanted() {
        let mut objects = Objects::new();
        let mut ingress = k8s_openapi::api::networking::v1::Ingress::default();
        ingress.metadata.name = Some("a".to_owned());
        ingress.metadata.namespace = Some("shop".to_owned());
        objects.apply(ingress.into());
        for sync in [true, false] {
            let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
            let events = Events::new(metrics, sync);
            events.scheduled_for_sync(&ObjectRef::new("Ingress", "shop", "a"), &objects);
            let entry = events.queue().pop();
            assert_eq!(entry.map(|entry| entry.reason), sync.then_some("Sync"));
        }
    }

    #[test]
    fn a_full_queue_refuses() {
        let queue = Queue::default();
        for _ in 0..NORMALS {
            assert!(queue.push(entry(false, "")));
        }
        assert!(!queue.push(entry(false, "")));
        assert!(queue.push(entry(true, "")));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = cut("é".repeat(MESSAGE_BYTES));
        assert!(message.len() <= MESSAGE_BYTES);
        assert!(message.ends_with('…'));
        assert_eq!(cut("short".to_owned()), "short");
    }
}
