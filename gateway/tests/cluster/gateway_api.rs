//! Kinds of Gateway API that a cluster gets, loses, and gets again while the
//! program runs, one of them in an older version alone. The CRDs are the test's
//! own: a kind, its versions, and no schema.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::program::Program;
use super::{HOST, http, within};

const GROUP: &str = "gateway.networking.k8s.io";
const ROUTED: &str = "routed.example";
/// The server is asked every ten seconds what it has.
const NOTICED: Duration = Duration::from_secs(40);

/// Ingresses are served before, in between and after; a missing kind never
/// keeps another one from being served.
pub fn kinds_come_and_go(api: &ApiServer, gateway: &Program, stream: SocketAddr) {
    let routed = || {
        // Whatever happens to Gateway API.
        assert_eq!(http::get(gateway.http, HOST, "/").unwrap().status, 200);
        http::get(gateway.http, ROUTED, "/").unwrap().status
    };
    let raw = || greets(stream).is_some_and(|answer| answer == *b"HTTP/1.1 200");
    assert_eq!(routed(), 404);
    assert!(!raw());

    install(api, "GatewayClass", "gatewayclasses", "v1");
    install(api, "Gateway", "gateways", "v1");
    install(api, "HTTPRoute", "httproutes", "v1");
    install(api, "TCPRoute", "tcproutes", "v1alpha2");
    api.apply(&object("v1", "GatewayClass", "edge", class()));
    api.apply(&object("v1", "Gateway", "edge", edge(stream.port())));
    api.apply(&object("v1", "HTTPRoute", "web", http_route()));
    api.apply(&object("v1alpha2", "TCPRoute", "raw", tcp_route()));
    let took = within(NOTICED, "the HTTPRoute is served", || routed() == 200);
    println!("gateway API: served {took:?} after its kinds and objects");
    within(NOTICED, "the TCPRoute is served", raw);
    for (kind, path) in [
        (
            "gateways",
            "{.status.conditions[?(@.type==\"Programmed\")].status}",
        ),
        (
            "httproutes",
            "{.status.parents[0].conditions[?(@.type==\"Accepted\")].status}",
        ),
        (
            "tcproutes",
            "{.status.parents[0].conditions[?(@.type==\"Accepted\")].status}",
        ),
    ] {
        let path = format!("jsonpath={{range .items[*]}}{path}{{end}}");
        let kind = format!("{kind}.{GROUP}");
        within(NOTICED, &format!("the status of {kind}"), || {
            api.kubectl(&["get", &kind, "-o", &path]) == "True"
        });
    }

    api.kubectl(&["delete", "crd", &format!("httproutes.{GROUP}")]);
    let took = within(NOTICED, "the HTTPRoute is gone", || {
        assert!(raw(), "other kinds go on");
        routed() == 404
    });
    println!("gateway API: no longer served {took:?} after its kind was gone");
    // Longer than the program takes to learn that the kind itself is gone.
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        assert!(raw(), "other kinds go on");
        assert_eq!(routed(), 404);
        std::thread::sleep(Duration::from_millis(100));
    }

    install(api, "HTTPRoute", "httproutes", "v1");
    api.apply(&object("v1", "HTTPRoute", "web", http_route()));
    let took = within(NOTICED, "the HTTPRoute is served again", || {
        assert!(raw(), "other kinds go on");
        routed() == 200
    });
    println!("gateway API: served again {took:?} after its kind was back");
}

/// What comes back first to a request over TCP; the backend keeps connections.
fn greets(address: SocketAddr) -> Option<[u8; 12]> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok()?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).ok()?;
    Some(first)
}

/// Makes a kind and waits until the server has it.
fn install(api: &ApiServer, kind: &str, plural: &str, version: &str) {
    let name = format!("{plural}.{GROUP}");
    let scope = match kind {
        "GatewayClass" => "Cluster",
        _ => "Namespaced",
    };
    api.apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test's own"},
        },
        "spec": {
            "group": GROUP, "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    }));
    api.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd",
        &name,
    ]);
}

fn object(version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{version}"), "kind": kind,
        "metadata": {"name": name}, "spec": spec,
    })
}

fn class() -> Value {
    json!({"controllerName": "tidegate.dev/gateway"})
}

fn edge(stream: u16) -> Value {
    json!({
        "gatewayClassName": "edge",
        "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP"},
            {"name": "raw", "port": stream, "protocol": "TCP"},
        ],
    })
}

fn http_route() -> Value {
    json!({
        "parentRefs": [{"name": "edge", "sectionName": "http"}],
        "hostnames": [ROUTED],
        "rules": [{"backendRefs": [{"name": "nginx-svc", "port": 80}]}],
    })
}

fn tcp_route() -> Value {
    json!({
        "parentRefs": [{"name": "edge", "sectionName": "raw"}],
        "rules": [{"backendRefs": [{"name": "nginx-svc", "port": 80}]}],
    })
}
