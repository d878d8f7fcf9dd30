//! Dashboards and alerts against a real Prometheus that scrapes a real gateway
//! with a real API server: every query finds data, every alert can be evaluated,
//! and `docs/metrics.md`, made from the same scrape, names every metric.
//!
//! Needs Debian's package `prometheus`, as `cargo xtask setup` installs it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "cluster/api_server.rs"]
mod api_server;
#[path = "cluster/backend.rs"]
mod backend;
#[path = "cluster/http.rs"]
mod http;
#[path = "dashboards/ingress_nginx.rs"]
mod ingress_nginx;
#[path = "cluster/manifests.rs"]
mod manifests;
#[path = "support/namespace.rs"]
mod namespace;
#[path = "dashboards/page.rs"]
mod page;
#[path = "dashboards/picture.rs"]
mod picture;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/program.rs"]
mod program;
#[path = "dashboards/prometheus.rs"]
mod prometheus;
#[path = "dashboards/queries.rs"]
mod queries;
#[path = "support/trust_all.rs"]
mod trust_all;
#[path = "cluster/webhook.rs"]
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use api_server::ApiServer;
use backend::Backend;
use program::Program;
use prometheus::Prometheus;
use serde_json::{Value, json};

/// How long anything may take before the test fails.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn every_query_finds_data() {
    if !namespace::entered("every_query_finds_data") {
        return;
    }
    let mut api = ApiServer::start();
    let _backend = Backend::start("10.77.0.1");
    let review = SocketAddr::from(([127, 0, 0, 1], process::free_port()));
    let gateway = Program::start(&api.kubeconfig, "203.0.113.7", &webhook::flags(review));
    let prometheus = Prometheus::start(gateway.admin, &repository("helm/tidegate/alerts.yaml"));

    objects(&api);
    webhook::certificate_made(&api, review);
    traffic(&gateway);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        draw(&api, &gateway, &prometheus);
    }
    // Watches fail, and what is counted of that appears.
    api.kill();
    within(SOON, "failed watches", || {
        scrape(&gateway).contains("\ntidegate_controller_watch_errors_total{")
    });
    traffic(&gateway);
    prometheus.wait_for("tidegate_controller_watch_errors_total", 3);

    let scraped = scrape(&gateway);
    page::assert_fresh(&scraped);
    page::assert_complete(&scraped);
    for (board, title, query) in queries::panels() {
        prometheus.assert_data(&query, &format!("dashboard {board}, panel {title:?}"));
    }
    for (board, name, metric, label) in queries::variables() {
        let query = format!("count by ({label}) ({metric}{{{label}!=\"\"}})");
        prometheus.assert_data(&query, &format!("dashboard {board}, variable {name}"));
    }
    for (alert, selector) in queries::alert_selectors() {
        prometheus.assert_data(&selector, &format!("alert {alert}"));
    }
    for (title, query) in ingress_nginx::queries() {
        prometheus.assert_data(&query, &format!("ingress-nginx, {title}"));
    }
    prometheus.assert_rules_work(queries::alert_count());
    picture::assert_complete();
}

/// Traffic that rises and falls, while endpoints come and go, for the pictures.
fn draw(api: &ApiServer, gateway: &Program, prometheus: &Prometheus) {
    let start = SystemTime::now();
    let mut rounds = 0_u64;
    while start.elapsed().unwrap() < picture::DRAWN {
        api.apply(&manifests::slice(&["10.77.0.1", "10.77.0.2"]));
        api.apply(&manifests::slice(&["10.77.0.1"]));
        traffic(gateway);
        std::thread::sleep(Duration::from_millis(60 * (rounds % 6)));
        rounds += 1;
    }
    picture::draw(prometheus, start);
}

/// Each alert of `alerts.test.yaml` fires when it should, with its text.
#[test]
fn alerts_fire() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = std::fs::canonicalize(repository("helm/tidegate/alerts.yaml")).unwrap();
    let cases = read("gateway/tests/dashboards/alerts.test.yaml").replace("ALERTS", alerts.to_str().unwrap());
    let file = folder.path().join("alerts.test.yaml");
    std::fs::write(&file, cases).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(file)
        .output()
        .expect("promtool is there: run `cargo xtask setup`");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// One of everything that is counted by object: an Ingress that works, one with
/// a certificate, one that lets nobody in, one whose endpoint refuses, one without
/// endpoints and with a mistake.
fn objects(api: &ApiServer) {
    api.apply(&manifests::class());
    api.apply(&manifests::service());
    api.apply(&manifests::slice(&["10.77.0.1"]));
    api.apply(&manifests::ingress("works", "works.example"));
    let (_, secret) = manifests::certificate("secure", "secure.example");
    api.apply(&secret);
    api.apply(&manifests::tls_ingress("secure", "secure.example", "secure"));
    // Of nobody's hosts ingress-nginx's metrics count nothing.
    let mut closed = manifests::ingress("closed", "closed.example");
    closed["metadata"]["annotations"] =
        json!({"nginx.ingress.kubernetes.io/whitelist-source-range": "192.0.2.1/32"});
    api.apply(&closed);
    // Nobody listens there.
    api.apply(&manifests::slice_of("refuses", &["10.77.0.9"]));
    api.apply(&named_service("refuses"));
    api.apply(&to_service("refuses"));
    api.apply(&named_service("empty"));
    let mut mistaken = to_service("empty");
    mistaken["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/no-such-thing": "1"});
    api.apply(&mistaken);
}

fn named_service(name: &str) -> Value {
    let mut service = manifests::service();
    service["metadata"]["name"] = json!(name);
    service
}

/// An Ingress to the Service of its own name.
fn to_service(name: &str) -> Value {
    let mut ingress = manifests::ingress(name, &format!("{name}.example"));
    let backend = "/spec/rules/0/http/paths/0/backend/service/name";
    *ingress.pointer_mut(backend).unwrap() = json!(name);
    ingress
}

/// Every class of answer, handshakes that work and one that does not.
fn traffic(gateway: &Program) {
    let status = |host: &str| http::get(gateway.http, host, "/").map(|answer| answer.status);
    within(SOON, "the objects are served", || {
        status("works.example") == Some(200)
            && status("closed.example") == Some(403)
            && status("empty.example") == Some(503)
    });
    for _ in 0..20 {
        assert_eq!(status("works.example"), Some(200));
        assert_eq!(status("secure.example"), Some(308));
        assert_eq!(status("nobody.example"), Some(404));
        assert_eq!(status("closed.example"), Some(403));
        assert_eq!(status("empty.example"), Some(503));
        assert_eq!(status("refuses.example"), Some(502));
        assert!(http::certificate(gateway.https, "secure.example").is_some());
        // Plain HTTP to the TLS port.
        let _ = http::get(gateway.https, "secure.example", "/");
    }
}

fn scrape(gateway: &Program) -> String {
    http::get(gateway.admin, "admin", "/metrics").unwrap().body
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn parse_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Polls until `condition` holds; returns how long it took.
fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}
