//! The router at size: what a lookup costs among few and many hosts, what a
//! compilation costs cold and after one change, and the memory it takes.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/table.rs"]
mod table;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use table::{Bench, hostname, lookups, requests};
use tidegate_gateway::path;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// The goals of the first issue.
const LOOKUP_RATIO: f64 = 1.5;
const MEMORY_MIB: f64 = 25.0;
/// Short rounds, of which the best counts: other load on the machine can only add.
const LOOKUPS: usize = 20_000;
const LOOKUP_ROUNDS: usize = 100;
const ROUNDS: usize = 15;
const BUSY: usize = 10;

fn main() {
    println!(
        "each host has 3 routes to a cluster of its own; lookups go to {BUSY} hosts, or all in turn; best of {ROUNDS}, lookups of {LOOKUP_ROUNDS}"
    );
    println!(
        "{:>8}{:>12}{:>12}{:>12}{:>16}{:>16}{:>18}{:>14}{:>12}",
        "hosts",
        "lookup ns",
        "in turn ns",
        "bare map ns",
        "compile ms",
        "1 host ms",
        "1 cluster ms",
        "endpoints µs",
        "RSS MiB"
    );
    let mut costs = Vec::new();
    for size in SIZES {
        let before = resident().unwrap_or_default();
        let mut bench = Bench::new(size);
        let memory = (resident().unwrap_or_default() - before) / f64::from(1 << 20);
        let lookup = |busy| {
            let requests = requests(size, busy);
            let time = best(LOOKUP_ROUNDS, || {
                let start = Instant::now();
                lookups(&bench.runtime, &requests, LOOKUPS);
                start.elapsed()
            });
            time.as_secs_f64() * 1e9 / LOOKUPS as f64
        };
        let (lookup, spread) = (lookup(BUSY), lookup(size));
        let floor = bare_map(size);
        costs.push((lookup, memory));
        println!(
            "{size:>8}{lookup:>12.0}{spread:>12.0}{floor:>12.0}{:>16.2}{:>16.2}{:>18.2}{:>14.1}{memory:>12.1}",
            millis(best(ROUNDS, || bench.cold())),
            millis(best(ROUNDS, || bench.one_host())),
            millis(best(ROUNDS, || bench.one_cluster())),
            millis(best(ROUNDS, || bench.endpoints())) * 1e3,
        );
    }
    let (first, last) = (costs[0], costs[SIZES.len() - 1]);
    println!(
        "lookup at {} hosts: {:.2} × of {} (goal {LOOKUP_RATIO}); memory: {:.1} MiB with snapshot, clusters and metrics \
         (goal for routes alone {MEMORY_MIB})",
        SIZES[SIZES.len() - 1],
        last.0 / first.0,
        SIZES[0],
        last.1
    );
    println!(
        "normalising a path: {:.1} ns as it is, {:.1} ns with work to do",
        normalising("/api/v1/users/1234/orders"),
        normalising("/api//v1/./users/%31%32/orders")
    );
}

/// The floor of "in turn": a standard map from the same names, asked for the
/// same hosts, whose value is one allocation that is read.
fn bare_map(hosts: usize) -> f64 {
    let map: HashMap<Arc<str>, Arc<u64>> = (0..hosts)
        .map(|number| (hostname(number).into(), Arc::new(number as u64)))
        .collect();
    let requests = requests(hosts, hosts);
    let time = best(LOOKUP_ROUNDS, || {
        let start = Instant::now();
        for request in requests.iter().cycle().take(LOOKUPS) {
            black_box(map.get(black_box(&*request.host)).cloned());
        }
        start.elapsed()
    });
    time.as_secs_f64() * 1e9 / LOOKUPS as f64
}

fn normalising(raw: &str) -> f64 {
    let count = 20_000;
    let time = best(LOOKUP_ROUNDS, || {
        let start = Instant::now();
        for _ in 0..count {
            drop(black_box(path::normalise(black_box(raw))));
        }
        start.elapsed()
    });
    time.as_secs_f64() * 1e9 / f64::from(count)
}

fn best(rounds: usize, measure: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(measure)
        .take(rounds)
        .min()
        .unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Resident bytes of this process.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0)
}
