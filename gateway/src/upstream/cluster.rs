//! One live cluster and its set of endpoints.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Version;
use pingora_core::upstreams::peer::HttpPeer;
use tidegate_snapshot as snapshot;
use tidegate_snapshot::policy::Timeouts;
use tidegate_snapshot::{ClusterKey, Discovery, HashKey, LoadBalancing, UpstreamProtocol};

use super::balancer::{Balancer, EndpointSet, rendezvous};
use super::endpoint::{EndpointState, Pick, Scope};
use super::latency;
use super::peer::Connect;
use super::shared::Shared;
use super::status::{ClusterStatus, EndpointStatus};

/// A cluster with its state, kept across snapshots while its wanted value is
/// equal.
pub struct Cluster {
    /// The wanted value.
    pub spec: Arc<snapshot::Cluster>,
    scope: Arc<Scope>,
    endpoints: ArcSwap<EndpointSet>,
    balancer: Balancer,
    connect: Connect,
}

impl Cluster {
    /// A cluster without endpoints. One with active checks or with a DNS name
    /// announces itself to `shared`, which holds it weakly: dropping the
    /// cluster ends both.
    pub fn new(key: ClusterKey, spec: Arc<snapshot::Cluster>, shared: &Arc<Shared>) -> Arc<Self> {
        let cluster = Arc::new(Self {
            balancer: Balancer::new(&spec.load_balancing),
            endpoints: ArcSwap::from_pointee(EndpointSet::default()),
            connect: Connect::new(&spec),
            scope: Arc::new(Scope::new(key, shared)),
            spec,
        });
        if cluster.spec.health_check.is_some() {
            shared.checks.watch(&cluster);
        }
        if matches!(cluster.spec.discovery, Discovery::Dns { .. }) {
            shared.names.watch(&cluster);
        }
        cluster
    }

    /// As [`Cluster::new`], for a wanted value that changed: endpoints and what
    /// is known of them come along from the cluster before. The verdicts of
    /// active checks come along only when the check is the same.
    pub fn replacing(previous: &Self, spec: Arc<snapshot::Cluster>, shared: &Arc<Shared>) -> Arc<Self> {
        let same_source = previous.spec.discovery == spec.discovery;
        let same_check = previous.spec.health_check == spec.health_check
            && previous.spec.protocol == spec.protocol
            && previous.spec.tls == spec.tls;
        let cluster = Self::new(previous.key().clone(), spec, shared);
        if same_source {
            let endpoints: Box<[Arc<EndpointState>]> = previous.endpoints.load().endpoints.clone();
            if !same_check {
                endpoints.iter().for_each(|endpoint| endpoint.health.forget());
            }
            cluster
                .endpoints
                .store(Arc::new(cluster.balancer.arrange(endpoints)));
        }
        cluster
    }

    /// The key that routes name it by.
    pub fn key(&self) -> &ClusterKey {
        &self.scope.key
    }

    /// Replaces the endpoints in one store; requests under way keep theirs.
    /// Addresses that stay keep their state. Of no effect on a cluster whose
    /// endpoints come from DNS. One caller at a time.
    pub fn set_endpoints(&self, endpoints: snapshot::Endpoints) {
        if self.spec.discovery == Discovery::Snapshot {
            self.set_addresses(endpoints.iter().map(|endpoint| endpoint.address).collect());
        }
    }

    pub(super) fn set_addresses(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        let previous = self.endpoints.load();
        let newcomer_latency = latency::average(&previous.endpoints, self.scope.now());
        let mut known = previous.endpoints.iter().peekable();
        let endpoints = addresses
            .into_iter()
            .map(|address| {
                while known
                    .next_if(|old| old.address().cmp(&address) == Ordering::Less)
                    .is_some()
                {}
                match known.next_if(|old| old.address() == address) {
                    Some(old) => Arc::clone(old),
                    None => Arc::new(EndpointState::new(address, &self.scope, newcomer_latency)),
                }
            })
            .collect();
        self.endpoints.store(Arc::new(self.balancer.arrange(endpoints)));
    }

    /// Whether there is nowhere to send a request (answered 503).
    pub fn is_empty(&self) -> bool {
        self.endpoints.load().endpoints.is_empty()
    }

    /// Whether it has an endpoint with this address.
    pub fn has(&self, address: SocketAddr) -> bool {
        let set = self.endpoints.load();
        let found = set
            .endpoints
            .binary_search_by(|endpoint| endpoint.address().cmp(&address));
        found.is_ok()
    }

    /// Chooses an endpoint; `None` only when the cluster has none. `hash`
    /// matters only where [`Cluster::wants_hash`] says so; `tried` are the
    /// addresses that failed this request already. Takes no lock and allocates
    /// nothing.
    ///
    /// In this order: usable and not tried; not tried; usable; any. An endpoint
    /// is usable unless an active check or passive ejection says otherwise.
    /// With a single endpoint that means the same again, as in nginx, and when
    /// every endpoint is unusable all are used ("panic mode"): a wrong verdict
    /// must never take a service down that Kubernetes calls ready.
    pub fn pick(&self, hash: u64, tried: &[SocketAddr]) -> Option<Pick> {
        let set = self.endpoints.load();
        let (endpoint, unusable) = self.balancer.pick(&set, hash, tried, &self.scope)?;
        if unusable {
            self.scope.shared.counters.panic_picks.increment();
        }
        Some(Pick::new(Arc::clone(endpoint)))
    }

    /// The endpoint of a client that affinity binds: the one that has the key
    /// `hash` among those that are usable and not tried yet, else as
    /// [`Cluster::pick`] has it.
    pub fn pick_by_key(&self, hash: u64, tried: &[SocketAddr]) -> Option<Pick> {
        let set = self.endpoints.load();
        let allowed =
            |endpoint: &EndpointState| endpoint.usable(&self.scope) && !tried.contains(&endpoint.address());
        match rendezvous::choose(&set.endpoints, hash, allowed) {
            Some(endpoint) if endpoint.admit(&self.scope) => Some(Pick::new(Arc::clone(endpoint))),
            _ => self.pick(hash, tried),
        }
    }

    /// The address that has the key `hash` while nothing is wrong with it.
    pub fn owner(&self, hash: u64) -> Option<SocketAddr> {
        let set = self.endpoints.load();
        rendezvous::choose(&set.endpoints, hash, |_| true).map(|endpoint| endpoint.address())
    }

    /// The endpoint with this [`EndpointState::tag`]. `Err`: there is none.
    /// `Ok(None)`: there is, but it was tried or is not usable.
    pub fn pick_by_tag(&self, tag: u64, tried: &[SocketAddr]) -> Result<Option<Pick>, NoSuchEndpoint> {
        let set = self.endpoints.load();
        let mut endpoints = set.endpoints.iter();
        let endpoint = endpoints
            .find(|endpoint| endpoint.tag() == tag)
            .ok_or(NoSuchEndpoint)?;
        let alone = set.endpoints.len() == 1;
        let free = !tried.contains(&endpoint.address()) && endpoint.usable(&self.scope);
        let taken = alone || (free && endpoint.admit(&self.scope));
        Ok(taken.then(|| Pick::new(Arc::clone(endpoint))))
    }

    /// What [`Cluster::pick`]'s hash must be taken of, with
    /// [`super::hash::key`]; `None` when it needs none.
    pub fn wants_hash(&self) -> Option<&HashKey> {
        match &self.spec.load_balancing {
            LoadBalancing::ConsistentHash(key) | LoadBalancing::HashSubset { key, .. } => Some(key),
            _ => None,
        }
    }

    /// What its endpoints speak without TLS, so that a plain TCP connection is all
    /// it takes to send a request; `None` where there may be TLS.
    pub fn plain_version(&self) -> Option<Version> {
        match self.spec.protocol {
            UpstreamProtocol::Http => Some(Version::HTTP_11),
            UpstreamProtocol::H2c => Some(Version::HTTP_2),
            UpstreamProtocol::Auto | UpstreamProtocol::Https | UpstreamProtocol::H2 => None,
        }
    }

    /// Whether its endpoints speak TLS whatever the client speaks.
    pub fn speaks_tls(&self) -> bool {
        matches!(self.spec.protocol, UpstreamProtocol::Https | UpstreamProtocol::H2)
    }

    /// How Pingora connects to the picked endpoint; `client_tls` says whether
    /// the client came over TLS.
    pub fn peer(&self, pick: &Pick, client_tls: bool, timeouts: &Timeouts) -> Box<HttpPeer> {
        self.connect.peer(pick.address(), client_tls, timeouts)
    }

    /// How its endpoints are connected to.
    pub(super) fn connect(&self) -> &Connect {
        &self.connect
    }

    /// What the admin interface and `explain` show.
    pub fn status(&self) -> ClusterStatus {
        let now = self.scope.now();
        ClusterStatus {
            key: self.key().clone(),
            protocol: self.spec.protocol,
            load_balancing: self.spec.load_balancing.clone(),
            endpoints: self
                .endpoints
                .load()
                .endpoints
                .iter()
                .map(|endpoint| EndpointStatus::of(endpoint, now))
                .collect(),
        }
    }

    /// The endpoints of this moment, for checks.
    pub(super) fn endpoints(&self) -> Arc<EndpointSet> {
        self.endpoints.load_full()
    }
}

/// No endpoint has the wanted tag: the client must be bound anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchEndpoint;

#[cfg(test)]
mod tests;
