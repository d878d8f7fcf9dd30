//! Gateways with Services of their own: made, followed, brought back and deleted by
//! the leader, and served where they lead to.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::program::Program;
use super::{ADDRESS, SOON, http, within};

/// Where the program is reached in the test's network.
const REPLICA: &str = "10.77.0.9";
const SERVICE: &str = "own-edge";

/// The class `edge` and the kinds are there already.
pub fn of_gateways(api: &ApiServer) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("gateway.yaml");
    let text = format!(
        "gatewayApi: {{services: {{type: ClusterIP, ports: 21000-21009, addresses: [{REPLICA}]}}}}\n"
    );
    std::fs::write(&settings, text).unwrap();
    let more = [format!("--config={}", settings.display())];
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &more);
    let field = |kind: &str, name: &str, path: &str| {
        api.kubectl(&[
            "get",
            kind,
            name,
            "--ignore-not-found",
            "-o",
            &format!("jsonpath={path}"),
        ])
    };

    // Somebody else's Service of that name is nobody's to touch.
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": "default"},
        "spec": {"ports": [{"port": 7}]},
    });
    api.apply(&foreign);
    api.apply(&own("edge", json!({"team": "web", "tier": "edge"})));
    let programmed = |part: &str| {
        let path = format!("{{.status.conditions[?(@.type==\"Programmed\")].{part}}}");
        field("gateway", "own", &path)
    };
    within(SOON, "the Gateway waits for its name", || {
        programmed("reason") == "AddressNotAssigned" && programmed("message").contains("not this Gateway's")
    });
    assert_eq!(field("service", SERVICE, "{.spec.ports[*].port}"), "7");
    api.kubectl(&["delete", "service", SERVICE]);

    api.apply(&route());
    let mut port = String::new();
    within(SOON, "the Gateway has a Service", || {
        port = field(
            "service",
            SERVICE,
            "{.spec.ports[?(@.name==\"tcp-80\")].targetPort}",
        );
        !port.is_empty()
    });
    let label = |name: &str| {
        let path = format!("{{.metadata.labels.{}}}", name.replace('.', "\\."));
        field("service", SERVICE, &path)
    };
    assert_eq!(label("gateway.networking.k8s.io/gateway-name"), "own");
    assert_eq!(
        (label("team"), label("tier")),
        ("web".to_owned(), "edge".to_owned())
    );
    within(SOON, "it leads to the replica", || {
        let slice = format!("{SERVICE}-ipv4");
        field(
            "endpointslice",
            &slice,
            "{.endpoints[*].addresses[*]} {.ports[*].port}",
        ) == format!("{REPLICA} {port}")
    });
    within(SOON, "the Gateway is programmed", || {
        programmed("status") == "True"
    });
    assert_eq!(
        field("gateway", "own", "{.status.addresses[*].value}"),
        field("service", SERVICE, "{.spec.clusterIP}")
    );
    let target: SocketAddr = format!("{REPLICA}:{port}").parse().unwrap();
    let moved = http::get(target, "own.example", "/").unwrap();
    assert_eq!(moved.status, 302);

    api.apply(&own("edge", json!({"team": "shop"})));
    within(SOON, "labels follow, and those that are gone go", || {
        label("team") == "shop" && label("tier").is_empty()
    });
    api.kubectl(&[
        "label",
        "service",
        SERVICE,
        "team=nobody",
        "cloud=yes",
        "--overwrite",
    ]);
    within(SOON, "ours come back", || label("team") == "shop");
    assert_eq!(label("cloud"), "yes", "others stay");

    api.apply(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "foreign"}, "spec": {"controllerName": "other.example/gateway"},
    }));
    api.apply(&own("foreign", json!({"team": "shop"})));
    within(
        SOON,
        "the Service of a Gateway of another class is deleted",
        || field("service", SERVICE, "{.metadata.name}").is_empty(),
    );
    gateway.terminate(Duration::from_secs(30));
}

fn own(class: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": {
            "gatewayClassName": class,
            "infrastructure": {"labels": labels},
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

fn route() -> Value {
    let redirect = json!({"type": "RequestRedirect", "requestRedirect": {"hostname": "new.example"}});
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "own", "namespace": "default"},
        "spec": {
            "parentRefs": [{"name": "own"}], "hostnames": ["own.example"],
            "rules": [{"filters": [redirect]}],
        },
    })
}
