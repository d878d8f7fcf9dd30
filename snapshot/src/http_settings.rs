//! What holds for every request of a listener; ingress-nginx keeps these in its
//! ConfigMap.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::Compression;
use crate::policy::Block;

/// Limits and header rules. [`HttpSettings::default`] is what ingress-nginx
/// 1.15 does without a ConfigMap; each value names its directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpSettings {
    /// Which peers' forwarded headers are believed, and how.
    pub real_ip: RealIp,
    /// Make an `X-Request-ID` where the client sent none (`generate-request-id`).
    pub generate_request_id: bool,
    /// Idle time of a client's keep-alive connection (`keep-alive`, 75 s).
    pub keep_alive: Duration,
    /// Requests on one client connection (`keep-alive-requests`, 1000).
    pub keep_alive_requests: u32,
    /// Time for a whole request head (`client-header-timeout`, 60 s).
    pub header_timeout: Duration,
    /// Time between two reads of a request body (`client-body-timeout`, 60 s).
    pub body_timeout: Duration,
    /// Bytes of a request line or of one header field
    /// (`large-client-header-buffers`, 4 of 8k: one line must fit one buffer).
    pub max_header_line: usize,
    /// Bytes of a whole request head: all buffers of the same directive.
    pub max_header_total: usize,
    /// Concurrent streams of an HTTP/2 connection (`http2-max-concurrent-streams`, 128).
    pub h2_max_streams: u32,
    /// Compression of answers (`use-gzip`, `enable-brotli`; off).
    pub compression: Compression,
    /// The port that redirects to https name; 443 is left out of the URL.
    pub https_port: u16,
    /// Drop header fields with other than letters, digits and `-` in their name
    /// (`ignore-invalid-headers`).
    pub drop_invalid: bool,
    /// `_` is such a character (`enable-underscores-in-headers: false`).
    pub drop_underscores: bool,
    /// Who is answered 403 on every host (`block-cidrs` and others).
    #[serde(skip_serializing_if = "Block::is_empty")]
    pub block: Block,
    /// Offer HTTP/2 to TLS clients, and take it by prior knowledge on the plain
    /// port (`use-http2`).
    pub http2: bool,
    /// Send `X-Original-URI` to the upstream (`proxy-add-original-uri-header`).
    pub original_uri_header: bool,
    /// What answers say in `Server`.
    pub server_header: ServerHeader,
    /// How connections to upstreams are kept between requests.
    pub upstream_keep_alive: UpstreamKeepAlive,
}

/// Which connections to upstreams are kept, for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamKeepAlive {
    /// How long one may idle (`upstream-keepalive-timeout`, 60 s). Zero: none is
    /// kept.
    pub idle: Duration,
    /// Requests on one (`upstream-keepalive-requests`, 10,000).
    pub requests: u32,
    /// One that is older ends with its request (`upstream-keepalive-time`, 1 h).
    pub life: Duration,
    /// Idle ones of a thread, over all upstreams
    /// (`upstream-keepalive-connections`, 320).
    pub connections: u32,
}

impl Default for UpstreamKeepAlive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            requests: 10_000,
            life: Duration::from_secs(60 * 60),
            connections: 320,
        }
    }
}

/// The `Server` field of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
pub enum ServerHeader {
    /// None (`server-tokens: false`).
    #[default]
    None,
    /// Ours (`server-tokens: true`).
    Own,
    /// The backend's, ours where it has none (`server-tokens` and
    /// `allow-backend-server-header`).
    Backend,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            real_ip: RealIp::default(),
            generate_request_id: true,
            keep_alive: Duration::from_secs(75),
            keep_alive_requests: 1000,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            max_header_line: 8 * 1024,
            max_header_total: 32 * 1024,
            h2_max_streams: 128,
            compression: Compression::default(),
            https_port: 443,
            drop_invalid: true,
            drop_underscores: true,
            block: Block::default(),
            http2: true,
            original_uri_header: false,
            server_header: ServerHeader::None,
            upstream_keep_alive: UpstreamKeepAlive::default(),
        }
    }
}

/// Where the client's address and scheme come from
/// (ingress-nginx-behaviour §7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RealIp {
    /// `use-forwarded-headers`: believe X-Forwarded-* of `trusted` peers.
    pub use_forwarded_headers: bool,
    /// `enable-real-ip`: the address alone, from `header`.
    pub enable_real_ip: bool,
    /// `compute-full-forwarded-for`: append to X-Forwarded-For rather than
    /// replace it.
    pub compute_full_forwarded_for: bool,
    /// `proxy-real-ip-cidr`. Empty: nobody.
    pub trusted: Vec<IpNet>,
    /// Where the addresses stand (`forwarded-for-header`).
    #[serde(serialize_with = "name")]
    pub header: HeaderName,
    /// What the upstream gets as `X-Original-Forwarded-Host`
    /// (`forwarded-host-header`).
    #[serde(serialize_with = "name")]
    pub host_header: HeaderName,
}

impl Default for RealIp {
    /// Nobody is believed.
    fn default() -> Self {
        Self {
            use_forwarded_headers: false,
            enable_real_ip: false,
            compute_full_forwarded_for: false,
            trusted: Vec::new(),
            header: HeaderName::from_static("x-forwarded-for"),
            host_header: HeaderName::from_static("x-forwarded-host"),
        }
    }
}

fn name<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}
