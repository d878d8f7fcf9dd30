//! `--watch-namespace-selector`: each namespace with the labels has its own
//! watches, started and ended as labels come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::watcher;
use tokio::task::JoinSet;
use tracing::info;

use super::follow::{Follower, Need, Seen};
use super::gate::{Gate, Token};
use super::{Context, NamespacedName, ProviderEvent, Scope, Update, raw};
use crate::objects::Kind;
use crate::state::State;

/// The kinds that end with their namespace.
const KINDS: [Kind; 5] = [
    Kind::Ingress,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::Secret,
    Kind::ConfigMap,
];

/// Follows the namespaces that `selector` selects. Objects that flags name are
/// watched here too: they count wherever they are.
pub(super) async fn run(
    context: Context,
    selector: String,
    named: Vec<(Kind, NamespacedName)>,
    state: Arc<State>,
    gate: Gate,
    token: Token,
) {
    let api = raw::built_in::<Namespace>(&context.client, None);
    let config = watcher::Config::default().labels(&selector);
    let mut namespaces = Follower::new(
        Kind::Namespace,
        api,
        config,
        Need::Required,
        context.metrics.clone(),
    );
    let mut selected = Selected {
        context,
        named,
        state,
        gate,
        watches: BTreeMap::new(),
        named_watches: BTreeMap::new(),
    };
    selected.start_named(None);
    let mut token = Some(token);
    loop {
        match namespaces.next().await {
            Seen::Listed(list) => {
                let names: Vec<Arc<str>> = list.iter().map(|object| object.namespaced_name().name).collect();
                let gone: Vec<String> = selected
                    .watches
                    .keys()
                    .filter(|name| !names.iter().any(|listed| **listed == **name))
                    .cloned()
                    .collect();
                for name in gone {
                    selected.end(&name).await;
                }
                for name in names {
                    selected.start(&name);
                }
                if let Some(token) = token.take() {
                    token.done();
                }
            }
            Seen::Applied(namespace) => selected.start(&namespace.namespaced_name().name),
            Seen::Deleted(namespace) => selected.end(&namespace.name).await,
            Seen::Unavailable => continue,
        }
        let watched = selected.watches.keys().cloned().collect();
        selected.state.set_watched(watched);
    }
}

struct Selected {
    context: Context,
    named: Vec<(Kind, NamespacedName)>,
    state: Arc<State>,
    gate: Gate,
    watches: BTreeMap<String, JoinSet<()>>,
    /// Of objects that flags name, by namespace.
    named_watches: BTreeMap<String, JoinSet<()>>,
}

impl Selected {
    fn start(&mut self, name: &str) {
        if self.watches.contains_key(name) {
            return;
        }
        info!(namespace = name, "namespace selected");
        let mut watches = JoinSet::new();
        self.context
            .watch_namespaced(Some(name), &self.gate, &mut watches);
        self.watches.insert(name.to_owned(), watches);
    }

    async fn end(&mut self, name: &str) {
        let Some(mut watches) = self.watches.remove(name) else {
            return;
        };
        info!(namespace = name, "namespace no longer selected");
        // Ended before the empty lists go out, so that nothing comes after them.
        watches.shutdown().await;
        for kind in KINDS {
            let update = Update::Relist {
                kind,
                scope: Scope::Namespace(name.into()),
                objects: Vec::new(),
            };
            let _ = self.context.events.send(ProviderEvent::now(update)).await;
        }
        // The empty lists took these along: they are listed again.
        self.start_named(Some(name));
    }

    /// (Re)starts the watches of named objects, in one namespace or in all.
    fn start_named(&mut self, namespace: Option<&str>) {
        if let Some(namespace) = namespace {
            self.named_watches.remove(namespace);
        }
        for (kind, name) in &self.named {
            if namespace.is_none_or(|namespace| *name.namespace == *namespace) {
                let watches = self.named_watches.entry(name.namespace.to_string()).or_default();
                self.context.watch_named(*kind, name, &self.gate, watches);
            }
        }
    }
}
