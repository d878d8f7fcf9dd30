//! Objects of the clusters that are measured.

use serde_json::{Value, json};

use super::backend::PORT;
use super::churn::FIELD;
use super::manifests;

/// The backends; every address of 10.77.0.0/16 is local.
pub const BACKENDS: [&str; 2] = ["10.77.0.1", "10.77.0.2"];

/// Hosts that share a certificate.
const CERTIFICATES: usize = 100;

/// Annotations that people write, in turn.
const ANNOTATIONS: [&[(&str, &str)]; 6] = [
    &[],
    &[("ssl-redirect", "false"), ("proxy-body-size", "50m")],
    &[("proxy-read-timeout", "3600"), ("proxy-send-timeout", "3600")],
    &[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://app.example"),
    ],
    &[("affinity", "cookie"), ("session-cookie-name", "route")],
    &[("whitelist-source-range", "10.0.0.0/8, 127.0.0.0/8")],
];

/// The path of an object's collection.
pub fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let kind = object["kind"].as_str().unwrap();
    let plural = match kind {
        "Ingress" => "ingresses".to_owned(),
        "IngressClass" | "GatewayClass" => format!("{}es", kind.to_lowercase()),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let root = if version.contains('/') { "apis" } else { "api" };
    match kind {
        "IngressClass" | "GatewayClass" => format!("/{root}/{version}/{plural}"),
        _ => format!("/{root}/{version}/namespaces/default/{plural}"),
    }
}

pub fn host(index: usize) -> String {
    format!("host-{index}.group-{}.test", index % CERTIFICATES)
}

/// Wildcard certificates of all groups.
pub fn certificates() -> Vec<Value> {
    let one = |group: usize| {
        let (name, host) = (format!("group-{group}"), format!("*.group-{group}.test"));
        manifests::certificate(&name, &host).1
    };
    (0..CERTIFICATES).map(one).collect()
}

/// An Ingress of three paths with TLS, for Service `svc-SERVICE`.
pub fn ingress(index: usize, service: usize) -> Value {
    let annotations: serde_json::Map<String, Value> = ANNOTATIONS[index % ANNOTATIONS.len()]
        .iter()
        .chain(&[("ssl-redirect", "false")])
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
        .collect();
    let path = |path: &str, kind: &str| {
        json!({
            "path": path, "pathType": kind,
            "backend": {"service": {"name": format!("svc-{service}"), "port": {"number": 80}}},
        })
    };
    let paths = [
        path("/", "Prefix"),
        path("/api", "Prefix"),
        path("/healthz", "Exact"),
    ];
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": format!("ing-{index}"), "annotations": annotations},
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": [host(index)], "secretName": format!("group-{}", index % CERTIFICATES)}],
            "rules": [{"host": host(index), "http": {"paths": paths}}],
        },
    })
}

pub fn service(index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("svc-{index}")},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80, "targetPort": PORT}]},
    })
}

/// The endpoints of `svc-INDEX`.
pub fn slice(index: usize, addresses: &[&str]) -> Value {
    manifests::slice_of(&format!("svc-{index}"), addresses)
}

pub fn gateway_class() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "tidegate"}, "spec": {"controllerName": "tidegate.dev/gateway"},
    })
}

pub fn gateway() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge"},
        "spec": {
            "gatewayClassName": "tidegate",
            "allowedListeners": {"namespaces": {"from": "Same"}},
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    })
}

/// A route as gateway-api-bench makes it: a host, a prefix, a header filter, and
/// a rule whose backend does not exist.
pub fn http_route(index: usize, service: usize) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": format!("route-{index}")},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "hostnames": [host(index)],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [{
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {"set": [{"name": "x-route", "value": index.to_string()}]},
                    }],
                    "backendRefs": [{"name": format!("svc-{service}"), "port": 80}],
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/broken"}}],
                    "backendRefs": [{"name": "nobody", "port": 80}],
                },
            ],
        },
    })
}

/// The same with a filter that says so in answers: [`super::churn::FIELD`].
pub fn versioned_route(index: usize, service: usize, version: &str) -> Value {
    let mut route = http_route(index, service);
    route["spec"]["rules"][0]["filters"] = json!([{
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": FIELD, "value": version}]},
    }]);
    route
}

/// A listener for the hosts of a group, with its certificate.
pub fn listener_set(group: usize) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ListenerSet",
        "metadata": {"name": format!("set-{group}")},
        "spec": {
            "parentRef": {"name": "edge"},
            "listeners": [{
                "name": "https", "port": 443, "protocol": "HTTPS", "hostname": set_host(group, "*"),
                "tls": {"certificateRefs": [{"name": format!("set-{group}")}]},
            }],
        },
    })
}

/// The certificate of a set's listener.
pub fn set_certificate(group: usize) -> Value {
    manifests::certificate(&format!("set-{group}"), &set_host(group, "*")).1
}

/// A host of a set's listener.
pub fn set_host(group: usize, name: &str) -> String {
    format!("{name}.set-{group}.test")
}

/// A route of a set's listener.
pub fn set_route(group: usize, index: usize, service: usize) -> Value {
    let mut route = http_route(index, service);
    route["metadata"]["name"] = json!(format!("set-{group}-{index}"));
    route["spec"]["parentRefs"] = json!([{"kind": "ListenerSet", "name": format!("set-{group}")}]);
    route["spec"]["hostnames"] = json!([set_host(group, &format!("host-{index}"))]);
    route
}
