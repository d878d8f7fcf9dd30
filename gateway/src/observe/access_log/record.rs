use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Version};
use opentelemetry::trace::{SpanId, TraceId};
use tidegate_snapshot::{ClusterKey, ObjectRef};

use crate::geoip::Place;

/// One finished request. Made only while the log is on; what is shared
/// (`HeaderValue`, `Arc`) is cloned by reference.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it ended.
    pub time: SystemTime,
    /// The client's address after PROXY protocol and real-IP rules.
    pub client: IpAddr,
    /// User of HTTP basic authentication, as the client claims.
    pub user: Option<Box<[u8]>>,
    /// The method.
    pub method: Method,
    /// The request target exactly as the client wrote it.
    pub uri: Box<[u8]>,
    /// The protocol version.
    pub version: Version,
    /// The `Host` field or `:authority`, without port.
    pub host: Box<str>,
    /// `http` or `https`, as the client used it.
    pub scheme: &'static str,
    /// The status sent; 499 when the client went away first.
    pub status: u16,
    /// Bytes of the answer's body sent.
    pub body_bytes_sent: u64,
    /// Bytes of the answer sent, head included.
    pub bytes_sent: u64,
    /// The `Referer` field.
    pub referer: Option<HeaderValue>,
    /// The `User-Agent` field.
    pub user_agent: Option<HeaderValue>,
    /// Bytes of the request: line, head and body.
    pub request_length: u64,
    /// From the first byte of the request to the end of the answer.
    pub request_time: Duration,
    /// The cluster that the request was meant for.
    pub upstream_name: Option<ClusterKey>,
    /// The canary cluster, where the traffic split has one
    /// (`$proxy_alternative_upstream_name`).
    pub alternative_upstream_name: Option<ClusterKey>,
    /// Tries to get an answer, in order.
    pub attempts: Vec<Attempt>,
    /// The request ID that the upstream was given.
    pub request_id: Option<HeaderValue>,
    /// The object whose route answered.
    pub route: Option<ObjectRef>,
    /// The path of that route as its object wrote it.
    pub route_path: Option<Arc<str>>,
    /// Its trace and its span, where the route has tracing on.
    pub trace: Option<(TraceId, SpanId)>,
    /// Where the client is, if the log's format asks for it.
    pub place: Option<Arc<Place>>,
    /// Fields that the log's format asks for.
    pub captured: Captured,
    /// More facts, where the log's format asks for any.
    pub facts: Option<Box<Facts>>,
    /// Why the gateway itself answered instead of the upstream: a fixed word.
    pub reason: Option<&'static str>,
}

/// Values of the fields that a format asks for, in its order.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// Of the request.
    pub request: Vec<Option<HeaderValue>>,
    /// Of the answer.
    pub sent: Vec<Option<HeaderValue>>,
    /// Of the backend's answer.
    pub upstream: Vec<Option<HeaderValue>>,
}

/// Facts of a request that few formats ask for.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The normalised path.
    pub path: Box<[u8]>,
    /// The host of the rule; `_` for the default one.
    pub server_name: Box<str>,
    /// The port that the client connected to.
    pub port: u16,
    /// The client's address in the PROXY header.
    pub announced: Option<IpAddr>,
    /// Protocol and cipher.
    pub tls: Option<(&'static str, &'static str)>,
    /// The name that the client asked for.
    pub tls_server_name: Option<Arc<str>>,
    /// Until the last try was connected, and until its head was there.
    pub connect: Option<Duration>,
    /// See `connect`.
    pub header: Option<Duration>,
}

/// One try to get an answer from an endpoint.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The endpoint.
    pub address: SocketAddr,
    /// Bytes of the answer's body received.
    pub response_length: u64,
    /// From the start of this try to its end.
    pub response_time: Duration,
    /// The endpoint's status; for a failed try the one that the failure would
    /// be answered with (502 or 504), as in nginx's `$upstream_status`.
    pub status: u16,
}

impl Record {
    /// A record of a request that nothing else is known of.
    pub fn new(client: IpAddr, method: Method, uri: &[u8], version: Version) -> Self {
        Self {
            time: SystemTime::now(),
            client,
            user: None,
            method,
            uri: uri.into(),
            version,
            host: Box::default(),
            scheme: "http",
            status: 0,
            body_bytes_sent: 0,
            bytes_sent: 0,
            referer: None,
            user_agent: None,
            request_length: 0,
            request_time: Duration::ZERO,
            upstream_name: None,
            alternative_upstream_name: None,
            attempts: Vec::new(),
            request_id: None,
            route: None,
            route_path: None,
            trace: None,
            place: None,
            captured: Captured::default(),
            facts: None,
            reason: None,
        }
    }
}
