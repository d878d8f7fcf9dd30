//! What routes forward to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::{ObjectRef, Text, UpstreamTls};

/// A cluster's name, unique in a snapshot: for a Service
/// `namespace-service-port`, as in ingress-nginx's `$proxy_upstream_name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ClusterKey(pub Arc<str>);

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The usable endpoints of a cluster, each address once, sorted. Which of the
/// ready, serving and terminating ones are usable is decided in translation.
pub type Endpoints = Arc<[Endpoint]>;

/// One place that a request can go to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddr,
}

/// A group of interchangeable endpoints and how to talk to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The object that it stands for.
    pub origin: ObjectRef,
    /// The Service port as the route wrote it: number or name. A label.
    pub port: Arc<str>,
    /// Where endpoints come from.
    pub discovery: Discovery,
    /// What the endpoints speak.
    pub protocol: UpstreamProtocol,
    /// Settings of TLS, where that is spoken. `None`: the certificate is not
    /// verified, no server name is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<UpstreamTls>>,
    /// How one is chosen.
    pub load_balancing: LoadBalancing,
    /// Active health checks, if asked for.
    pub health_check: Option<HealthCheck>,
}

/// Where a cluster's endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Discovery {
    /// From [`crate::Snapshot::endpoints`].
    Snapshot,
    /// From DNS, in the data plane (a Service of type ExternalName): A records,
    /// AAAA only without any; loopback answers are refused.
    Dns {
        /// The name to resolve; one with a trailing dot is absolute.
        name: Arc<str>,
        /// The port of every address.
        port: u16,
        /// Leave IPv6 addresses out (`disable-ipv6-dns`).
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        ipv4_only: bool,
    },
}

/// What a cluster's endpoints speak (`backend-protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/1.1 over TLS for clients that came over TLS, else without
    /// (`AUTO_HTTP`).
    Auto,
    /// HTTP/2 without TLS by prior knowledge (`GRPC`).
    H2c,
    /// HTTP/2 over TLS (`GRPCS`).
    H2,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum LoadBalancing {
    /// In turn, from a random start.
    RoundRobin,
    /// The less busy of two random ones.
    LeastRequest,
    /// The lower peak-sensitive latency average of two random ones.
    Ewma,
    /// Consistent hashing (ketama), so that a change moves few clients.
    ConsistentHash(HashKey),
    /// Consistent hashing to so many endpoints, then any of them
    /// (`upstream-hash-by-subset`).
    HashSubset {
        /// What the hash is taken of.
        key: HashKey,
        /// How many.
        size: u32,
    },
}

/// What a consistent hash is taken of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum HashKey {
    /// The client's address.
    ClientAddress,
    /// The request's path and query as the client wrote them.
    RequestUri,
    /// The host.
    Host,
    /// A header field's value; requests without it share one place.
    Header(#[serde(serialize_with = "display")] HeaderName),
    /// A cookie's value.
    Cookie(Box<str>),
    /// A text with variables.
    Text(Text),
}

/// An active check of every endpoint of a cluster
/// (`tidegate.dev/health-check-*` on the Service).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HealthCheck {
    /// What is tried.
    pub kind: HealthCheckKind,
    /// Between two checks of one endpoint.
    pub interval: Duration,
    /// For one check.
    pub timeout: Duration,
    /// Successes in a row before an unhealthy endpoint is used again.
    pub healthy_threshold: u16,
    /// Failures in a row before a healthy endpoint is left out.
    pub unhealthy_threshold: u16,
}

/// What a health check tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum HealthCheckKind {
    /// A TCP connection.
    Tcp,
    /// `GET` of a path that must answer 200.
    Http {
        /// Path and query.
        path: Arc<str>,
        /// The `Host` header; the endpoint's address when absent.
        host: Option<Arc<str>>,
    },
}

fn display<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
