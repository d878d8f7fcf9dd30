use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// The ports for traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Listen {
    /// The address to listen on. `null`: all, IPv4 and IPv6.
    pub address: Option<IpAddr>,
    /// The plain port. `null`: none (`--http-port`).
    pub http_port: Option<u16>,
    /// The TLS port. `null`: none (`--https-port`).
    pub https_port: Option<u16>,
    /// The plain port that clients see, in `X-Forwarded-Port`.
    pub public_http_port: u16,
    /// The TLS port that clients see, in `X-Forwarded-Port` and in redirects.
    pub public_https_port: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: None,
            http_port: Some(80),
            https_port: Some(443),
            public_http_port: 80,
            public_https_port: 443,
        }
    }
}

/// PROXY protocol v1 and v2 on both ports (ingress-nginx's
/// `use-proxy-protocol`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ProxyProtocol {
    /// Read a header at the start of connections.
    pub enabled: bool,
    /// Networks that may send one; connections from elsewhere are closed.
    #[schemars(with = "Vec<String>")]
    pub trusted: Vec<IpNet>,
    /// Networks whose connections are taken without a header, too: hairpin
    /// traffic from inside of the cluster, which passes no load balancer.
    #[schemars(with = "Vec<String>")]
    pub optional: Vec<IpNet>,
    /// Time for a whole header (`proxy-protocol-header-timeout`).
    pub header_timeout: Span,
}

impl Default for ProxyProtocol {
    fn default() -> Self {
        Self {
            enabled: false,
            trusted: Vec::new(),
            optional: Vec::new(),
            header_timeout: Span(tidegate_snapshot::ProxyProtocol::HEADER_TIMEOUT),
        }
    }
}
