//! The program against a real Kubernetes API server: what a user sees with
//! kubectl and curl, and what happens when the API server or the Lease is lost.
//!
//! One etcd and one API server for all cases, which run one after the other.
//! EndpointSlices may not hold loopback addresses, so the test runs itself once
//! more in a network namespace where 10.77.0.0/16 is local.

#![allow(
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
#[path = "cluster/gateway_api.rs"]
mod gateway_api;
#[path = "cluster/geoip.rs"]
mod geoip;
#[path = "cluster/http.rs"]
mod http;
#[path = "cluster/manifests.rs"]
mod manifests;
#[path = "support/namespace.rs"]
mod namespace;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/program.rs"]
mod program;
#[path = "cluster/selector.rs"]
mod selector;
#[path = "cluster/services.rs"]
mod services;
#[path = "support/trust_all.rs"]
mod trust_all;
#[path = "cluster/webhook.rs"]
mod webhook;
#[path = "cluster/zone.rs"]
mod zone;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use api_server::ApiServer;
use backend::Backend;
use program::Program;
use serde_json::json;

/// `--publish-status-address`.
const ADDRESS: &str = "203.0.113.7";
const HOST: &str = "hello.nginx.com";
const LEASE: &str = "ingress-controller-leader";
const WRITTEN: &str = "tidegate_controller_status_writes_total{result=\"written\"}";

#[test]
fn a_real_api_server() {
    if !namespace::entered("a_real_api_server") {
        return;
    }
    let start = Instant::now();
    let mut api = ApiServer::start();
    println!("API server ready after {:?}", start.elapsed());
    let backends = ["10.77.0.1", "10.77.0.2", "10.77.0.3"].map(Backend::start);
    let review = SocketAddr::from(([127, 0, 0, 1], process::free_port()));
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &webhook::flags(review));

    welcome_page(&api, &gateway);
    let stream = SocketAddr::from(([127, 0, 0, 1], process::free_port()));
    gateway_api::kinds_come_and_go(&api, &gateway, stream);
    certificate_rotation(&api, &gateway);
    webhook::certificate_made(&api, review);
    webhook::certificate_renewed(&api, review);
    endpoints_scaled(&api, &gateway, &backends);
    api_server_restarted(&mut api, &gateway);
    lease_lost_and_regained(&api, &gateway);
    farewell(&api, &mut gateway);
    leader_without_statuses(&api);
    services::of_gateways(&api);
    zone::of_own_node(&api);
    selector::of_namespaces(&api);
    geoip::missing_is_an_event(&api);
}

/// Polls until `condition` holds; returns how long it took.
fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

const SOON: Duration = Duration::from_secs(20);
/// For 1,000 statuses, on a quiet machine.
const STATUSES_GOAL: Duration = Duration::from_secs(5);

fn welcome_page(api: &ApiServer, gateway: &Program) {
    api.apply(&manifests::class());
    api.apply(&manifests::service());
    api.apply(&manifests::slice(&["10.77.0.1"]));
    api.apply(&manifests::ingress("example-ingress", HOST));
    let took = within(SOON, "the page answers", || {
        http::get(gateway.http, HOST, "/").is_some_and(|answer| answer.status == 200)
    });
    println!("welcome page: answers {took:?} after the Ingress");
    let answer = http::get(gateway.http, HOST, "/").unwrap();
    assert!(answer.body.contains("Welcome to nginx!"), "{}", answer.body);
    assert_eq!(http::get(gateway.http, "other.example", "/").unwrap().status, 404);
    let mut line = String::new();
    within(SOON, "kubectl shows the address", || {
        line = api.kubectl(&["get", "ingress", "example-ingress", "--no-headers"]);
        line.contains(ADDRESS)
    });
    let columns: Vec<&str> = line.split_whitespace().take(4).collect();
    assert_eq!(columns, ["example-ingress", "nginx", HOST, ADDRESS]);
    within(SOON, "a Sync event", || {
        api.kubectl(&["get", "events", "--field-selector", "reason=Sync", "--no-headers"])
            .contains("ingress/example-ingress")
    });
}

fn certificate_rotation(api: &ApiServer, gateway: &Program) {
    let host = "secure.example";
    let (first, manifest) = manifests::certificate("secure", host);
    api.apply(&manifest);
    api.apply(&manifests::tls_ingress("secure", host, "secure"));
    within(SOON, "the first certificate", || {
        http::certificate(gateway.https, host).as_ref() == Some(&first)
    });
    let (second, manifest) = manifests::certificate("secure", host);
    assert_ne!(first, second);
    api.apply(&manifest);
    let took = within(SOON, "the second certificate", || {
        http::certificate(gateway.https, host).as_ref() == Some(&second)
    });
    println!("certificate: served {took:?} after its Secret");
}

fn endpoints_scaled(api: &ApiServer, gateway: &Program, backends: &[Backend]) {
    let all: Vec<&str> = backends.iter().map(|backend| backend.address).collect();
    let who = || -> BTreeSet<String> {
        (0..30)
            .map(|_| {
                let answer = http::get(gateway.http, HOST, "/").unwrap();
                assert_eq!(answer.status, 200);
                answer.body.lines().last().unwrap().to_owned()
            })
            .collect()
    };
    for wanted in [&all[..], &all[2..], &all[..1]] {
        api.apply(&manifests::slice(wanted));
        let wanted: BTreeSet<String> = wanted.iter().map(|address| (*address).to_owned()).collect();
        let took = within(SOON, "the endpoints of the slice", || who() == wanted);
        println!("endpoints: {} in use after {took:?}", wanted.len());
    }
    api.apply(&manifests::slice(&[]));
    within(SOON, "503 without endpoints", || {
        http::get(gateway.http, HOST, "/").unwrap().status == 503
    });
    api.apply(&manifests::slice(&all));
    within(SOON, "all endpoints again", || {
        http::get(gateway.http, HOST, "/").unwrap().status == 200
    });
}

fn api_server_restarted(api: &mut ApiServer, gateway: &Program) {
    api.kill();
    let end = Instant::now() + Duration::from_secs(3);
    let mut requests = 0;
    while Instant::now() < end {
        assert_eq!(http::get(gateway.http, HOST, "/").unwrap().status, 200);
        requests += 1;
    }
    println!("outage: {requests} requests answered without the API server");
    api.restart();
    assert_eq!(http::get(gateway.http, HOST, "/").unwrap().status, 200);
    api.apply(&manifests::ingress("later", "later.example"));
    let took = within(Duration::from_secs(40), "a change after the outage", || {
        let answer = http::get(gateway.http, HOST, "/").unwrap();
        assert_eq!(answer.status, 200);
        http::get(gateway.http, "later.example", "/").unwrap().status == 200
    });
    println!("outage: first change served {took:?} after it was made");
}

fn lease_lost_and_regained(api: &ApiServer, gateway: &Program) {
    const MANY: usize = 1000;
    within(SOON, "leadership after the outage", || {
        gateway.metric("tidegate_controller_is_leader") == 1.0
    });
    api.patch_lease(
        LEASE,
        &json!({"holderIdentity": "somebody-else", "leaseDurationSeconds": 600}),
    );
    within(SOON, "leadership given up", || {
        gateway.metric("tidegate_controller_is_leader") == 0.0
    });
    let start = Instant::now();
    api.create(&manifests::many(MANY));
    println!("lease: {MANY} Ingresses created in {:?}", start.elapsed());
    within(SOON, "the last of them served", || {
        http::get(gateway.http, &format!("many{}.example", MANY - 1), "/")
            .unwrap()
            .status
            == 200
    });
    assert_eq!(api.with_address("many="), 0, "only the leader writes");
    let before = gateway.metric(WRITTEN);
    api.patch_lease(LEASE, &json!({"leaseDurationSeconds": 1}));
    within(SOON, "leadership regained", || {
        gateway.metric("tidegate_controller_is_leader") == 1.0
    });
    // The gateway's own count: asking the API server all the time slows it down.
    let took = within(Duration::from_secs(60), "every status written", || {
        gateway.metric(WRITTEN) >= before + MANY as f64
    });
    println!("statuses: {MANY} written within {took:?} of leadership");
    assert_eq!(api.with_address("many="), MANY);
    // ingress-nginx needs 400 s.
    let goal = STATUSES_GOAL.mul_f64(business());
    assert!(took <= goal, "{MANY} statuses took {took:?}, not {goal:?}");
}

/// How many times as long things may take, because other programs want the
/// processors too (a compiler, for example): 1 to 4.
fn business() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let processors = std::thread::available_parallelism().unwrap().get() as f64;
    (load / processors).clamp(1.0, 4.0)
}

fn farewell(api: &ApiServer, gateway: &mut Program) {
    let took = gateway.terminate(Duration::from_secs(30));
    println!("farewell: ended {took:?} after SIGTERM");
    assert_eq!(api.with_address(""), 0, "the last pod takes its address away");
    let holder = api.kubectl(&["get", "lease", LEASE, "-o", "jsonpath={.spec.holderIdentity}"]);
    assert_eq!(holder, "", "the Lease is handed back");
}

/// As in ingress-nginx: somebody leads, and the metric says so, where nobody
/// writes statuses.
fn leader_without_statuses(api: &ApiServer) {
    let silent = ["--update-status=false".to_owned()];
    let mut gateway = Program::start(&api.kubeconfig, ADDRESS, &silent);
    within(SOON, "leadership without statuses", || {
        gateway.metric("tidegate_controller_is_leader") == 1.0
    });
    gateway.terminate(Duration::from_secs(30));
    assert_eq!(api.with_address(""), 0);
}
