//! Writes the objects of Gateways while this replica leads: server-side apply, so
//! that fields of others stay, and what we no longer want goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::objects::{Kind, NamespacedName};
use crate::queue::Target;

/// Writes at the same time.
const WRITERS: usize = 4;
/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For one object.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Who the API server says that our fields are of.
const FIELD_MANAGER: &str = "tidegate";

/// What is to be written.
pub(crate) type Queue = crate::queue::Queue<Task>;

/// A write, and for which Gateway.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(super) gateway: NamespacedName,
    pub(super) work: Work,
}

/// What is done to an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// It is made, or brought to this.
    Apply {
        body: Value,
        /// Of the object that is there; `None`: none is.
        uid: Option<String>,
    },
    /// It goes, if it is still the one that was seen.
    Delete { uid: String },
}

/// Why an object is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) gateway: NamespacedName,
    pub(super) message: String,
    pub(super) forbidden: bool,
}

/// What the API server does not take.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<(BTreeMap<Target, Refusal>, bool)>);

impl Refusals {
    fn put(&self, target: Target, refusal: Refusal) {
        let (refused, changed) = &mut *self.0.lock();
        *changed |= refused.get(&target) != Some(&refusal);
        refused.insert(target, refusal);
    }

    fn forget(&self, target: &Target) {
        self.retain(|other| other != target);
    }

    pub(super) fn retain(&self, keep: impl Fn(&Target) -> bool) {
        let (refused, changed) = &mut *self.0.lock();
        let before = refused.len();
        refused.retain(|target, _| keep(target));
        *changed |= refused.len() < before;
    }

    /// All of them, if they are others than at the last call.
    pub(super) fn take_changed(&self) -> Option<BTreeMap<Target, Refusal>> {
        let (refused, changed) = &mut *self.0.lock();
        std::mem::take(changed).then(|| refused.clone())
    }
}

/// Empties the queue for ever.
pub(crate) async fn run(
    client: Client,
    queue: Arc<Queue>,
    refusals: Arc<Refusals>,
    leader: watch::Receiver<bool>,
) {
    join_all((0..WRITERS).map(|_| write_all(&client, &queue, &refusals, &leader))).await;
}

async fn write_all(client: &Client, queue: &Queue, refusals: &Refusals, leader: &watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (target, task) = queue.next().await;
        if !*leader.borrow() {
            // Gaining leadership reviews everything anew.
            queue.finish(target, None);
            continue;
        }
        let (kind, name) = &target;
        let outcome = match tokio::time::timeout(WRITE_TIMEOUT, write(client, &target, &task.work)).await {
            Ok(result) => result.unwrap_or_else(Outcome::of),
            Err(_) => Outcome::Retry("timed out".to_owned()),
        };
        match outcome {
            Outcome::Retry(error) => {
                warn!(%kind, object = %name, %error, retry_in = ?pause, "object of a Gateway not written");
                tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                queue.finish(target, Some(task));
                continue;
            }
            Outcome::Written => {
                info!(%kind, object = %name, gateway = %task.gateway, "object of a Gateway written");
                refusals.forget(&target);
            }
            Outcome::Gone => debug!(%kind, object = %name, "object of a Gateway is gone"),
            Outcome::Stale => {
                debug!(%kind, object = %name, "object of a Gateway has changed meanwhile");
                queue.mark_stale(target.clone());
            }
            // The Problem that follows is logged.
            Outcome::Refused { message, forbidden } => refusals.put(
                target.clone(),
                Refusal {
                    gateway: task.gateway,
                    message,
                    forbidden,
                },
            ),
        }
        pause = FIRST_PAUSE;
        queue.finish(target, None);
    }
}

/// How a write ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Written,
    /// There is nothing to delete, or no namespace any more.
    Gone,
    /// It is not the object that was seen.
    Stale,
    /// The same again would fail again.
    Refused {
        message: String,
        forbidden: bool,
    },
    /// Worth another try.
    Retry(String),
}

impl Outcome {
    fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Gone,
                409 => Self::Stale,
                429 | 500.. => Self::Retry(status.message),
                code => Self::Refused {
                    forbidden: code == 403,
                    message: status.message,
                },
            },
            error => Self::Retry(error.to_string()),
        }
    }
}

async fn write(client: &Client, (kind, name): &Target, work: &Work) -> kube::Result<Outcome> {
    let resource = match kind {
        Kind::Service => ApiResource::erase::<Service>(&()),
        _ => ApiResource::erase::<EndpointSlice>(&()),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &name.namespace, &resource);
    match work {
        Work::Apply { body, uid } => apply(&api, &name.name, body, uid.clone()).await,
        Work::Delete { uid } => {
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(uid.clone()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            api.delete(&name.name, &params).await?;
            Ok(Outcome::Written)
        }
    }
}

/// Applies to the object that was seen, or makes one where none is: an object of
/// somebody else that has come meanwhile is not touched.
async fn apply(
    api: &Api<DynamicObject>,
    name: &str,
    body: &Value,
    mut uid: Option<String>,
) -> kube::Result<Outcome> {
    if uid.is_none()
        && let Some(found) = api.get_opt(name).await?
    {
        if !is_owned_alike(&found, body) {
            return Ok(Outcome::Stale);
        }
        uid = found.uid();
    }
    let mut body = body.clone();
    let mut params = PatchParams::apply(FIELD_MANAGER);
    if let Some(uid) = uid {
        // Of another one with that name the API server says that it conflicts.
        body["metadata"]["uid"] = uid.into();
        params = params.force();
    }
    api.patch(name, &params, &Patch::Apply(&body)).await?;
    Ok(Outcome::Written)
}

/// Whether an object has the owner that it would be given.
fn is_owned_alike(found: &DynamicObject, body: &Value) -> bool {
    let wanted = body["metadata"]["ownerReferences"][0]["uid"].as_str();
    found
        .owner_references()
        .iter()
        .any(|owner| Some(owner.uid.as_str()) == wanted)
}
