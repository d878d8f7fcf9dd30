//! Gateway API with the rights that the chart gives: a route is served, and its
//! status, its Gateway's and its class's are written.

use std::net::SocketAddr;

use serde_json::json;

use super::api_server::ApiServer;
use super::rights::{ADDRESS, SOON};
use super::{http, within};

/// What values make the class.
pub const CLASS: &str = "controller.gatewayAPI.gatewayClass.enabled=true";

pub fn install_definitions(api: &ApiServer) {
    let folder = std::env::var("GATEWAY_API_CRDS")
        .expect("GATEWAY_API_CRDS is a folder with Gateway API's CRDs: run `cargo xtask test`");
    api.kubectl(&["apply", "--server-side", "-f", &folder]);
    api.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=20s",
        "crd",
        "--all",
    ]);
}

/// A Gateway and a route in this namespace, until they are served and say so.
pub fn served(api: &ApiServer, name: &str, namespace: &str, gateway: SocketAddr) {
    let host = format!("{name}.gateway.example");
    let metadata = json!({"name": name, "namespace": namespace});
    let edge = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata,
        "spec": {"gatewayClassName": "tidegate", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    });
    let redirect = json!({"type": "RequestRedirect", "requestRedirect": {"hostname": "new.example"}});
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata,
        "spec": {"parentRefs": [{"name": name}], "hostnames": [host], "rules": [{"filters": [redirect]}]},
    });
    api.apply(&edge);
    api.apply(&route);
    within(SOON, "the route is served", || {
        http::get(gateway, &host, "/").is_some_and(|answer| answer.status == 302)
    });
    let condition = |kind: &str| format!("{{.conditions[?(@.type==\"{kind}\")].status}}");
    let path = |place: &str, rest: &str| format!("jsonpath={{range {place}}}{rest}{{end}}");
    for (object, path, wanted) in [
        (
            "gatewayclass/tidegate",
            path(".status", &condition("Accepted")),
            "True",
        ),
        // Only who may read the CRDs can say so.
        (
            "gatewayclass/tidegate",
            path(".status", &condition("SupportedVersion")),
            "True",
        ),
        (
            &format!("gateway/{name}"),
            path(".status", &condition("Programmed")),
            "True",
        ),
        (
            &format!("gateway/{name}"),
            "jsonpath={.status.addresses[0].value}".to_owned(),
            ADDRESS,
        ),
        (
            &format!("httproute/{name}"),
            path(".status.parents[0]", &condition("Accepted")),
            "True",
        ),
    ] {
        within(SOON, &format!("{object} says {path}"), || {
            api.kubectl(&["get", object, "--namespace", namespace, "-o", &path]) == wanted
        });
    }
    for kind in ["gateway", "httproute"] {
        api.kubectl(&["delete", kind, name, "--namespace", namespace]);
    }
}
