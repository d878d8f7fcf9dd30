//! Where whole connections go: TCP and UDP services, TLS passthrough.

use std::time::Duration;

use serde::Serialize;

use crate::ObjectRef;
use crate::route::WeightedCluster;

/// A route for connections or datagrams that nothing looks into (ingress-nginx
/// TCP and UDP services and `ssl-passthrough`; Gateway API TCPRoute, UDPRoute,
/// TLSRoute).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamRoute {
    /// The object that it comes from.
    pub origin: ObjectRef,
    /// Chosen from by weight, once for each connection. Where there is nothing
    /// to choose, connections are closed.
    pub backends: Vec<WeightedCluster>,
    /// End TLS here and pass on what was inside; a cluster that wants TLS gets
    /// its own. Otherwise bytes go on as they came. For listeners of TLS.
    pub terminate: bool,
    /// Send a PROXY protocol header (version 1) before the first byte. Not for
    /// UDP.
    pub send_proxy_protocol: bool,
    /// To connect, each try (nginx `proxy_connect_timeout` in `stream`, 60 s).
    pub connect_timeout: Duration,
    /// Silence in both directions after which it ends (`proxy-stream-timeout`,
    /// 600 s).
    pub idle_timeout: Duration,
    /// Endpoints that are tried (`proxy-stream-next-upstream-tries`, 3); 1
    /// where `proxy-stream-next-upstream` is off.
    pub tries: u32,
    /// Datagrams that answer one, after which a UDP session ends
    /// (`proxy-stream-responses`, 1). `None`: only silence ends it.
    pub responses: Option<u32>,
}

impl StreamRoute {
    /// As ingress-nginx does it without a ConfigMap.
    pub fn new(origin: ObjectRef, backends: Vec<WeightedCluster>) -> Self {
        Self {
            origin,
            backends,
            terminate: false,
            send_proxy_protocol: false,
            connect_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            tries: 3,
            responses: Some(1),
        }
    }
}
