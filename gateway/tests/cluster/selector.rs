//! Namespaces by their labels (`--watch-namespace-selector`).

use std::time::Duration;

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::program::Program;
use super::{ADDRESS, SOON, http, manifests, within};

/// An Ingress in a namespace without the label is not served, in one with it is,
/// as soon as it has it and for as long.
pub fn of_namespaces(api: &ApiServer) {
    for (namespace, labels) in [
        ("with-label", json!({"team": "web"})),
        ("without-label", json!({})),
    ] {
        api.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels},
        }));
        let host = format!("{namespace}.example");
        for mut object in [
            manifests::service(),
            manifests::slice(&["10.77.0.1"]),
            manifests::ingress("web", &host),
        ] {
            object["metadata"]["namespace"] = Value::from(namespace);
            api.apply(&object);
        }
    }
    let flag = ["--watch-namespace-selector=team=web".to_owned()];
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &flag);
    let status = |host: &str| http::get(gateway.http, host, "/").unwrap().status;
    assert_eq!(status("with-label.example"), 200);
    assert_eq!(status("without-label.example"), 404);
    for (label, expected) in [("team=web", 200), ("team-", 404)] {
        api.kubectl(&["label", "namespace", "without-label", label]);
        within(SOON, "the label decides", || {
            status("without-label.example") == expected
        });
        assert_eq!(status("with-label.example"), 200);
    }
    gateway.terminate(Duration::from_secs(30));
}
