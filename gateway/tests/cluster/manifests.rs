//! The objects that the cases apply.

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::backend::PORT;

pub fn class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    })
}

pub fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "nginx-svc", "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": PORT}]},
    })
}

pub fn slice(addresses: &[&str]) -> Value {
    slice_of("nginx-svc", addresses)
}

/// The endpoints of a Service.
pub fn slice_of(service: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-1"), "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

pub fn ingress(name: &str, host: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "nginx-svc", "port": {"number": 80}}},
            }]}}],
        },
    })
}

pub fn tls_ingress(name: &str, host: &str, secret: &str) -> Value {
    let mut ingress = ingress(name, host);
    ingress["spec"]["tls"] = json!([{"hosts": [host], "secretName": secret}]);
    ingress
}

/// A self-signed certificate in DER, and a Secret with it and its key.
pub fn certificate(secret: &str, host: &str) -> (Vec<u8>, Value) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": secret, "namespace": "default"},
        "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()},
    });
    (certificate.der().to_vec(), manifest)
}

/// Ingresses labelled `many`, each with a host of its own.
pub fn many(count: usize) -> Value {
    let items: Vec<Value> = (0..count)
        .map(|index| {
            let mut ingress = ingress(&format!("many{index}"), &format!("many{index}.example"));
            ingress["metadata"]["labels"] = json!({"many": ""});
            ingress
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
