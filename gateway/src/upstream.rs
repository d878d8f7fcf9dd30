//! Live clusters: endpoints, load balancing, health, ejection, peers.
//!
//! A [`Cluster`] is made from its wanted value and lives as long as that value
//! stays equal. Its endpoints change apart from it, in one atomic store, at a
//! cost that depends on this cluster alone. A request calls
//! [`Cluster::pick`] and [`Cluster::peer`], then tells the [`Pick`] how it went.
//!
//! Selection, the hash ring and the TCP check come from
//! `pingora-load-balancing` and `pingora-ketama`. Its `LoadBalancer` is not
//! used: it wants one background service for each cluster, and 10,000 idle
//! clusters must cost no thread, task or timer. [`Shared::run`] drives the active
//! checks and the DNS names of all clusters.

mod balancer;
mod cluster;
pub mod dns;
mod ejection;
mod endpoint;
#[cfg(test)]
mod fixtures;
pub mod hash;
mod health;
mod latency;
mod own_tls;
mod peer;
mod rounds;
mod shared;
mod socket;
mod status;

pub use cluster::{Cluster, NoSuchEndpoint};
pub use endpoint::{EndpointState, FailureKind, Pick};
pub use peer::{MAX_H2_STREAMS, UPSTREAM_KEEPALIVE_TIMEOUT};
pub use shared::{Clock, Counter, Counters, Shared};
pub use socket::for_upgrade;
pub use status::{ClusterStatus, EndpointStatus};
