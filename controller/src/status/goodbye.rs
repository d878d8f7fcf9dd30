//! The end of a leader: the last pod takes its address out of the statuses, so
//! that nobody is sent to where nothing answers (`--update-status-on-shutdown`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::Client;
use kube::api::ListParams;
use tidegate_snapshot::ObjectRef;
use tracing::{info, warn};

use super::{Statuses, differs, writer};
use crate::objects::{Kind, NamespacedName, Objects, Pod, fields};
use crate::provider::kubernetes::raw::{self, Raw};

/// How long the farewell may take in all.
const LIMIT: Duration = Duration::from_secs(5);

/// The pods of this controller.
#[derive(Clone)]
pub(crate) struct Pods {
    client: Client,
    namespace: String,
    /// Label selector of all replicas.
    selector: String,
    /// This replica's own name.
    own: String,
}

impl Pods {
    pub(crate) fn new(client: Client, namespace: String, selector: String, own: String) -> Self {
        Self {
            client,
            namespace,
            selector,
            own,
        }
    }

    /// Whether no other replica runs. An error counts as "others run": an
    /// address too many is better than none.
    async fn alone(&self) -> bool {
        let api = raw::built_in::<core::Pod>(&self.client, Some(&self.namespace));
        match api.list(&ListParams::default().labels(&self.selector)).await {
            Ok(pods) => !pods.items.into_iter().any(|pod| self.is_other(pod)),
            Err(error) => {
                warn!(%error, "replicas cannot be listed, statuses stay");
                false
            }
        }
    }

    fn is_other(&self, pod: Raw) -> bool {
        fields::<Pod>(pod.value()).map_or(true, |pod| {
            pod.metadata.name.as_deref() != Some(&self.own)
                && pod.metadata.deletion_timestamp.is_none()
                && !pod.is_over()
        })
    }
}

impl Statuses {
    /// Clears the statuses if asked to, if this replica leads and is the last,
    /// and if they show at most one address (several belong to others too).
    pub(crate) async fn goodbye(&mut self, objects: &Objects, accepted: &[ObjectRef]) {
        let single = self.desired.as_ref().is_some_and(|desired| desired.len() <= 1);
        if !self.config.clear_on_shutdown || !*self.leader.borrow() || !single {
            return;
        }
        let farewell = async {
            if let Some(pods) = &self.pods
                && !pods.alone().await
            {
                info!("statuses are left to the next leader");
                return;
            }
            self.queue.clear();
            for ingress in accepted {
                let current = objects.load_balancer(&ingress.namespace, &ingress.name);
                if differs(current.map(Arc::as_ref), &[]) {
                    let name = NamespacedName {
                        namespace: ingress.namespace.clone(),
                        name: ingress.name.clone(),
                    };
                    self.queue
                        .put((Kind::Ingress, name), Arc::new(writer::patch(&[])));
                }
            }
            self.queue.drained().await;
            info!("statuses cleared");
        };
        if tokio::time::timeout(LIMIT, farewell).await.is_err() {
            warn!(limit = ?LIMIT, "statuses not all cleared in time");
        }
    }
}
