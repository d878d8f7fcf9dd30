//! Objects from a Kubernetes API server: one watch for each kind and scope.
//!
//! A watch that breaks resumes where it was; one that fell out of the server's
//! memory (410 Gone) or was away for long lists anew, and the new list replaces
//! the old objects only when it is complete. Meanwhile everything stays as it
//! was: an outage of the API is no reason to drop a route.

pub(crate) mod client;
mod follow;
mod gate;
mod gateway_api;
mod namespaces;
pub(crate) mod pods;
pub(crate) mod raw;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{ObjectChange, ProviderEvent, Scope, Update};
use crate::metrics::Metrics;
use crate::objects::{Kind, NamespacedName};
use crate::state::State;
use follow::{BuiltIn, Follower, Need, Seen};
use gate::{Gate, Token};
pub(crate) use gateway_api::Served;
use raw::Raw;

/// Releases of Helm are the bulk of a cluster's Secrets, and never certificates.
const SECRETS: &str = "type!=helm.sh/release.v1";

/// How to reach the API server, and what to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// `--kubeconfig`; without it and without `apiserver_host`: the pod's
    /// service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; `None`: its current one.
    pub context: Option<String>,
    /// `--apiserver-host`: the server's URL, instead of the kubeconfig's.
    pub apiserver_host: Option<String>,
    /// `--certificate-authority`: PEM file that the server's certificate is
    /// verified by, instead of the kubeconfig's.
    pub certificate_authority: Option<PathBuf>,
    /// Which namespaces.
    pub namespaces: Namespaces,
}

/// The namespaces whose objects count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// All.
    #[default]
    All,
    /// `--watch-namespace`.
    One(String),
    /// `--watch-namespace-selector`: those with these labels, followed live.
    Labelled(String),
}

/// What is watched besides the kinds that translation needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// Objects that flags name; they count wherever they are. An EndpointSlice
    /// here stands for the endpoints of the Service of that name.
    pub(crate) named: Vec<(Kind, NamespacedName)>,
    /// Namespace and label selector of the controller's pods: where they run is
    /// wanted.
    pub(crate) pods: Option<(String, String)>,
    /// Also the addresses of nodes.
    pub(crate) nodes: bool,
    /// Filled with the kinds of Gateway API that the server has.
    pub(crate) gateway_api: Served,
    /// Told which namespaces' objects count.
    pub(crate) state: Arc<State>,
}

/// What every watch needs.
#[derive(Clone)]
struct Context {
    client: Client,
    events: mpsc::Sender<ProviderEvent>,
    metrics: Metrics,
}

/// Watches until nobody listens any more.
pub(crate) async fn run(
    client: Client,
    namespaces: Namespaces,
    extras: Extras,
    events: mpsc::Sender<ProviderEvent>,
    metrics: Metrics,
) {
    let context = Context {
        client,
        events: events.clone(),
        metrics,
    };
    let gate = Gate::new(events.clone());
    // Held until every watch has its own: the gate must not open in between.
    let starting = gate.token();
    let mut watches = JoinSet::new();
    watches.spawn(
        context
            .clone()
            .watch_all::<IngressClass>(Need::Optional, gate.token()),
    );
    let only = match &namespaces {
        Namespaces::One(namespace) => Some(namespace.clone()),
        Namespaces::All | Namespaces::Labelled(_) => None,
    };
    watches.spawn(gateway_api::run(
        context.clone(),
        only,
        extras.gateway_api.clone(),
        gate.clone(),
        gate.token(),
    ));
    match namespaces {
        Namespaces::All => context.watch_namespaced(None, &gate, &mut watches),
        Namespaces::One(namespace) => {
            extras.state.set_watched([namespace.clone()].into());
            context.watch_namespaced(Some(&namespace), &gate, &mut watches);
            for (kind, name) in extras
                .named
                .iter()
                .filter(|(_, name)| *name.namespace != *namespace)
            {
                context.watch_named(*kind, name, &gate, &mut watches);
            }
        }
        Namespaces::Labelled(selector) => {
            let followed = namespaces::run(
                context.clone(),
                selector,
                extras.named,
                extras.state,
                gate.clone(),
                gate.token(),
            );
            watches.spawn(followed);
        }
    }
    if let Some((namespace, selector)) = extras.pods {
        let api = raw::built_in::<Pod>(&context.client, Some(&namespace));
        let config = watcher::Config::default().labels(&selector);
        watches.spawn(context.clone().watch(
            Kind::Pod,
            api,
            config,
            Scope::All,
            Need::Optional,
            gate.token(),
        ));
        if extras.nodes {
            watches.spawn(context.clone().watch_all::<Node>(Need::Optional, gate.token()));
        }
    }
    starting.done();
    events.closed().await;
}

impl Context {
    /// The kinds that translation needs, in one namespace or in all.
    fn watch_namespaced(&self, namespace: Option<&str>, gate: &Gate, watches: &mut JoinSet<()>) {
        let config = watcher::Config::default;
        self.spawn::<Ingress>(namespace, config(), Need::Required, gate, watches);
        self.spawn::<Service>(namespace, config(), Need::Required, gate, watches);
        self.spawn::<EndpointSlice>(namespace, config(), Need::Required, gate, watches);
        self.spawn::<Secret>(namespace, config().fields(SECRETS), Need::Required, gate, watches);
        self.spawn::<ConfigMap>(namespace, config(), Need::Optional, gate, watches);
    }

    fn spawn<K>(
        &self,
        namespace: Option<&str>,
        config: watcher::Config,
        need: Need,
        gate: &Gate,
        watches: &mut JoinSet<()>,
    ) where
        K: BuiltIn + Resource<Scope = NamespaceResourceScope>,
    {
        let api = raw::built_in::<K>(&self.client, namespace);
        let scope = Scope::of(namespace);
        watches.spawn(
            self.clone()
                .watch(K::KIND, api, config, scope, need, gate.token()),
        );
    }

    /// One object that a flag names; for endpoints all those of its namespace,
    /// because slices have names of their own, and for the ConfigMap too: it
    /// names others.
    fn watch_named(&self, kind: Kind, name: &NamespacedName, gate: &Gate, watches: &mut JoinSet<()>) {
        match kind {
            Kind::Secret => self.spawn_named::<Secret>(name, gate, watches),
            Kind::Service => self.spawn_named::<Service>(name, gate, watches),
            Kind::EndpointSlice => self.spawn::<EndpointSlice>(
                Some(&name.namespace),
                watcher::Config::default(),
                Need::Optional,
                gate,
                watches,
            ),
            Kind::ConfigMap => self.spawn::<ConfigMap>(
                Some(&name.namespace),
                watcher::Config::default(),
                Need::Optional,
                gate,
                watches,
            ),
            // No flag names any other.
            _ => {}
        }
    }

    fn spawn_named<K>(&self, name: &NamespacedName, gate: &Gate, watches: &mut JoinSet<()>)
    where
        K: BuiltIn + Resource<Scope = NamespaceResourceScope>,
    {
        let api = raw::built_in::<K>(&self.client, Some(&name.namespace));
        let config = watcher::Config::default().fields(&format!("metadata.name={}", name.name));
        let scope = Scope::Object(name.clone());
        watches.spawn(
            self.clone()
                .watch(K::KIND, api, config, scope, Need::Optional, gate.token()),
        );
    }

    async fn watch_all<K: BuiltIn>(self, need: Need, token: Token) {
        let api = raw::built_in::<K>(&self.client, None);
        self.watch(K::KIND, api, watcher::Config::default(), Scope::All, need, token)
            .await;
    }

    /// Follows one kind in one scope for ever.
    async fn watch(
        self,
        kind: Kind,
        api: Api<Raw>,
        config: watcher::Config,
        scope: Scope,
        need: Need,
        token: Token,
    ) {
        let mut follower = Follower::new(kind, api, config, need, self.metrics.clone());
        let mut token = Some(token);
        loop {
            let update = match follower.next().await {
                Seen::Listed(objects) => Update::Relist {
                    kind,
                    scope: scope.clone(),
                    objects,
                },
                Seen::Applied(object) => Update::Changes(vec![ObjectChange::Apply(object)]),
                Seen::Deleted(name) => Update::Changes(vec![ObjectChange::Delete(kind, name)]),
                Seen::Unavailable => {
                    if let Some(token) = token.take() {
                        token.done();
                    }
                    continue;
                }
            };
            let listed = matches!(update, Update::Relist { .. });
            if self.events.send(ProviderEvent::now(update)).await.is_err() {
                return;
            }
            if listed && let Some(token) = token.take() {
                token.done();
            }
        }
    }
}
