//! What choosing an endpoint costs a request, in nanoseconds, and what clusters
//! cost in memory. `cargo bench -p tidegate-gateway --bench upstream`.
//!
//! With `ALLOCATIONS=pick` or `ALLOCATIONS=peer` it runs only that, as often as
//! `ROUNDS` says: the difference of two runs under a heap profiler is the number
//! of allocations.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_gateway::upstream::{Cluster, Shared};
use tidegate_snapshot::policy::Timeouts;
use tidegate_snapshot::{
    self as snapshot, ClusterKey, Discovery, Endpoint, HashKey, LoadBalancing, ObjectRef, UpstreamProtocol,
};

const ROUNDS: u64 = 1_000_000;
const REPEATS: usize = 5;

fn main() {
    let shared = Shared::new();
    if let Ok(what) = std::env::var("ALLOCATIONS") {
        return allocations(&what, &shared);
    }
    for (name, load_balancing) in algorithms() {
        for count in [1, 3, 100] {
            let cluster = cluster(0, count, load_balancing.clone(), UpstreamProtocol::Http, &shared);
            report(&format!("pick {name}, {count} endpoints"), |round| {
                black_box(cluster.pick(round, &[]));
            });
        }
    }
    let cluster = cluster(0, 3, LoadBalancing::RoundRobin, UpstreamProtocol::Http, &shared);
    let tried = [cluster.pick(0, &[]).unwrap().address()];
    report("pick with one of 3 tried", |round| {
        black_box(cluster.pick(round, &tried));
    });
    let pick = cluster.pick(0, &[]).unwrap();
    report("pick and success", |round| {
        cluster
            .pick(round, &[])
            .unwrap()
            .succeeded(Duration::from_micros(round & 1023));
    });
    let timeouts = Timeouts::default();
    report("peer", |_| {
        black_box(cluster.peer(&pick, false, &timeouts));
    });
    let template = cluster.peer(&pick, false, &timeouts);
    report("peer, as a clone of a template", |_| {
        black_box(template.clone());
    });
    report("pick, peer and success", |round| {
        let pick = cluster.pick(round, &[]).unwrap();
        black_box(cluster.peer(&pick, false, &timeouts));
        pick.succeeded(Duration::from_micros(round & 1023));
    });
    changes(&shared);
    memory(&shared);
}

fn algorithms() -> [(&'static str, LoadBalancing); 4] {
    [
        ("round robin", LoadBalancing::RoundRobin),
        ("least request", LoadBalancing::LeastRequest),
        ("ewma", LoadBalancing::Ewma),
        ("consistent hash", LoadBalancing::ConsistentHash(HashKey::Host)),
    ]
}

/// The best of several runs: the others measure the machine.
fn report(name: &str, mut once: impl FnMut(u64)) {
    let best = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(&mut once);
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{name:<42} {:>8.1} ns", best.as_nanos() as f64 / ROUNDS as f64);
}

fn changes(shared: &Arc<Shared>) {
    for (name, load_balancing) in algorithms() {
        let cluster = cluster(0, 100, load_balancing, UpstreamProtocol::Http, shared);
        let sets = [endpoints(0, 100), endpoints(0, 99)];
        let start = Instant::now();
        for round in 0..1000 {
            cluster.set_endpoints(Arc::clone(&sets[round % 2]));
        }
        println!(
            "change of 100 endpoints, {name:<18} {:>7.1} us",
            start.elapsed().as_micros() as f64 / 1000.0
        );
    }
}

fn memory(shared: &Arc<Shared>) {
    for (name, load_balancing) in algorithms() {
        let before = resident_kib();
        let clusters: Vec<_> = (0..10_000)
            .map(|id| cluster(id, 3, load_balancing.clone(), UpstreamProtocol::Http, shared))
            .collect();
        let after = resident_kib();
        println!(
            "10,000 clusters x 3, {name:<22} {:>7.1} MiB",
            (after - before) as f64 / 1024.0
        );
        drop(clusters);
    }
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn allocations(what: &str, shared: &Arc<Shared>) {
    let rounds = std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(1000u64);
    let timeouts = Timeouts::default();
    for (_, load_balancing) in algorithms() {
        let cluster = cluster(0, 10, load_balancing, UpstreamProtocol::Http, shared);
        for round in 0..rounds {
            let pick = cluster.pick(round, &[address(0, 1)]).unwrap();
            if what == "peer" {
                black_box(cluster.peer(&pick, false, &timeouts));
            }
            pick.succeeded(Duration::from_micros(round));
        }
    }
}

fn cluster(
    id: usize,
    count: usize,
    load_balancing: LoadBalancing,
    protocol: UpstreamProtocol,
    shared: &Arc<Shared>,
) -> Arc<Cluster> {
    let spec = snapshot::Cluster {
        origin: ObjectRef::new("Service", "bench", "web"),
        port: "80".into(),
        discovery: Discovery::Snapshot,
        protocol,
        load_balancing,
        health_check: None,
        tls: None,
    };
    let cluster = Cluster::new(
        ClusterKey(format!("bench-{id}-80").into()),
        Arc::new(spec),
        shared,
    );
    cluster.set_endpoints(endpoints(id, count));
    cluster
}

fn endpoints(id: usize, count: usize) -> snapshot::Endpoints {
    (0..count)
        .map(|index| Endpoint {
            address: address(id, index),
        })
        .collect()
}

fn address(id: usize, index: usize) -> SocketAddr {
    SocketAddr::from(([10, (id >> 8) as u8, id as u8, index as u8], 8080))
}
