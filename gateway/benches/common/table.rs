//! A route table of any size, compiled: what the router's benchmarks work on.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its own part")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, Method};
use tidegate_gateway::observe::metrics::Metrics;
use tidegate_gateway::request::RequestView;
use tidegate_gateway::runtime::{Parts, Runtime, compile};
use tidegate_gateway::upstream;
use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    Action, Changed, Cluster, ClusterKey, Discovery, Endpoint, Hostname, LoadBalancing, ObjectRef, PathMatch,
    Policies, Publication, Route, RouteMatch, RouteTable, Snapshot, UpstreamProtocol, VirtualHost,
};

const PATHS: [&str; 3] = ["/api", "/static", ""];

/// A snapshot, what was compiled from it, and ways to change it.
pub struct Bench {
    parts: Parts,
    snapshot: Snapshot,
    pub runtime: Runtime,
    step: u64,
}

impl Bench {
    /// A table of so many hosts.
    pub fn new(hosts: usize) -> Self {
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

    /// Compiles everything.
    pub fn cold(&mut self) -> Duration {
        let publication = publication(&self.snapshot, 1, Changed::Everything);
        let start = Instant::now();
        black_box(compile(None, &publication, &self.parts));
        start.elapsed()
    }

    /// Compiles after one host has changed.
    pub fn one_host(&mut self) -> Duration {
        let mut table = (*self.snapshot.tables["t"]).clone();
        let host = virtual_host(0, &format!("/changed-{}", self.step));
        table.hosts.insert(host.hostname.clone(), Arc::new(host));
        self.snapshot.tables.insert("t".into(), Arc::new(table));
        self.next(Changed::Everything)
    }

    /// Compiles after one cluster has changed.
    pub fn one_cluster(&mut self) -> Duration {
        let mut cluster = (*self.snapshot.clusters[&key(0)]).clone();
        cluster.port = self.step.to_string().into();
        Arc::make_mut(&mut self.snapshot.clusters).insert(key(0), Arc::new(cluster));
        self.next(Changed::Everything)
    }

    /// Takes the new endpoints of one cluster.
    pub fn endpoints(&mut self) -> Duration {
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

/// The name of a host.
pub fn hostname(number: usize) -> String {
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
            action: Action::Forward(vec![WeightedCluster::new(key(number), 1)]),
            policies: policies.clone(),
            origin: ObjectRef::new("Ingress", "default", &format!("ingress-{number}")),
            path: path.into(),
        })
    };
    let extra = Some(extra).filter(|extra| !extra.is_empty());
    VirtualHost {
        client_auth: None,
        tls: None,
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
        trace_export: Arc::default(),
        ocsp: None,
        tables: BTreeMap::from([("t".into(), Arc::new(table))]),
        clusters: Arc::new((0..hosts).map(cluster).collect()),
        endpoints: Arc::new((0..hosts).map(|number| (key(number), endpoints(0))).collect()),
        ..Snapshot::default()
    }
}

/// A request without a transport.
pub struct Request {
    pub host: String,
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
pub fn requests(hosts: usize, busy: usize) -> Vec<Request> {
    let paths = ["/api/v1/users/1234", "/static/app.js", "/index.html"];
    let request = |at: usize| Request {
        host: hostname(at * 7919 % hosts),
        path: paths[at % paths.len()],
    };
    (0..busy).map(request).collect()
}

/// Looks up so many of the requests, in turn.
pub fn lookups(runtime: &Runtime, requests: &[Request], count: usize) {
    let hosts = &runtime.tables["t"].hosts;
    for request in requests.iter().cycle().take(count) {
        black_box(hosts.find(black_box(request)).cloned());
    }
}
