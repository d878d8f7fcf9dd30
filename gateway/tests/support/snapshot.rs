//! Builders for snapshots, as translation would make them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tidegate_snapshot::route::WeightedCluster;
use tidegate_snapshot::{
    Action, Certificate, Changed, Cluster, ClusterKey, Discovery, Endpoint, Hostname, HttpSettings, Listener,
    ListenerProtocol, LoadBalancing, ObjectRef, PathMatch, Policies, Publication, Route, RouteMatch,
    RouteTable, SharedMap, Snapshot, StreamRoute, UpstreamProtocol, VirtualHost,
};

/// The one table's name.
pub const TABLE: &str = "ingress";

/// The snapshot under construction; every method can also change what an
/// earlier one made.
#[derive(Clone, Default)]
pub struct Builder {
    listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    table: RouteTable,
    clusters: SharedMap<ClusterKey, Arc<Cluster>>,
    endpoints: SharedMap<ClusterKey, Arc<[Endpoint]>>,
}

impl Builder {
    /// One without anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// A plain listener on a free port of loopback.
    pub fn http(self, key: &str) -> Self {
        self.listener(key, ListenerProtocol::Http, |_| {})
    }

    /// A TLS listener on a free port of loopback.
    pub fn https(self, key: &str) -> Self {
        self.listener(key, ListenerProtocol::Https, |_| {})
    }

    /// A listener on a free port of loopback, changed by `change`.
    pub fn listener(
        mut self,
        key: &str,
        protocol: ListenerProtocol,
        change: impl FnOnce(&mut Listener),
    ) -> Self {
        let mut listener = Listener {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            protocol,
            proxy_protocol: None,
            table: TABLE.into(),
            public_port: match protocol {
                ListenerProtocol::Http => 80,
                ListenerProtocol::Https => 443,
                ListenerProtocol::Tcp | ListenerProtocol::Udp => 0,
            },
            http: Arc::new(HttpSettings::default()),
        };
        change(&mut listener);
        self.listeners.insert(key.into(), Arc::new(listener));
        self
    }

    /// A cluster that speaks HTTP/1.1 with these endpoints.
    pub fn cluster(self, key: &str, endpoints: &[SocketAddr]) -> Self {
        self.cluster_with(key, endpoints, |_| {})
    }

    /// A cluster, changed by `change`.
    pub fn cluster_with(
        mut self,
        key: &str,
        endpoints: &[SocketAddr],
        change: impl FnOnce(&mut Cluster),
    ) -> Self {
        let mut cluster = Cluster {
            origin: ObjectRef::new("Service", "default", key),
            port: "80".into(),
            discovery: Discovery::Snapshot,
            protocol: UpstreamProtocol::Http,
            load_balancing: LoadBalancing::RoundRobin,
            health_check: None,
            tls: None,
        };
        change(&mut cluster);
        self.clusters.insert(ClusterKey(key.into()), Arc::new(cluster));
        self.endpoints(key, endpoints)
    }

    /// Replaces the endpoints of a cluster.
    pub fn endpoints(mut self, key: &str, endpoints: &[SocketAddr]) -> Self {
        let mut endpoints: Vec<_> = endpoints
            .iter()
            .map(|address| Endpoint { address: *address })
            .collect();
        endpoints.sort();
        self.endpoints.insert(ClusterKey(key.into()), endpoints.into());
        self
    }

    /// A host (`*.a.b` and the empty text too) with its routes, in precedence
    /// order.
    pub fn host(mut self, name: &str, routes: impl IntoIterator<Item = Route>) -> Self {
        let hostname = Hostname::parse(name).unwrap();
        let host = VirtualHost {
            client_auth: None,
            tls: None,
            hostname: hostname.clone(),
            routes: routes.into_iter().map(Arc::new).collect(),
        };
        self.table.hosts.insert(hostname, Arc::new(host));
        self
    }

    /// Where connections that nothing looks into go: those for this server name,
    /// or all (the empty text).
    pub fn stream(mut self, name: &str, route: Option<StreamRoute>) -> Self {
        let hostname = Hostname::parse(name).unwrap();
        self.table.streams.insert(hostname, route.map(Arc::new));
        self
    }

    /// Removes a host.
    pub fn without_host(mut self, name: &str) -> Self {
        self.table.hosts.remove(&Hostname::parse(name).unwrap());
        self
    }

    /// A self-signed certificate for `name`; the empty name is the default.
    pub fn certificate(mut self, name: &str) -> Self {
        let certificate = Arc::new(certificate(name));
        match name {
            "" => self.table.default_certificate = Some(certificate),
            name => {
                self.table
                    .certificates
                    .insert(Hostname::parse(name).unwrap(), certificate);
            }
        }
        self
    }

    /// The snapshot.
    pub fn build(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            access_log: Arc::default(),
            trace_export: Arc::default(),
            ocsp: None,
            geoip: None,
            shutdown_timeout: None,
            listeners: self.listeners.clone(),
            tables: BTreeMap::from([(Arc::from(TABLE), Arc::new(self.table.clone()))]),
            clusters: Arc::new(self.clusters.clone()),
            endpoints: Arc::new(self.endpoints.clone()),
        })
    }

    /// The snapshot as the controller would publish it.
    pub fn publication(&self, generation: u64) -> Publication {
        Publication {
            generation,
            snapshot: self.build(),
            changed: Changed::Everything,
            event: Instant::now(),
        }
    }
}

/// A route for a path (`Prefix`; `/` for everything) to one cluster, with the
/// default policies.
pub fn route(prefix: &str, cluster: &str) -> Route {
    let path = PathMatch::Prefix(prefix.trim_end_matches('/').into());
    custom(path, forward(&[(cluster, 1)]))
}

/// A route with default policies.
pub fn custom(path: PathMatch, action: Action) -> Route {
    Route {
        path: match &path {
            PathMatch::Prefix(path) if path.is_empty() => "/".into(),
            PathMatch::Exact(path)
            | PathMatch::Prefix(path)
            | PathMatch::Below(path)
            | PathMatch::StartsWith(path) => (**path).into(),
            PathMatch::Regex(pattern) => pattern.source().into(),
        },
        matches: RouteMatch::path(path),
        action,
        policies: Arc::new(Policies::default()),
        origin: ObjectRef::new("Ingress", "default", "test"),
    }
}

/// A route with changed policies.
pub fn with_policies(mut route: Route, change: impl FnOnce(&mut Policies)) -> Route {
    change(Arc::make_mut(&mut route.policies));
    route
}

/// Forwarding by weight.
pub fn forward(targets: &[(&str, u32)]) -> Action {
    let targets = targets
        .iter()
        .map(|(cluster, weight)| WeightedCluster::new(ClusterKey((*cluster).into()), *weight));
    Action::Forward(targets.collect())
}

/// A stream to one cluster.
pub fn stream(cluster: &str) -> StreamRoute {
    let backend = WeightedCluster::new(ClusterKey(cluster.into()), 1);
    StreamRoute::new(ObjectRef::new("ConfigMap", "default", "tcp"), vec![backend])
}

/// A new self-signed certificate for `name` (empty: `default.test`).
pub fn certificate(name: &str) -> Certificate {
    let name = if name.is_empty() { "default.test" } else { name };
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (chain, key) = tidegate_snapshot::parse_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap();
    Certificate {
        origin: ObjectRef::new("Secret", "default", name),
        fingerprint: format!("{:x}", rcgen_serial(&chain[0])),
        chain,
        key,
        names: vec![name.to_owned()],
        not_after: i64::MAX,
    }
}

/// Tells two test certificates apart; a digest is not needed here.
fn rcgen_serial(der: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    der.hash(&mut hasher);
    hasher.finish()
}
