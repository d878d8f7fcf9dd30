//! A plain request: as policies see it, and as the upstream gets it, with
//! ingress-nginx's header set ([`crate::proxy::forwarded`] has the same rules
//! for requests of every kind).

use std::borrow::Cow;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::header::{HOST, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use pingora_http::RequestHeader;
use tidegate_snapshot::Listener;

use super::head::Head;
use crate::geoip::Place;
use crate::listener::Connection;
use crate::path;
use crate::policy::serves_directly;
use crate::proxy::client::X_FORWARDED_FOR;
use crate::proxy::forwarded::X_REQUEST_ID;
use crate::proxy::inbound::{self, Text};
use crate::proxy::{forwarded, host};
use crate::request::RequestView;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-scheme");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
/// How many fields are ours.
const OURS: usize = 8;

/// A request that the direct path may serve.
pub(super) struct Request<'a> {
    pub(super) head: Head<'a>,
    host: Text,
    path: Cow<'a, str>,
    pub(super) client_ip: IpAddr,
    is_tls: bool,
    is_https: bool,
    port: u16,
    /// The client's own, if it sent one.
    pub(super) id: Option<&'a [u8]>,
    /// Looked up when it is asked for.
    place: OnceLock<Option<Arc<Place>>>,
}

impl<'a> Request<'a> {
    /// `None` for what Pingora's path has to look at: a host or path that is
    /// not acceptable, a listener that believes forwarded headers, or early data.
    pub(super) fn new(head: Head<'a>, connection: &Connection, listener: &Listener) -> Option<Self> {
        if !serves_directly(&listener.http) || connection.is_early() {
            return None;
        }
        let is_tls = connection.tls.is_some();
        let id = head
            .fields
            .iter()
            .find(|(name, value)| name.eq_ignore_ascii_case("x-request-id") && !value.is_empty());
        Some(Self {
            host: host::normalise(Some(head.host), Version::HTTP_11).ok()?,
            path: path::normalise(head.target.split('?').next().unwrap_or(head.target)).ok()?,
            client_ip: connection.client.ip().to_canonical(),
            is_tls,
            is_https: is_tls || inbound::is_https_by_proxy(connection),
            port: inbound::port(connection, listener),
            id: id.map(|(_, value)| value),
            place: OnceLock::new(),
            head,
        })
    }

    /// Where the client is.
    pub(super) fn place(&self) -> Option<&Arc<Place>> {
        self.place.get_or_init(|| Place::of(self.client_ip)).as_ref()
    }

    /// Appends the head for the upstream to `out`; `target` is what it is asked for.
    pub(super) fn write(&self, target: &str, id: Option<&[u8]>, out: &mut Vec<u8>) {
        let head = &self.head;
        for part in [head.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        for (name, value) in head.fields.iter() {
            let name = match Treatment::of(name) {
                Treatment::Pass => name,
                Treatment::Drop => continue,
                Treatment::Rename(_) if value.is_empty() => continue,
                Treatment::Rename(original) => original,
            };
            field(name, value, out);
        }
        if head.upgrade {
            field("Connection", b"upgrade", out);
        }
        if let Some(id) = id {
            field("X-Request-ID", id, out);
        }
        // Writing into memory cannot fail.
        let _ = write!(out, "X-Real-IP: {0}\r\nX-Forwarded-For: {0}\r\n", self.client_ip);
        field("X-Forwarded-Host", head.host, out);
        let _ = write!(out, "X-Forwarded-Port: {}\r\n", self.port);
        let scheme = self.scheme().as_bytes();
        field("X-Forwarded-Proto", scheme, out);
        field("X-Forwarded-Scheme", scheme, out);
        field("X-Scheme", scheme, out);
        out.extend_from_slice(b"\r\n");
    }
}

impl Request<'_> {
    /// The head for an upstream that speaks HTTP/2. `client` is the client's.
    pub(super) fn for_http2(
        &self,
        client: &RequestHeader,
        uri: Uri,
        id: Option<&HeaderValue>,
    ) -> http::Request<()> {
        let mut fields = HeaderMap::with_capacity(client.headers.len() + OURS);
        for (name, value) in &client.headers {
            let passes = match Treatment::of(name.as_str()) {
                // `:authority` says it.
                Treatment::Pass if *name == HOST => false,
                // Of servers of gRPC some insist on it.
                Treatment::Pass if *name == TE => value.as_bytes().eq_ignore_ascii_case(b"trailers"),
                Treatment::Pass => true,
                Treatment::Drop => false,
                Treatment::Rename(original) => {
                    if !value.is_empty()
                        && let Ok(original) = HeaderName::from_bytes(original.as_bytes())
                    {
                        fields.append(original, value.clone());
                    }
                    false
                }
            };
            if passes {
                fields.append(name, value.clone());
            }
        }
        if let Some(id) = id {
            fields.insert(X_REQUEST_ID, id.clone());
        }
        let address = forwarded::address(self.client_ip);
        fields.insert(X_REAL_IP, address.clone());
        fields.insert(X_FORWARDED_FOR, address);
        if let Ok(host) = HeaderValue::from_bytes(self.head.host) {
            fields.insert(X_FORWARDED_HOST, host);
        }
        fields.insert(X_FORWARDED_PORT, forwarded::port_value(self.port));
        let scheme = HeaderValue::from_static(if self.is_https { "https" } else { "http" });
        fields.insert(X_FORWARDED_PROTO, scheme.clone());
        fields.insert(X_FORWARDED_SCHEME, scheme.clone());
        fields.insert(X_SCHEME, scheme);
        let mut request = http::Request::new(());
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = fields;
        request
    }
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// What becomes of a client's field.
enum Treatment {
    Pass,
    /// It concerns the client's connection alone, or is ours to set.
    Drop,
    /// Ours to set; the client's is kept under this name.
    Rename(&'static str),
}

impl Treatment {
    fn of(name: &str) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            // https://httpoxy.org
            5 if is("proxy") => Self::Drop,
            8 if is("x-scheme") => Self::Drop,
            9 if is("x-real-ip") => Self::Drop,
            10 if is("connection") || is("keep-alive") => Self::Drop,
            12 if is("x-request-id") => Self::Drop,
            // Nobody says so by himself (see `policy::client_auth`).
            15 if is("ssl-client-cert") => Self::Drop,
            17 if is("ssl-client-verify") => Self::Drop,
            20 if is("ssl-client-issuer-dn") => Self::Drop,
            21 if is("ssl-client-subject-dn") => Self::Drop,
            15 if is("x-forwarded-for") => Self::Rename("X-Original-Forwarded-For"),
            16 if is("x-forwarded-host") => Self::Rename("X-Original-Forwarded-Host"),
            16 if is("x-forwarded-port") => Self::Drop,
            17 if is("x-forwarded-proto") => Self::Drop,
            18 if is("x-forwarded-scheme") => Self::Drop,
            24 if is("x-original-forwarded-for") => Self::Drop,
            25 if is("x-original-forwarded-host") => Self::Drop,
            _ => Self::Pass,
        }
    }
}

impl RequestView for Request<'_> {
    fn method(&self) -> &Method {
        &self.head.method
    }

    fn host(&self) -> &str {
        match &self.host {
            Text::Prefix(length) => std::str::from_utf8(&self.head.host[..*length]).unwrap_or_default(),
            Text::Owned(host) => host,
        }
    }

    fn authority(&self) -> &[u8] {
        self.head.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn uri(&self) -> &str {
        self.head.target
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut fields = self.head.fields.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name.as_str()));
        found.map(|(_, value)| value)
    }

    fn each_header<'b>(&'b self, name: &HeaderName, each: &mut dyn FnMut(&'b [u8])) {
        for (field, value) in self.head.fields.iter() {
            if field.eq_ignore_ascii_case(name.as_str()) {
                each(value);
            }
        }
    }

    fn client_ip(&self) -> IpAddr {
        self.client_ip
    }

    fn place(&self) -> Option<&Place> {
        Request::place(self).map(|place| &**place)
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }

    fn scheme(&self) -> &str {
        if self.is_https { "https" } else { "http" }
    }
}
