//! Kubernetes objects as text, for benchmarks.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its own part")]

use std::fmt::Write;

/// Adopts ingress-nginx's class.
pub const CLASS: &str = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: nginx}\nspec: {controller: k8s.io/ingress-nginx}\n";

/// An Ingress of three paths for `host-INDEX.test` to Service `svc-SERVICE`.
pub fn ingress(index: usize, service: usize) -> String {
    let backend = format!("backend: {{service: {{name: svc-{service}, port: {{number: 80}}}}}}");
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: ing-{index}, creationTimestamp: \"2026-01-01T00:00:00Z\"}}
spec:
  ingressClassName: nginx
  rules:
  - host: host-{index}.test
    http:
      paths:
      - {{path: /, pathType: Prefix, {backend}}}
      - {{path: /api, pathType: Prefix, {backend}}}
      - {{path: /healthz, pathType: Exact, {backend}}}
"
    )
}

/// Service `svc-INDEX`.
pub fn service(index: usize) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: svc-{index}}}\nspec: {{ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n"
    )
}

/// The EndpointSlice of one port of `svc-INDEX`; `endpoints` are addresses and
/// whether they are ready (otherwise: terminating, still serving).
pub fn slice(index: usize, name: &str, port: u16, endpoints: &[(&str, bool)]) -> String {
    let mut text = format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: svc-{index}-{name}, labels: {{kubernetes.io/service-name: svc-{index}}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: {port}, protocol: TCP}}]\nendpoints:"
    );
    if endpoints.is_empty() {
        text += " []";
    }
    for (address, ready) in endpoints {
        let _ = write!(
            text,
            "\n- {{addresses: [{address}], conditions: {{ready: {ready}, serving: true, terminating: {}}}}}",
            !ready
        );
    }
    text.push('\n');
    text
}

/// An HTTPRoute of two rules for `host-INDEX.test` to Service `svc-SERVICE`.
pub fn http_route(index: usize, service: usize) -> String {
    let backends = format!("backendRefs: [{{name: svc-{service}, port: 80}}]");
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: route-{index}, creationTimestamp: \"2026-01-01T00:00:00Z\"}}
spec:
  parentRefs: [{{name: edge}}]
  hostnames: [host-{index}.test]
  rules:
  - {backends}
  - matches: [{{path: {{value: /api}}}}]
    {backends}
"
    )
}
