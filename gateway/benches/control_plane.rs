//! The whole way from a real API server to requests: Ingresses with TLS and
//! annotations at several sizes, many at once, then what gateway-api-bench asks of
//! Gateway API (attached routes, route probe, route scale, route change, failover,
//! traffic, ListenerSets).
//!
//! `cargo xtask bench control_plane` sets `TIDEGATE_TOOLS` and `GATEWAY_API_CRDS`;
//! `SIZES=100,1000` chooses other numbers of Ingresses, `PART=ingress`, `PART=burst`
//! or `PART=gateway-api` one part. `PROBES`, `FLIPS`, `FAILOVER_REQUESTS`,
//! `TRAFFIC_SECONDS`, `LISTENER_SETS`, `STATUSES` and `BURST` make it shorter.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::duplicate_mod,
    reason = "a benchmark; its modules are the tests'"
)]

#[path = "../tests/cluster/api_server.rs"]
mod api_server;
#[path = "../tests/cluster/backend.rs"]
mod backend;
#[path = "control_plane/burst.rs"]
mod burst;
#[path = "control_plane/churn.rs"]
mod churn;
#[path = "common/common.rs"]
mod common;
#[path = "control_plane/failover.rs"]
mod failover;
#[path = "control_plane/gateway_api.rs"]
mod gateway_api;
#[path = "control_plane/goals.rs"]
mod goals;
#[path = "../tests/cluster/http.rs"]
mod http;
#[path = "control_plane/ingresses.rs"]
mod ingresses;
#[path = "control_plane/listener_sets.rs"]
mod listener_sets;
#[path = "../tests/cluster/manifests.rs"]
mod manifests;
#[path = "../tests/support/namespace.rs"]
mod namespace;
#[path = "control_plane/objects.rs"]
mod objects;
#[path = "../tests/cluster/process.rs"]
mod process;
#[path = "../tests/cluster/program.rs"]
mod program;
#[path = "control_plane/route_change.rs"]
mod route_change;
#[path = "common/secure.rs"]
mod secure;
#[path = "control_plane/traffic.rs"]
mod traffic;
#[path = "../tests/support/trust_all.rs"]
mod trust_all;
#[path = "control_plane/world.rs"]
mod world;

use std::time::{Duration, Instant};

/// How long anything may take before the benchmark fails.
const SOON: Duration = Duration::from_secs(300);

fn main() {
    if !namespace::entered("control_plane") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let part = std::env::var("PART").unwrap_or_default();
    let sizes = std::env::var("SIZES").unwrap_or_else(|_| "100,1000,10000".to_owned());
    let sizes = sizes
        .split(',')
        .map(|size| size.parse().expect("SIZES are numbers"));
    runtime.block_on(async {
        world::backends().await;
        let is_wanted = |name: &str| part.is_empty() || part == name;
        if is_wanted("ingress") {
            ingresses::measure(sizes).await;
        }
        if is_wanted("burst") {
            burst::measure().await;
        }
        if is_wanted("gateway-api") {
            gateway_api::measure().await;
        }
    });
    goals::conclude();
}

/// A number of the environment.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// Polls until `condition` holds; returns how long it took.
fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}
