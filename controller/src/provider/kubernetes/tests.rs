//! The provider against an API server of the test's own: gaps, outages,
//! forbidden kinds, namespaces that come and go.

mod server;

use std::time::Duration;

use prometheus::Registry;
use serde_json::{Value, json};

use super::*;
use crate::gateway_api::Definition;
use crate::objects::Object;
use server::{Reply, Server};

const INGRESSES: &str = "/apis/networking.k8s.io/v1/ingresses";
const CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";

fn ingress(name: &str, version: u32) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name, "namespace": "shop", "resourceVersion": version.to_string(),
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {},
    })
}

fn added(object: &Value) -> String {
    json!({"type": "ADDED", "object": object}).to_string()
}

fn deleted(object: &Value) -> String {
    json!({"type": "DELETED", "object": object}).to_string()
}

fn gone() -> String {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version"});
    json!({"type": "ERROR", "object": status}).to_string()
}

/// A provider on a server, and what it has sent.
struct Watching {
    events: mpsc::Receiver<ProviderEvent>,
    metrics: Metrics,
    _task: JoinSet<()>,
}

impl Watching {
    fn start(server: &Server, namespaces: Namespaces, extras: Extras) -> Self {
        let (sender, events) = mpsc::channel(64);
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let mut task = JoinSet::new();
        task.spawn(run(server.client(), namespaces, extras, sender, metrics.clone()));
        Self {
            events,
            metrics,
            _task: task,
        }
    }

    async fn next(&mut self) -> Update {
        let event = tokio::time::timeout(Duration::from_secs(30), self.events.recv());
        event.await.expect("an event in time").unwrap().update
    }

    /// The next event about Ingresses.
    async fn about_ingresses(&mut self) -> String {
        loop {
            if let Some(text) = described(&self.next().await) {
                return text;
            }
        }
    }

    async fn until_synced(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let update = self.next().await;
            if matches!(update, Update::Synced) {
                return seen;
            }
            seen.extend(described(&update));
        }
    }
}

/// What an event says of Ingresses.
fn described(update: &Update) -> Option<String> {
    match update {
        Update::Relist {
            kind: Kind::Ingress,
            scope,
            objects,
        } => {
            let names: Vec<_> = objects
                .iter()
                .map(|object| object.namespaced_name().name)
                .collect();
            let scope = match scope {
                Scope::Namespace(namespace) => format!("{namespace} "),
                _ => String::new(),
            };
            Some(format!("{scope}list {}", names.join(",")))
        }
        Update::Changes(changes) => match changes.as_slice() {
            [ObjectChange::Apply(Object::Ingress(ingress))] => {
                assert_eq!(ingress.metadata.managed_fields, None);
                Some(format!("apply {}", ingress.metadata.name.as_deref()?))
            }
            [ObjectChange::Delete(Kind::Ingress, name)] => Some(format!("delete {}", name.name)),
            _ => None,
        },
        _ => None,
    }
}

#[tokio::test]
async fn lists_come_before_sync_and_changes_after() {
    let server = Server::start().await;
    server.list(INGRESSES, &[ingress("a", 1)]);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    assert_eq!(watching.until_synced().await, ["list a"]);
    server.event(INGRESSES, &added(&ingress("b", 2))).await;
    assert_eq!(watching.about_ingresses().await, "apply b");
    server.event(INGRESSES, &deleted(&ingress("a", 3))).await;
    assert_eq!(watching.about_ingresses().await, "delete a");
    assert!(
        server
            .asked()
            .iter()
            .any(|path| path.contains("/secrets?") && path.contains("helm.sh"))
    );
}

/// The API server checks kinds of its own; one of another version may know more.
#[tokio::test]
async fn an_object_that_makes_no_sense_costs_only_itself() {
    let broken = |name: &str, version: u32| {
        let mut object = ingress(name, version);
        object["spec"]["rules"] = "none".into();
        object
    };
    let server = Server::start().await;
    server.list(INGRESSES, &[broken("a", 1), ingress("b", 1)]);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    assert_eq!(watching.until_synced().await, ["list b"]);
    server.event(INGRESSES, &added(&broken("b", 2))).await;
    server.event(INGRESSES, &added(&ingress("c", 3))).await;
    assert_eq!(watching.about_ingresses().await, "apply c");
}

#[tokio::test]
async fn a_watch_that_fell_behind_lists_anew_and_removes_nothing_first() {
    let server = Server::start().await;
    server.list(INGRESSES, &[ingress("a", 1), ingress("b", 1)]);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    watching.until_synced().await;
    server.list(INGRESSES, &[ingress("a", 1), ingress("c", 8)]);
    server.event(INGRESSES, &gone()).await;
    assert_eq!(watching.about_ingresses().await, "list a,c");
    server.event(INGRESSES, &added(&ingress("d", 9))).await;
    assert_eq!(watching.about_ingresses().await, "apply d");
    assert!(
        watching
            .metrics
            .watch_errors
            .with_label_values(&["Ingress"])
            .get()
            >= 1
    );
}

#[tokio::test]
async fn an_outage_changes_nothing_and_ends_by_itself() {
    let mut server = Server::start().await;
    server.list(INGRESSES, &[ingress("a", 1)]);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    watching.until_synced().await;
    server.stop().await;
    let silence = tokio::time::timeout(Duration::from_secs(2), watching.events.recv()).await;
    assert!(silence.is_err(), "{silence:?}");
    server.restart().await;
    server.event(INGRESSES, &added(&ingress("b", 2))).await;
    loop {
        match watching.about_ingresses().await.as_str() {
            // After a long outage the list comes again; it is the same.
            "list a" => {}
            other => break assert_eq!(other, "apply b"),
        }
    }
}

#[tokio::test]
async fn a_forbidden_class_list_is_no_obstacle() {
    let server = Server::start().await;
    server.set(CLASSES, Reply::Status(403));
    server.list(INGRESSES, &[ingress("a", 1)]);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    assert_eq!(watching.until_synced().await, ["list a"]);
}

#[tokio::test]
async fn a_forbidden_ingress_list_keeps_the_gate_shut() {
    let server = Server::start().await;
    server.set(INGRESSES, Reply::Status(403));
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    let synced = tokio::time::timeout(Duration::from_secs(1), watching.until_synced()).await;
    assert!(synced.is_err());
    server.list(INGRESSES, &[ingress("a", 1)]);
    assert_eq!(watching.until_synced().await, ["list a"]);
}

#[tokio::test]
async fn one_namespace_is_asked_for_and_named_objects_elsewhere() {
    let server = Server::start().await;
    let extras = Extras {
        named: vec![(Kind::Secret, NamespacedName::new("edge", "default-cert"))],
        pods: None,
        ..Extras::default()
    };
    let state = extras.state.clone();
    let mut watching = Watching::start(&server, Namespaces::One("shop".to_owned()), extras);
    watching.until_synced().await;
    assert!(state.watches("shop") && !state.watches("edge"));
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .any(|path| path.starts_with("/apis/networking.k8s.io/v1/namespaces/shop/ingresses?"))
    );
    assert!(
        asked
            .iter()
            .any(|path| path.starts_with("/api/v1/namespaces/edge/secrets?")
                && path.contains("metadata.name%3Ddefault-cert"))
    );
    assert!(!asked.iter().any(|path| path.starts_with("/api/v1/secrets")));
}

#[tokio::test]
async fn namespaces_are_followed_by_their_labels() {
    let namespaces = "/api/v1/namespaces";
    let shop = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";
    let namespace = |version: u32| {
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shop", "resourceVersion": version.to_string()}})
    };
    let server = Server::start().await;
    server.list(shop, &[ingress("a", 1)]);
    let selector = Namespaces::Labelled("team=shop".to_owned());
    let extras = Extras::default();
    let state = extras.state.clone();
    let mut watching = Watching::start(&server, selector, extras);
    assert!(watching.until_synced().await.is_empty());
    assert!(!state.watches("shop"));
    server.event(namespaces, &added(&namespace(2))).await;
    assert_eq!(watching.about_ingresses().await, "shop list a");
    assert!(state.watches("shop") && !state.watches("other"));
    server.event(namespaces, &deleted(&namespace(3))).await;
    assert_eq!(watching.about_ingresses().await, "shop list ");
    assert!(!state.watches("shop"));
}

/// The definitions that a provider tells of, on a server with HTTPRoutes alone.
async fn definitions(definition: Reply) -> std::collections::BTreeMap<Kind, Definition> {
    let group = "gateway.networking.k8s.io";
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    let groups = json!({"kind": "APIGroupList", "groups": [
        {"name": group, "versions": [version], "preferredVersion": version},
    ]});
    let routes = json!({"name": "httproutes", "singularName": "", "namespaced": true, "kind": "HTTPRoute", "verbs": []});
    let kinds =
        json!({"kind": "APIResourceList", "groupVersion": format!("{group}/v1"), "resources": [routes]});
    let server = Server::start().await;
    server.set("/apis", Reply::List(groups.to_string()));
    server.set(&format!("/apis/{group}/v1"), Reply::List(kinds.to_string()));
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.{group}");
    server.set(&path, definition);
    let mut watching = Watching::start(&server, Namespaces::All, Extras::default());
    loop {
        match watching.next().await {
            Update::Definitions(definitions) => return definitions,
            Update::Relist { kind, .. } => assert_ne!(kind, Kind::HTTPRoute, "before its definition"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_channel_and_release_of_definitions_are_read() {
    let annotations = json!({
        "gateway.networking.k8s.io/channel": "experimental",
        "gateway.networking.k8s.io/bundle-version": "v1.4.1",
    });
    let metadata = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "httproutes.gateway.networking.k8s.io", "annotations": annotations},
    });
    let read = Definition::Read {
        experimental: true,
        version: "v1.4.1".to_owned(),
    };
    let found = definitions(Reply::List(metadata.to_string())).await;
    assert_eq!(found, [(Kind::HTTPRoute, read)].into());
    let found = definitions(Reply::Status(403)).await;
    assert_eq!(found, [(Kind::HTTPRoute, Definition::Hidden)].into());
}
