//! The kinds of Gateway API, which a cluster may have, lack, get later, or have
//! in an older version: the server is asked again and again what it has, and
//! each kind is watched in the newest version that both sides know.
//!
//! Namespaces are watched too, once there is something to attach to: their
//! labels decide which routes may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::core::ApiResource;
use kube::runtime::watcher;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

use super::follow::Need;
use super::gate::{Gate, Token};
use super::{Context, ProviderEvent, Scope, Update, raw};
use crate::gateway_api::{self, Definition, GROUP};
use crate::objects::Kind;

/// Between two questions what the server has.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// The same after one that was not answered.
const ASK_SOON: Duration = Duration::from_secs(1);
/// Every so many questions the definitions are read again: once a minute.
const READ_AGAIN: u32 = 6;

/// The kinds that are watched now, as the server calls them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served(Arc<Mutex<BTreeMap<Kind, ApiResource>>>);

impl Served {
    /// How to write to objects of a kind.
    pub(crate) fn resource(&self, kind: Kind) -> Option<ApiResource> {
        self.0.lock().get(&kind).cloned()
    }

    fn put(&self, kind: Kind, resource: Option<ApiResource>) {
        match resource {
            Some(resource) => self.0.lock().insert(kind, resource),
            None => self.0.lock().remove(&kind),
        };
    }
}

/// Follows what the server has for ever. `namespace`: the only one whose
/// objects count.
pub(super) async fn run(
    context: Context,
    namespace: Option<String>,
    served: Served,
    gate: Gate,
    token: Token,
) {
    let mut token = Some(token);
    let mut watches = Watches {
        context,
        namespace,
        served,
        gate,
        definitions: BTreeMap::new(),
        defined: 0,
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        let pause = match watches.found().await {
            Ok(found) => {
                watches.define(&found).await;
                watches.follow(found).await;
                // The first answer may be "nothing": then nothing is waited for.
                if let Some(token) = token.take() {
                    token.done();
                }
                ASK_AGAIN
            }
            Err(error) => {
                debug!(%error, "the server does not say which kinds it has");
                ASK_SOON
            }
        };
        tokio::time::sleep(pause).await;
    }
}

struct Watches {
    context: Context,
    namespace: Option<String>,
    served: Served,
    gate: Gate,
    /// As last read.
    definitions: BTreeMap<Kind, Definition>,
    /// How often they have not been read since.
    defined: u32,
    /// The version that each kind is watched in.
    running: BTreeMap<Kind, (String, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// The newest known version of each kind that the server has.
    async fn found(&self) -> kube::Result<BTreeMap<Kind, ApiResource>> {
        let groups = match self.context.client.list_api_groups().await {
            // Whoever may not ask has nothing.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(BTreeMap::new()),
            groups => groups?,
        };
        let Some(group) = groups.groups.into_iter().find(|group| group.name == GROUP) else {
            return Ok(BTreeMap::new());
        };
        let mut found: BTreeMap<Kind, ApiResource> = BTreeMap::new();
        let mut versions: Vec<String> = group
            .versions
            .into_iter()
            .map(|version| version.version)
            .collect();
        // v1 before v1beta1 before v1alpha3.
        versions.sort_by_key(|version| gateway_api::rank(version));
        for version in versions {
            let list = self
                .context
                .client
                .list_api_group_resources(&format!("{GROUP}/{version}"))
                .await?;
            for resource in list
                .resources
                .iter()
                .filter(|resource| !resource.name.contains('/'))
            {
                let kind = Kind::GATEWAY_API
                    .iter()
                    .find(|kind| kind.as_str() == resource.kind);
                let Some(kind) = kind else { continue };
                if gateway_api::versions(kind.as_str()).contains(&version.as_str()) {
                    found.entry(*kind).or_insert_with(|| ApiResource {
                        group: GROUP.to_owned(),
                        version: version.clone(),
                        api_version: format!("{GROUP}/{version}"),
                        kind: resource.kind.clone(),
                        plural: resource.name.clone(),
                    });
                }
            }
        }
        Ok(found)
    }

    /// Reads the definitions, now and then: what is watched does not show when they
    /// become another channel's or release's.
    async fn define(&mut self, found: &BTreeMap<Kind, ApiResource>) {
        self.defined += 1;
        if found.keys().eq(self.definitions.keys()) && self.defined < READ_AGAIN {
            return;
        }
        self.defined = 0;
        let mut definitions = BTreeMap::new();
        for (kind, resource) in found {
            definitions.insert(*kind, self.definition(*kind, &resource.plural).await);
        }
        if definitions == self.definitions {
            return;
        }
        if definitions.values().any(|found| *found == Definition::Hidden) {
            warn!(
                "the CRDs of Gateway API may not be read, so that the features of the standard channel are \
                 claimed, whatever it is: give the right to `get` them"
            );
        }
        self.definitions = definitions.clone();
        let update = Update::Definitions(definitions);
        let _ = self.context.events.send(ProviderEvent::now(update)).await;
    }

    async fn definition(&self, kind: Kind, plural: &str) -> Definition {
        let api: Api<CustomResourceDefinition> = Api::all(self.context.client.clone());
        match api.get_metadata(&format!("{plural}.{GROUP}")).await {
            Ok(found) => Definition::new(&found.metadata.annotations.unwrap_or_default()),
            Err(error) => {
                debug!(%kind, %error, "definition not read");
                let refused = matches!(&error, kube::Error::Api(status) if matches!(status.code, 403 | 404));
                let known = self.definitions.get(&kind).filter(|_| !refused);
                known.cloned().unwrap_or(Definition::Hidden)
            }
        }
    }

    /// Starts and ends watches.
    async fn follow(&mut self, found: BTreeMap<Kind, ApiResource>) {
        for kind in Kind::GATEWAY_API {
            let wanted = found.get(kind);
            let running = self.running.get(kind).map(|(version, _)| version);
            if wanted.map(|resource| &resource.version) == running {
                continue;
            }
            self.served.put(*kind, wanted.cloned());
            if let Some((version, watch)) = self.running.remove(kind) {
                watch.abort();
                if wanted.is_none() {
                    warn!(%kind, version, "kind is gone from the server, and all its objects with it");
                    let update = Update::Relist {
                        kind: *kind,
                        scope: Scope::All,
                        objects: Vec::new(),
                    };
                    let _ = self.context.events.send(ProviderEvent::now(update)).await;
                }
            }
            if let Some(resource) = wanted {
                info!(%kind, version = resource.version, "kind is watched");
                let watch = self.start(*kind, resource);
                self.running.insert(*kind, (resource.version.clone(), watch));
            }
        }
        let attachable = self.running.contains_key(&Kind::Gateway);
        if attachable && !self.running.contains_key(&Kind::Namespace) {
            let watch = self
                .context
                .clone()
                .watch_all::<Namespace>(Need::Optional, self.gate.token());
            let watch = self.tasks.spawn(watch);
            self.running.insert(Kind::Namespace, (String::new(), watch));
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn start(&mut self, kind: Kind, resource: &ApiResource) -> AbortHandle {
        let namespace = self.namespace.as_deref().filter(|_| kind.is_namespaced());
        let api = raw::api(self.context.client.clone(), namespace, resource);
        self.tasks.spawn(self.context.clone().watch(
            kind,
            api,
            watcher::Config::default(),
            Scope::of(namespace),
            Need::Optional,
            self.gate.token(),
        ))
    }
}
