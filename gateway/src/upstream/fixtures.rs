//! Clusters for the tests of this module.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_snapshot as snapshot;
use tidegate_snapshot::{ClusterKey, Discovery, Endpoint, LoadBalancing, ObjectRef, UpstreamProtocol};

use super::dns::SystemResolver;
use super::{Clock, Cluster, FailureKind, Shared};

pub(super) fn spec(load_balancing: LoadBalancing) -> snapshot::Cluster {
    snapshot::Cluster {
        origin: ObjectRef::new("Service", "shop", "web"),
        port: "80".into(),
        discovery: Discovery::Snapshot,
        protocol: UpstreamProtocol::Http,
        load_balancing,
        health_check: None,
        tls: None,
    }
}

pub(super) fn shared() -> Arc<Shared> {
    Shared::with(Clock::manual(), Arc::new(SystemResolver::default()))
}

/// A cluster with endpoints at these last octets, and its manual clock.
pub(super) fn cluster(load_balancing: LoadBalancing, octets: &[u8]) -> (Arc<Cluster>, Arc<Shared>) {
    let shared = shared();
    let cluster = Cluster::new(
        ClusterKey("shop-web-80".into()),
        Arc::new(spec(load_balancing)),
        &shared,
    );
    cluster.set_endpoints(endpoints(octets));
    (cluster, shared)
}

pub(super) fn address(octet: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, octet], 8080))
}

pub(super) fn endpoints(octets: &[u8]) -> snapshot::Endpoints {
    octets
        .iter()
        .map(|octet| Endpoint {
            address: address(*octet),
        })
        .collect()
}

/// How often each endpoint is picked in `rounds` picks, by last octet.
pub(super) fn histogram(cluster: &Cluster, rounds: usize, tried: &[SocketAddr]) -> [usize; 256] {
    let mut counts = [0; 256];
    for _ in 0..rounds {
        let pick = cluster
            .pick(rand::random(), tried)
            .expect("the cluster has endpoints");
        counts[octet(pick.address()) as usize] += 1;
    }
    counts
}

pub(super) fn octet(address: SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(address) => address.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// Fails connections to one endpoint until it is ejected.
pub(super) fn eject(cluster: &Cluster, octet: u8) {
    for _ in 0..super::ejection::CONSECUTIVE_FAILURES {
        fail(cluster, octet, FailureKind::Connect);
    }
}

pub(super) fn fail(cluster: &Cluster, octet: u8, kind: FailureKind) {
    hold(cluster, octet).failed(kind);
}

pub(super) fn succeed(cluster: &Cluster, octet: u8, latency: Duration) {
    hold(cluster, octet).succeeded(latency);
}

/// A pick of this endpoint whatever the balancer thinks.
pub(super) fn hold(cluster: &Cluster, octet: u8) -> super::Pick {
    let set = cluster.endpoints();
    let endpoint = set
        .endpoints
        .iter()
        .find(|endpoint| endpoint.address() == address(octet));
    super::Pick::new(Arc::clone(endpoint.expect("the cluster has this endpoint")))
}
