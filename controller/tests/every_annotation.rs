//! Every annotation that is said to work: what it says arrives in the snapshot.
//! (The keys of the ConfigMap have such a test beside their table.)

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_controller::manifest;
use tidegate_controller::objects::{NamespacedName, Objects};
use tidegate_controller::options::Options;
use tidegate_controller::translate::{Translation, annotations, translate};
use tidegate_controller::verdict::Verdict;
use tidegate_snapshot::Snapshot;

type Annotations = &'static [(&'static str, &'static str)];

/// What an annotation is set to, and those that must stand beside it.
type Sample = (&'static str, &'static str, Annotations);

/// They say only what is so anyway.
const WITHOUT_EFFECT: [&str; 6] = [
    "auth-keepalive",
    "auth-keepalive-requests",
    "auth-keepalive-timeout",
    "proxy-buffering",
    "proxy-http-version",
    "proxy-ssl-server-name",
];

const AFFINITY: Annotations = &[("affinity", "cookie")];
const AUTH: Annotations = &[("auth-url", "http://auth.example/")];
const BASIC: Annotations = &[("auth-type", "basic"), ("auth-secret", "users")];
const CANARY: Annotations = &[("canary", "true"), ("canary-by-header", "X-A")];
const CLIENTS: Annotations = &[("auth-tls-secret", "default/clients")];
const CORS: Annotations = &[("enable-cors", "true")];
const HASH: Annotations = &[("upstream-hash-by", "$request_uri")];
const MIRROR: Annotations = &[("mirror-target", "http://shadow.example")];
const PAGES: Annotations = &[("custom-http-errors", "404")];
const RATE: Annotations = &[("limit-rps", "7")];
const TRACED: Annotations = &[("enable-opentelemetry", "true")];
const UPSTREAM_TLS: Annotations = &[
    ("backend-protocol", "HTTPS"),
    ("proxy-ssl-secret", "default/clients"),
    ("proxy-ssl-verify", "on"),
];

#[rustfmt::skip]
const SAMPLES: &[Sample] = &[
    ("affinity", "cookie", &[]),
    ("affinity-canary-behavior", "legacy", CANARY),
    ("affinity-mode", "persistent", AFFINITY),
    ("allowlist-source-range", "10.0.0.0/8", &[]),
    ("app-root", "/ui", &[]),
    ("auth-always-set-cookie", "true", AUTH),
    ("auth-cache-duration", "200 1h", &[("auth-url", "http://auth.example/"), ("auth-cache-key", "$remote_user")]),
    ("auth-cache-key", "$remote_user", AUTH),
    ("auth-keepalive", "7", AUTH),
    ("auth-keepalive-requests", "1000", AUTH),
    ("auth-keepalive-timeout", "60", AUTH),
    ("auth-method", "HEAD", AUTH),
    ("auth-proxy-set-headers", "default/fields", AUTH),
    ("auth-realm", "staff", BASIC),
    ("auth-request-redirect", "/back", AUTH),
    ("auth-response-headers", "X-A", AUTH),
    ("auth-secret", "users", &[("auth-type", "basic")]),
    ("auth-secret-type", "auth-map", BASIC),
    ("auth-signin", "http://auth.example/start", AUTH),
    ("auth-signin-redirect-param", "back", &[("auth-url", "http://auth.example/"), ("auth-signin", "http://auth.example/start")]),
    ("auth-snippet", "proxy_set_header X-A b;", AUTH),
    ("auth-tls-error-page", "/sorry", CLIENTS),
    ("auth-tls-match-cn", "CN=(?!x)a", CLIENTS),
    ("auth-tls-pass-certificate-to-upstream", "true", CLIENTS),
    ("auth-tls-secret", "default/clients", &[]),
    ("auth-tls-verify-client", "optional", CLIENTS),
    ("auth-tls-verify-depth", "3", CLIENTS),
    ("auth-type", "basic", &[("auth-secret", "users")]),
    ("auth-url", "http://auth.example/", &[]),
    ("backend-protocol", "GRPC", &[]),
    ("canary", "true", &[("canary-by-header", "X-A")]),
    ("canary-by-cookie", "next", CANARY),
    ("canary-by-header", "X-A", &[("canary", "true")]),
    ("canary-by-header-pattern", "^a", CANARY),
    ("canary-by-header-value", "a", CANARY),
    ("canary-weight", "7", CANARY),
    ("canary-weight-total", "777", &[("canary", "true"), ("canary-weight", "7")]),
    ("configuration-snippet", "more_set_headers \"X-A: b\";", &[]),
    ("connection-proxy-header", "keep-alive", &[]),
    ("cors-allow-credentials", "false", CORS),
    ("cors-allow-headers", "X-A", CORS),
    ("cors-allow-methods", "GET", CORS),
    ("cors-allow-origin", "https://a.example", CORS),
    ("cors-expose-headers", "X-A", CORS),
    ("cors-max-age", "7", CORS),
    ("custom-headers", "default/fields", &[]),
    ("custom-http-errors", "404", &[]),
    ("default-backend", "other", PAGES),
    ("denylist-source-range", "10.0.0.0/8", &[]),
    ("disable-proxy-intercept-errors", "true", PAGES),
    ("enable-access-log", "false", &[]),
    ("enable-cors", "true", &[]),
    ("enable-global-auth", "false", &[]),
    ("enable-opentelemetry", "true", &[]),
    ("force-ssl-redirect", "true", &[("ssl-redirect", "false")]),
    ("from-to-www-redirect", "true", &[]),
    ("limit-allowlist", "10.0.0.0/8", RATE),
    ("limit-burst-multiplier", "7", RATE),
    ("limit-connections", "7", &[]),
    ("limit-rate", "7", &[]),
    ("limit-rate-after", "7", &[("limit-rate", "7")]),
    ("limit-rpm", "7", &[]),
    ("limit-rps", "7", &[]),
    ("limit-whitelist", "10.0.0.0/8", RATE),
    ("load-balance", "ewma", &[]),
    ("mirror-host", "shadow.example", MIRROR),
    ("mirror-request-body", "off", MIRROR),
    ("mirror-target", "http://shadow.example", &[]),
    ("opentelemetry-operation-name", "edge", TRACED),
    ("opentelemetry-trust-incoming-span", "false", TRACED),
    ("permanent-redirect", "http://new.example", &[]),
    ("permanent-redirect-code", "308", &[("permanent-redirect", "http://new.example")]),
    ("preserve-trailing-slash", "true", &[("force-ssl-redirect", "true")]),
    ("proxy-body-size", "7m", &[]),
    ("proxy-buffer-size", "7k", &[]),
    ("proxy-buffering", "off", &[]),
    ("proxy-connect-timeout", "7", &[]),
    ("proxy-cookie-domain", "a b", &[]),
    ("proxy-cookie-path", "/a /b", &[]),
    ("proxy-http-version", "1.1", &[]),
    ("proxy-next-upstream", "http_503", &[]),
    ("proxy-next-upstream-timeout", "7", &[]),
    ("proxy-next-upstream-tries", "7", &[]),
    ("proxy-read-timeout", "7", &[]),
    ("proxy-redirect-from", "http://a/", &[("proxy-redirect-to", "http://b/")]),
    ("proxy-redirect-to", "http://b/", &[("proxy-redirect-from", "http://a/")]),
    ("proxy-request-buffering", "off", &[]),
    ("proxy-send-timeout", "7", &[]),
    ("proxy-ssl-ciphers", "ECDHE-RSA-AES256-GCM-SHA384", UPSTREAM_TLS),
    ("proxy-ssl-name", "a.internal", UPSTREAM_TLS),
    ("proxy-ssl-protocols", "TLSv1.3", UPSTREAM_TLS),
    ("proxy-ssl-secret", "default/clients", &[("backend-protocol", "HTTPS")]),
    ("proxy-ssl-server-name", "on", UPSTREAM_TLS),
    ("proxy-ssl-verify", "on", &[("backend-protocol", "HTTPS"), ("proxy-ssl-secret", "default/clients")]),
    ("proxy-ssl-verify-depth", "3", UPSTREAM_TLS),
    ("relative-redirects", "true", &[("permanent-redirect", "/new")]),
    ("rewrite-target", "/new", &[]),
    ("satisfy", "any", &[("auth-type", "basic"), ("auth-secret", "users"), ("allowlist-source-range", "10.0.0.0/8")]),
    ("server-alias", "alias.example", &[]),
    ("server-snippet", "return 403;", &[]),
    ("service-upstream", "true", &[]),
    ("session-cookie-change-on-failure", "true", AFFINITY),
    ("session-cookie-conditional-samesite-none", "true", AFFINITY),
    ("session-cookie-domain", "a.example", AFFINITY),
    ("session-cookie-expires", "7", AFFINITY),
    ("session-cookie-max-age", "7", AFFINITY),
    ("session-cookie-name", "route", AFFINITY),
    ("session-cookie-path", "/a", AFFINITY),
    ("session-cookie-samesite", "Lax", AFFINITY),
    ("session-cookie-secure", "true", AFFINITY),
    ("ssl-ciphers", "ECDHE-RSA-AES256-GCM-SHA384", &[]),
    ("ssl-passthrough", "true", &[]),
    ("ssl-prefer-server-ciphers", "false", &[]),
    ("ssl-redirect", "false", &[]),
    ("temporal-redirect", "http://new.example", &[]),
    ("temporal-redirect-code", "307", &[("temporal-redirect", "http://new.example")]),
    ("upstream-hash-by", "$request_uri", &[]),
    ("upstream-hash-by-subset", "true", HASH),
    ("upstream-hash-by-subset-size", "7", &[("upstream-hash-by", "$request_uri"), ("upstream-hash-by-subset", "true")]),
    ("upstream-vhost", "a.internal", &[]),
    ("use-port-in-redirects", "true", &[]),
    ("use-regex", "true", &[]),
    ("whitelist-source-range", "10.0.0.0/8", &[]),
    ("x-forwarded-prefix", "/a", &[("rewrite-target", "/new")]),
];

fn ingress(name: &str, host: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {
            "tls": [{"hosts": [host], "secretName": "clients"}],
            "rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"number": 80}}},
            }]}}],
        },
    })
}

fn secret(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": data,
        "metadata": {"name": name, "namespace": "default"},
    })
}

fn config_map(namespace: &str, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": name, "namespace": namespace},
    })
}

/// Everything that annotations name, made once: keys are new each time.
fn surroundings(global_auth: bool) -> Vec<Value> {
    let made = rcgen::generate_simple_self_signed(["s.example".to_owned(), "a.example".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut keys = json!({
        "allow-snippet-annotations": "true", "annotations-risk-level": "Critical",
        "global-allowed-response-headers": "X-A", "otlp-collector-host": "otel.example",
    });
    if global_auth {
        keys["global-auth-url"] = json!("http://auth.example/");
    }
    let mut objects = vec![
        config_map("ingress", "config", &keys),
        config_map("default", "fields", &json!({"X-A": "b"})),
        secret("users", &json!({"auth": "foo:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="})),
        secret(
            "clients",
            &json!({"ca.crt": certificate, "tls.crt": certificate, "tls.key": key}),
        ),
    ];
    for service in ["subject", "main", "other"] {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
        }));
    }
    objects
}

fn translated(surroundings: &[Value], subject: &Value) -> Translation {
    let affinity = [("affinity", "cookie")];
    let main = ingress("main", "a.example", &affinity);
    let documents = surroundings.iter().chain([&main, subject]);
    let text: Vec<String> = documents.map(Value::to_string).collect();
    let manifest = manifest::parse("test", &text.join("\n---\n"));
    assert_eq!(manifest.errors, []);
    let mut objects = Objects::new();
    for object in manifest.objects {
        objects.apply(object);
    }
    let options = Options {
        config_map: NamespacedName::parse("ingress/config"),
        watch_ingress_without_class: true,
        tls_passthrough: true,
        ..Options::default()
    };
    translate(&objects, &options)
}

/// The snapshot without traces of who it is from.
fn snapshot(
    surroundings: &[Value],
    host: &str,
    annotations: &[(&str, &str)],
) -> (Arc<Snapshot>, Vec<String>) {
    let translation = translated(surroundings, &ingress("subject", host, annotations));
    let problems = translation.problems.iter().map(|problem| problem.to_string());
    (translation.snapshot, problems.collect())
}

#[test]
fn every_annotation_that_works_has_its_effect() {
    let (plain, guarded) = (surroundings(false), surroundings(true));
    let works = annotations().filter(|row| matches!(row.verdict, Verdict::Works | Verdict::Differs(_)));
    let mut failed = Vec::new();
    for row in works {
        let sample = SAMPLES.iter().find(|(name, ..)| *name == row.name);
        let Some((name, value, beside)) = sample else {
            failed.push(format!("{} has no sample", row.name));
            continue;
        };
        let canary = name.contains("canary");
        let host = if canary { "a.example" } else { "s.example" };
        let surroundings = if *name == "enable-global-auth" {
            &guarded
        } else {
            &plain
        };
        let mut with = beside.to_vec();
        with.push((name, value));
        let (after, problems) = snapshot(surroundings, host, &with);
        let (before, _) = snapshot(surroundings, host, beside);
        if let Some(problem) = problems
            .iter()
            .find(|problem| problem.contains(&format!("/{name}]")))
        {
            failed.push(problem.clone());
        }
        if (after != before) == WITHOUT_EFFECT.contains(name) {
            failed.push(format!("{name}: {value:?} beside {beside:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn samples_are_sorted_and_of_known_annotations() {
    assert!(SAMPLES.is_sorted_by_key(|(name, ..)| name));
    for (name, ..) in SAMPLES {
        assert!(annotations().any(|row| row.name == *name), "{name}");
    }
}
