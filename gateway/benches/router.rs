//! The router at size: what a lookup costs among few and many hosts, what a
//! compilation costs cold and after one change, and the memory it takes.
//!
//! Without arguments it prints a table. `-- lookup HOSTS COUNT` runs nothing
//! but so many lookups, for instruction counters: the difference of two counts
//! is free of the set-up.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::{HeaderName, Method};
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::path;
use tidegate_gateway::request::RequestView;
use tidegate_gateway::runtime::{Parts, Runtime, compile};
use tidegate_gateway::upstream;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    Action, Changed, Cluster, ClusterKey, Discovery, Endpoint, Hostname, LoadBalancing, ObjectRef, PathMatch,
    Policies, Publication, Route, RouteMatch, RouteTable, Snapshot, UpstreamProtocol, VirtualHost,
};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const PATHS: [&str; 3] = ["/api", "/static", ""];
/// The goals of the first issue.
const LOOKUP_RATIO: f64 = 1.5;
const MEMORY_MIB: f64 = 25.0;
/// Short rounds, of which the best counts: other load on the machine can only add.
const LOOKUPS: usize = 20_000;
const LOOKUP_ROUNDS: usize = 100;
const ROUNDS: usize = 15;
const BUSY: usize = 10;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match &arguments[..] {
        [] => table(),
        [what, hosts, count] if what == "lookup" => {
            let bench = Bench::new(hosts.parse()?);
            lookups(&bench.runtime, &requests(hosts.parse()?, BUSY), count.parse()?);
        }
        _ => anyhow::bail!("arguments are: lookup HOSTS COUNT"),
    }
    Ok(())
}

fn table() {
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

/// A snapshot, what was compiled from it, and ways to change it.
struct Bench {
    parts: Parts,
    snapshot: Snapshot,
    runtime: Runtime,
    step: u64,
}

impl Bench {
    fn new(hosts: usize) -> Self {
        let parts = Parts {
            metrics: Arc::new(Metrics::new()),
            upstream: upstream::Shared::new(),
        };
        let snapshot = snapshot(hosts);
        let runtime = compile(None, &publication(&snapshot, 1, Changed::Everything), &parts);
        Self {
            parts,
            snapshot,
            runtime,
            step: 1,
        }
    }

    fn cold(&mut self) -> Duration {
        let publication = publication(&self.snapshot, 1, Changed::Everything);
        let start = Instant::now();
        black_box(compile(None, &publication, &self.parts));
        start.elapsed()
    }

    fn one_host(&mut self) -> Duration {
        let mut table = (*self.snapshot.tables["t"]).clone();
        let host = virtual_host(0, &format!("/changed-{}", self.step));
        table.hosts.insert(host.hostname.clone(), Arc::new(host));
        self.snapshot.tables.insert("t".into(), Arc::new(table));
        self.next(Changed::Everything)
    }

    fn one_cluster(&mut self) -> Duration {
        let mut cluster = (*self.snapshot.clusters[&key(0)]).clone();
        cluster.port = self.step.to_string().into();
        Arc::make_mut(&mut self.snapshot.clusters).insert(key(0), Arc::new(cluster));
        self.next(Changed::Everything)
    }

    fn endpoints(&mut self) -> Duration {
        let port = u16::try_from(self.step % 1000).unwrap_or_default();
        Arc::make_mut(&mut self.snapshot.endpoints).insert(key(0), endpoints(port));
        self.next(Changed::Endpoints(vec![key(0)]))
    }

    /// Compiles the changed snapshot; what the old runtime's end costs does not
    /// count, for it falls on another thread.
    fn next(&mut self, changed: Changed) -> Duration {
        self.step += 1;
        let publication = publication(&self.snapshot, self.step, changed);
        let start = Instant::now();
        let runtime = compile(Some(&self.runtime), &publication, &self.parts);
        let time = start.elapsed();
        self.runtime = runtime;
        time
    }
}

fn publication(snapshot: &Snapshot, generation: u64, changed: Changed) -> Publication {
    Publication {
        generation,
        snapshot: Arc::new(snapshot.clone()),
        changed,
        event: Instant::now(),
    }
}

fn key(number: usize) -> ClusterKey {
    ClusterKey(format!("default-service-{number}-80").into())
}

fn hostname(number: usize) -> String {
    format!("host-{number}.customers.example.com")
}

fn endpoints(port: u16) -> Arc<[Endpoint]> {
    let address = |last| Endpoint {
        address: (Ipv4Addr::new(10, 0, 0, last), 8000 + port).into(),
    };
    (1..=3).map(address).collect()
}

fn virtual_host(number: usize, extra: &str) -> VirtualHost {
    let policies = Arc::new(Policies::default());
    let route = |path: &str| {
        Arc::new(Route {
            matches: RouteMatch::path(PathMatch::Prefix(path.into())),
            action: Action::Forward(vec![WeightedCluster {
                cluster: key(number),
                weight: 1,
                unresolved: false,
            }]),
            policies: policies.clone(),
            origin: ObjectRef::new("Ingress", "default", &format!("ingress-{number}")),
            path: path.into(),
        })
    };
    let extra = Some(extra).filter(|extra| !extra.is_empty());
    VirtualHost {
        client_auth: None,
        hostname: Hostname::Exact(hostname(number).into()),
        routes: extra.into_iter().chain(PATHS).map(route).collect(),
    }
}

fn snapshot(hosts: usize) -> Snapshot {
    let cluster = |number| {
        let cluster = Cluster {
            origin: ObjectRef::new("Service", "default", &format!("service-{number}")),
            port: "80".into(),
            discovery: Discovery::Snapshot,
            protocol: UpstreamProtocol::Http,
            load_balancing: LoadBalancing::RoundRobin,
            health_check: None,
            tls: None,
        };
        (key(number), Arc::new(cluster))
    };
    let host = |number| {
        let host = virtual_host(number, "");
        (host.hostname.clone(), Arc::new(host))
    };
    let table = RouteTable {
        hosts: (0..hosts).map(host).collect(),
        ..RouteTable::default()
    };
    Snapshot {
        access_log: Arc::default(),
        tables: BTreeMap::from([("t".into(), Arc::new(table))]),
        clusters: Arc::new((0..hosts).map(cluster).collect()),
        endpoints: Arc::new((0..hosts).map(|number| (key(number), endpoints(0))).collect()),
        ..Snapshot::default()
    }
}

struct Request {
    host: String,
    path: &'static str,
}

impl RequestView for Request {
    fn method(&self) -> &Method {
        &Method::GET
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        self.path
    }
    fn uri(&self) -> &str {
        self.path
    }
    fn header(&self, _: &HeaderName) -> Option<&[u8]> {
        None
    }
    fn client_ip(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }
    fn is_tls(&self) -> bool {
        false
    }
    fn scheme(&self) -> &str {
        "http"
    }
}

/// To this many hosts out of all: a few busy ones show the lookup's own cost,
/// all of them in turn show what it costs when nothing is in the cache.
fn requests(hosts: usize, busy: usize) -> Vec<Request> {
    let paths = ["/api/v1/users/1234", "/static/app.js", "/index.html"];
    let request = |at: usize| Request {
        host: hostname(at * 7919 % hosts),
        path: paths[at % paths.len()],
    };
    (0..busy).map(request).collect()
}

fn lookups(runtime: &Runtime, requests: &[Request], count: usize) {
    let hosts = &runtime.tables["t"].hosts;
    for request in requests.iter().cycle().take(count) {
        black_box(hosts.find(black_box(request)).cloned());
    }
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
