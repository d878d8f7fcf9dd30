//! How Pingora connects to an endpoint.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use pingora_core::upstreams::peer::{H1UpgradePolicy, HttpPeer};
use tidegate_snapshot as snapshot;
use tidegate_snapshot::UpstreamProtocol;
use tidegate_snapshot::policy::Timeouts;

/// Idle time of a pooled connection (ingress-nginx ConfigMap
/// `upstream-keepalive-timeout`, 60 s).
pub const UPSTREAM_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Concurrent requests on one HTTP/2 connection to an endpoint; Pingora's
/// default is one. The endpoint's own limit holds when it is lower.
pub const MAX_H2_STREAMS: usize = 100;

/// The connection settings for one request. Built anew each time: copying a
/// kept one costs the same and 672 bytes for each endpoint.
pub(super) fn peer(
    address: SocketAddr,
    protocol: UpstreamProtocol,
    pool_group: u64,
    timeouts: &Timeouts,
) -> Box<HttpPeer> {
    let tls = matches!(protocol, UpstreamProtocol::Https | UpstreamProtocol::H2);
    // ingress-nginx sends no server name unless `proxy-ssl-server-name` is on.
    // Pingora fails on an empty one with rustls; an IP address is never sent
    // (RFC 6066 §3).
    let sni = if tls {
        address.ip().to_string()
    } else {
        String::new()
    };
    let mut peer = Box::new(HttpPeer::new(address, tls, sni));
    peer.group_key = pool_group;
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(timeouts.send);
    options.idle_timeout = Some(UPSTREAM_KEEPALIVE_TIMEOUT);
    options.verify_cert = false;
    options.verify_hostname = false;
    options.max_h2_streams = MAX_H2_STREAMS;
    if matches!(protocol, UpstreamProtocol::H2c | UpstreamProtocol::H2) {
        options.set_http_version(2, 2);
    }
    // nginx passes every upgrade on; Pingora by itself only WebSocket's.
    options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::Preserve;
    peer
}

/// Clusters of one group share pooled connections to the same address. Every
/// setting that decides what a connection proves (protocol, verification, server
/// name, client certificate) must enter, or a request that asks for a verified
/// connection could ride on an unverified one (ingress-nginx does that).
/// Pingora's own pool key leaves out CA and protocol.
pub(super) fn pool_group(spec: &snapshot::Cluster) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.protocol.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
