//! The Helm chart: what it renders, what it refuses, and what a real API server
//! says to it. No node is needed: nothing runs.
//!
//! The values in `helm/tidegate/ci` are rendered and compared with the files in
//! `chart/golden`; `UPDATE_GENERATED=1 cargo test -p tidegate-gateway --test chart`
//! writes these and the chart's README.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "chart/agreement.rs"]
mod agreement;
#[path = "cluster/api_server.rs"]
mod api_server;
#[path = "chart/conditions.rs"]
mod conditions;
#[path = "chart/gateway_api.rs"]
mod gateway_api;
#[path = "chart/golden.rs"]
mod golden;
#[path = "chart/helm.rs"]
mod helm;
#[path = "cluster/http.rs"]
mod http;
#[path = "chart/install.rs"]
mod install;
#[path = "cluster/process.rs"]
mod process;
#[path = "chart/readme.rs"]
mod readme;
#[path = "chart/rights.rs"]
mod rights;
#[path = "chart/schema.rs"]
mod schema;
#[path = "support/trust_all.rs"]
mod trust_all;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares a generated file with what is in the repository, or writes it.
fn assert_fresh(path: &str, wanted: &str) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(repository(path), wanted).unwrap();
    }
    let found = std::fs::read_to_string(repository(path)).unwrap_or_default();
    if found != wanted {
        let mut lines = found.lines().zip(wanted.lines()).zip(1..);
        let first = lines.find(|((found, wanted), _)| found != wanted);
        panic!(
            "{path} is stale, first at {first:?}: \
             UPDATE_GENERATED=1 cargo test -p tidegate-gateway --test chart"
        );
    }
}

/// Polls until `condition` holds.
fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
