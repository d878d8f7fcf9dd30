//! The immutable values that Tidegate's two halves speak: the controller
//! translates Kubernetes objects into a [`Snapshot`], the gateway compiles one
//! into what serves traffic.
//!
//! Rules of this crate:
//! - Every value is parsed: a `Snapshot` that exists can be compiled; errors
//!   are found where the guilty object is known.
//! - Every value is `Eq` (no floats: permille and milliseconds), so that
//!   equality decides what live state survives a change.
//! - Everything shared is behind an `Arc`: replacing one host or one cluster
//!   copies pointers, and pointer equality is a cheap proof of "unchanged".
//! - Secrets are redacted in `Debug` and `Serialize`.

pub mod access_log;
mod certificate;
mod client_auth;
mod cluster;
mod compression;
mod field_name;
pub mod geoip;
mod host;
mod http_settings;
mod listener;
mod networks;
mod ocsp;
mod origin;
mod pattern;
pub mod policy;
mod publication;
pub mod route;
mod shared_map;
mod stream;
pub mod text;
mod tls_settings;
mod trace_export;
mod upstream_tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use access_log::AccessLog;
pub use certificate::{Certificate, CertificateError, PrivateKey, parse_pem};
pub use client_auth::{ClientAuth, ClientAuthMode, ClientTrust, ClientTrustError};
pub use cluster::{
    Cluster, ClusterKey, Discovery, Endpoint, Endpoints, HashKey, HealthCheck, HealthCheckKind,
    LoadBalancing, UpstreamProtocol,
};
pub use compression::{Compression, Encoding};
pub use field_name::FieldName;
pub use geoip::{GeoDatabase, GeoField, GeoIp};
pub use host::{Hostname, HostnameError};
pub use http_settings::{HttpSettings, RealIp, ServerHeader, UpstreamKeepAlive};
pub use listener::{Listener, ListenerKey, ListenerProtocol, ProxyProtocol};
pub use networks::{Networks, NetworksError};
pub use ocsp::Ocsp;
pub use origin::{Effect, ObjectRef, Problem};
pub use pattern::{Captures, Pattern, PatternError};
pub use policy::Policies;
pub use publication::{Changed, Publication};
pub use route::{Action, PathMatch, Route, RouteMatch, VirtualHost};
pub use shared_map::SharedMap;
pub use stream::StreamRoute;
pub use text::{Text, Variable};
pub use tls_settings::{Cipher, KeyExchange, TicketKey, Tickets, TlsSettings};
pub use trace_export::{RootSampler, Sampler, TraceExport};
pub use upstream_tls::{AltName, HandshakeLimits, TrustAnchors, UpstreamTls};

/// Everything that the gateway serves at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The ports to serve, by name.
    pub listeners: BTreeMap<ListenerKey, Arc<Listener>>,
    /// Routing tables, by the name that listeners refer to. An Ingress
    /// controller has one table that all its listeners share; each Gateway
    /// listener has its own.
    pub tables: BTreeMap<Arc<str>, Arc<RouteTable>>,
    /// How requests are logged.
    pub access_log: Arc<AccessLog>,
    /// Where spans go.
    pub trace_export: Arc<TraceExport>,
    /// How OCSP responses are stapled; `None`: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<Arc<Ocsp>>,
    /// GeoIP databases; `None`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geoip: Option<Arc<GeoIp>>,
    /// The longest wait for requests under way when the process ends
    /// (`worker-shutdown-timeout`); `None`: the process's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_timeout: Option<Duration>,
    /// What routes forward to, without endpoints.
    pub clusters: Arc<SharedMap<ClusterKey, Arc<Cluster>>>,
    /// The endpoints of each cluster; a cluster that is missing here has none.
    /// Apart from `clusters`, because they change a hundred times as often.
    pub endpoints: Arc<SharedMap<ClusterKey, Endpoints>>,
}

/// The virtual hosts and certificates of one or more listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteTable {
    /// By host name; a request takes the most specific one that matches
    /// ([`Hostname`]'s order).
    pub hosts: SharedMap<Hostname, Arc<VirtualHost>>,
    /// Certificates by the server name that asks for them.
    pub certificates: BTreeMap<Hostname, Arc<Certificate>>,
    /// Where whole connections go that nothing looks into, by the server name
    /// that they ask for; [`Hostname::Any`] takes all, TLS or not. They come
    /// before `hosts`. `None`: connections for this name carry HTTP although a
    /// wider name of this map covers it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<Hostname, Option<Arc<StreamRoute>>>,
    /// Where several listeners of a Gateway share the port: their host names. A
    /// request on a TLS connection that was made for another of them is
    /// misdirected (RFC 9110 §15.5.20). Empty: nobody looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Hostname>,
    /// How handshakes go; hosts may say otherwise.
    pub tls: Arc<TlsSettings>,
    /// Refuse handshakes for server names that no host has, and those without
    /// one (`ssl-reject-handshake`).
    pub reject_unknown_names: bool,
    /// For server names that `certificates` has nothing for, and for clients
    /// that send none. Without it such handshakes are refused.
    pub default_certificate: Option<Arc<Certificate>>,
}
