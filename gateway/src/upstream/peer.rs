//! How Pingora connects to an endpoint.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::connectors::L4Connect;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::{H1UpgradePolicy, HttpPeer};
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use tidegate_snapshot as snapshot;
use tidegate_snapshot::policy::Timeouts;
use tidegate_snapshot::{TrustAnchors, UpstreamProtocol, UpstreamTls};

use super::own_tls::OwnTls;

/// Idle time of a pooled connection (ingress-nginx ConfigMap
/// `upstream-keepalive-timeout`, 60 s).
pub const UPSTREAM_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Concurrent requests on one HTTP/2 connection to an endpoint; Pingora's
/// default is one. The endpoint's own limit holds when it is lower.
pub const MAX_H2_STREAMS: usize = 100;

/// How the endpoints of a cluster are connected to.
pub(super) struct Connect {
    protocol: UpstreamProtocol,
    tls: Option<Tls>,
    /// What keeps pooled connections of different settings apart.
    pool_group: u64,
}

/// [`UpstreamTls`], as Pingora wants it.
struct Tls {
    server_name: Option<String>,
    verify: bool,
    /// `None` with `verify`: the system's.
    roots: Option<Arc<CaType>>,
    client: Option<Arc<CertKey>>,
    /// Instead of Pingora's TLS, where that will not do.
    own: Option<Arc<OwnTls>>,
}

impl Connect {
    pub(super) fn new(spec: &snapshot::Cluster) -> Self {
        Self {
            protocol: spec.protocol,
            tls: spec
                .tls
                .as_deref()
                .map(|tls| Tls::new(tls, spec.protocol == UpstreamProtocol::H2)),
            pool_group: pool_group(spec),
        }
    }

    /// The connection settings for one request; `client_tls` says whether the
    /// client came over TLS. Built anew each time: copying a kept one costs the
    /// same and 672 bytes for each endpoint.
    pub(super) fn peer(&self, address: SocketAddr, client_tls: bool, timeouts: &Timeouts) -> Box<HttpPeer> {
        use UpstreamProtocol as P;
        let secure = match self.protocol {
            P::Https | P::H2 => true,
            P::Auto => client_tls,
            P::Http | P::H2c => false,
        };
        let tls = self.tls.as_ref().filter(|_| secure);
        let own = tls.and_then(|tls| tls.own.clone());
        let secure = secure && own.is_none();
        let mut peer = Box::new(HttpPeer::new(address, secure, server_name(address, secure, tls)));
        peer.group_key = self.pool_group;
        peer.client_cert_key = tls.and_then(|tls| tls.client.clone());
        let options = &mut peer.options;
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect);
        options.read_timeout = Some(timeouts.read);
        options.write_timeout = Some(timeouts.send);
        options.idle_timeout = Some(UPSTREAM_KEEPALIVE_TIMEOUT);
        options.verify_cert = tls.is_some_and(|tls| tls.verify);
        options.verify_hostname = options.verify_cert;
        options.ca = tls.and_then(|tls| tls.roots.clone());
        options.custom_l4 = own.map(|own| own as Arc<dyn L4Connect + Send + Sync>);
        options.max_h2_streams = MAX_H2_STREAMS;
        if matches!(self.protocol, P::H2c | P::H2) {
            options.set_http_version(2, 2);
        }
        // nginx passes every upgrade on; Pingora by itself only WebSocket's.
        options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::Preserve;
        peer
    }
}

/// ingress-nginx sends no server name unless `proxy-ssl-server-name` is on.
/// Pingora fails on an empty one with rustls; an IP address is never sent (RFC
/// 6066 §3).
fn server_name(address: SocketAddr, secure: bool, tls: Option<&Tls>) -> String {
    match tls.and_then(|tls| tls.server_name.as_ref()) {
        Some(name) => name.clone(),
        None if secure => address.ip().to_string(),
        None => String::new(),
    }
}

impl Tls {
    fn new(spec: &UpstreamTls, is_h2: bool) -> Self {
        Self {
            server_name: spec.server_name.as_deref().map(str::to_owned),
            verify: spec.verify.is_some(),
            roots: match &spec.verify {
                Some(TrustAnchors::Certificates(certificates)) => Some(
                    certificates
                        .iter()
                        .map(|der| WrappedX509::new(der.to_vec(), parse_x509))
                        .collect(),
                ),
                Some(TrustAnchors::System) | None => None,
            },
            own: OwnTls::new(spec, is_h2).map(Arc::new),
            client: spec.client_certificate.as_ref().map(|certificate| {
                let chain = certificate.chain.iter().map(|der| der.to_vec()).collect();
                let key = certificate.key.der().secret_der().to_vec();
                Arc::new(CertKey::new(chain, key))
            }),
        }
    }
}

/// Clusters of one group share pooled connections to the same address. Every
/// setting that decides what a connection proves (protocol, verification, server
/// name, client certificate) must enter, or a request that asks for a verified
/// connection could ride on an unverified one (ingress-nginx does that).
/// Pingora's own pool key leaves out CA and protocol.
fn pool_group(spec: &snapshot::Cluster) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.protocol.hash(&mut hasher);
    if let Some(tls) = &spec.tls {
        tls.server_name.hash(&mut hasher);
        tls.alt_names.hash(&mut hasher);
        tls.limits.hash(&mut hasher);
        match &tls.verify {
            None => 0.hash(&mut hasher),
            Some(TrustAnchors::System) => 1.hash(&mut hasher),
            Some(TrustAnchors::Certificates(certificates)) => {
                certificates.iter().for_each(|der| der.as_ref().hash(&mut hasher));
            }
        }
        let client = tls.client_certificate.as_ref();
        client
            .map(|client| (&client.chain, client.key.der().secret_der()))
            .hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
