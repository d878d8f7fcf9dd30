//! A cluster of 1,000 Ingresses with the annotations that real ones have: it
//! must translate without a single Problem; and 10,000 of them, beside which
//! another one is judged by the webhook in no time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_controller::manifest;
use tidegate_controller::objects::{NamespacedName, Objects};
use tidegate_controller::options::Options;
use tidegate_controller::translate::{Admission, Translator, translate};

const INGRESSES: usize = 1000;
const NAMESPACES: usize = 40;

/// What teams write, most frequent first (annotations reference §24).
const PROFILES: [&[(&str, &str)]; 16] = [
    &[],
    &[],
    &[("ssl-redirect", "true"), ("proxy-body-size", "50m")],
    &[("force-ssl-redirect", "true")],
    &[("proxy-read-timeout", "3600"), ("proxy-send-timeout", "3600")],
    &[("rewrite-target", "/$1"), ("use-regex", "true")],
    &[("whitelist-source-range", "10.0.0.0/8, 192.168.0.0/16")],
    &[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://app.example.com"),
    ],
    &[("affinity", "cookie"), ("session-cookie-name", "route")],
    &[("backend-protocol", "HTTPS"), ("proxy-ssl-verify", "off")],
    &[("backend-protocol", "GRPC")],
    &[("limit-rps", "50"), ("limit-connections", "20")],
    &[("app-root", "/ui")],
    &[("permanent-redirect", "https://www.example.com")],
    &[("proxy-buffering", "on"), ("proxy-buffer-size", "16k")],
    &[("enable-access-log", "false"), ("load-balance", "ewma")],
];

fn service(namespace: &str, name: &str, number: usize) -> [Value; 2] {
    let address = format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
    [
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-1"), "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        }),
    ]
}

fn ingress(namespace: &str, name: &str, number: usize) -> Value {
    let profile = PROFILES[number % PROFILES.len()];
    let annotations: serde_json::Map<_, _> = profile
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
        .collect();
    let regex = profile.iter().any(|(key, _)| *key == "use-regex");
    let (path, path_type) = if regex {
        ("/api/(.*)", "ImplementationSpecific")
    } else {
        ("/", "Prefix")
    };
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{
            "host": format!("{name}.{namespace}.example.com"),
            "http": {"paths": [{
                "path": path, "pathType": path_type,
                "backend": {"service": {"name": name, "port": {"number": 80}}},
            }]},
        }]},
    })
}

fn cluster(ingresses: usize) -> String {
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
        "spec": {"controller": "tidegate.dev/ingress"},
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "controller", "namespace": "ingress-nginx"},
        "data": {
            "use-forwarded-headers": "true", "proxy-real-ip-cidr": "10.0.0.0/8", "proxy-body-size": "8m",
            "worker-processes": "auto", "use-gzip": "true", "hsts-max-age": "86400",
            "log-format-escape-json": "true", "log-format-upstream": "{\"status\":$status}",
        },
    });
    let mut documents = vec![class, config];
    for number in 0..ingresses {
        let namespace = format!("team-{}", number % NAMESPACES);
        let name = format!("app-{number}");
        documents.extend(service(&namespace, &name, number));
        documents.push(ingress(&namespace, &name, number));
    }
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    documents.join("\n---\n")
}

fn objects(yaml: &str) -> Objects {
    let manifest = manifest::parse("cluster", yaml);
    assert_eq!(manifest.errors, []);
    let mut objects = Objects::new();
    for object in manifest.objects {
        objects.apply(object);
    }
    objects
}

fn options() -> Options {
    Options {
        config_map: Some(NamespacedName::new("ingress-nginx", "controller")),
        ..Options::default()
    }
}

/// What `tidegate check` does: read, translate, list the problems. A second in
/// a release build; a debug build on a busy machine gets many more.
#[test]
fn a_thousand_ingresses_have_no_problem() {
    let yaml = cluster(INGRESSES);
    let start = Instant::now();
    let objects = objects(&yaml);
    let translation = translate(&objects, &options());
    let took = start.elapsed();
    assert_eq!(translation.problems, []);
    assert_eq!(translation.accepted.len(), INGRESSES);
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// ingress-nginx renders and tests the whole configuration for each. The limit is
/// for the slowest of a hundred in a debug build on a busy machine, but one; a
/// release build takes some microseconds.
#[test]
fn the_webhook_judges_beside_ten_thousand_within_ten_milliseconds() {
    const MANY: usize = 10_000;
    let objects = objects(&cluster(MANY));
    let mut translator = Translator::new(options());
    translator.translate(&objects);
    let mut times: Vec<Duration> = (0..100)
        .map(|number| {
            // Every second one has the host and path of another.
            let name = format!("app-{number}");
            let namespace = match number % 2 {
                0 => format!("new-{number}"),
                _ => format!("team-{}", number % NAMESPACES),
            };
            let mut object = ingress(&namespace, &name, number);
            object["metadata"]["name"] = json!("new");
            let object = serde_json::from_value(object).unwrap();
            let start = Instant::now();
            let admission = translator.admit(&objects, &object);
            let took = start.elapsed();
            match number % 2 {
                0 => assert_eq!(admission, Admission::Allowed(Vec::new())),
                _ => assert!(matches!(admission, Admission::Denied(_)), "{admission:?}"),
            }
            took
        })
        .collect();
    times.sort();
    println!("median {:?}, slowest {:?}", times[50], times[99]);
    assert!(times[98] < Duration::from_millis(10), "{times:?}");
}
