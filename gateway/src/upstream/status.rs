//! A cluster's state as the admin interface and `explain` show it.

use std::net::SocketAddr;

use serde::Serialize;
use tidegate_snapshot::{ClusterKey, LoadBalancing, UpstreamProtocol};

use super::endpoint::EndpointState;

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The key that routes name it by.
    pub key: ClusterKey,
    /// What its endpoints speak.
    pub protocol: UpstreamProtocol,
    /// How one is chosen.
    pub load_balancing: LoadBalancing,
    /// By address.
    pub endpoints: Vec<EndpointStatus>,
}

/// An endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// Requests under way to it.
    pub in_flight: u32,
    /// The decaying average of its latency, in microseconds.
    pub latency_micros: u64,
    /// The verdict of active checks; true without any.
    pub healthy: bool,
    /// Milliseconds until an ejected endpoint is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_for_millis: Option<u64>,
    /// Failed connections since its last success.
    pub connect_failures: u32,
}

impl EndpointStatus {
    pub(super) fn of(endpoint: &EndpointState, now: u64) -> Self {
        Self {
            address: endpoint.address(),
            in_flight: endpoint.in_flight(),
            latency_micros: endpoint.latency.micros(now) as u64,
            healthy: endpoint.health.is_healthy(),
            ejected_for_millis: endpoint
                .ejection
                .remaining(now)
                .map(|time| time.as_millis() as u64),
            connect_failures: endpoint.ejection.failures(),
        }
    }
}
