//! What a request says and what is believed of it: host, path, client address,
//! scheme. Made once, when the head has been read.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::header::{COOKIE, HOST};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use pingora_core::protocols::http::authority::raw_target_authority;
use pingora_http::RequestHeader;
use tidegate_snapshot::{HttpSettings, Listener};

use super::{client, host};
use crate::geoip::Place;
use crate::listener::Connection;
use crate::path;
use crate::request::RequestView;

/// `X-Forwarded-Host`.
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Port`.
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// `X-Forwarded-Proto`.
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The port whose PROXY header announces https (ingress-nginx).
const HTTPS_PORT: u16 = 443;

/// A text that is nearly always a piece of the request's head.
pub(super) enum Text {
    /// As long as this from the start of the raw one.
    Prefix(usize),
    /// Normalised.
    Owned(Box<str>),
}

/// The scheme that the client used.
pub(super) enum Scheme {
    Http,
    Https,
    /// What a trusted peer wrote, verbatim.
    Announced(HeaderValue),
}

impl Scheme {
    pub(super) fn value(&self) -> HeaderValue {
        match self {
            Self::Http => HeaderValue::from_static("http"),
            Self::Https => HeaderValue::from_static("https"),
            Self::Announced(value) => value.clone(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Announced(value) => value.to_str().unwrap_or_default(),
        }
    }
}

/// What is known of a request before it is routed.
pub(super) struct Inbound {
    pub(super) connection: Arc<Connection>,
    pub(super) listener: Arc<Listener>,
    host: Text,
    path: Text,
    /// The client's address after the trust rules.
    pub(super) client_ip: IpAddr,
    pub(super) scheme: Scheme,
    /// What a trusted peer says the host is: for the upstream and for
    /// redirects, never for routing.
    pub(super) forwarded_host: Option<HeaderValue>,
    /// What a trusted peer says the port is.
    pub(super) forwarded_port: Option<HeaderValue>,
    /// Looked up when it is asked for.
    place: OnceLock<Option<Arc<Place>>>,
}

impl Inbound {
    /// Reads a head.
    ///
    /// # Errors
    /// The status of the answer when host or path are not acceptable.
    pub(super) fn new(
        connection: Arc<Connection>,
        listener: Arc<Listener>,
        head: &RequestHeader,
    ) -> Result<Self, StatusCode> {
        let http = &listener.http;
        let trusted = http.real_ip.use_forwarded_headers && client::is_trusted(&connection, http);
        let believed = |name| if trusted { first(head, name) } else { None };
        Ok(Self {
            host: host::normalise(raw_host(head), head.version)?,
            path: normal_path(head)?,
            client_ip: client::address(&connection, &head.headers, http),
            scheme: scheme(&connection, believed(&X_FORWARDED_PROTO)),
            forwarded_host: believed(&X_FORWARDED_HOST).and_then(host::first_of_list),
            forwarded_port: believed(&X_FORWARDED_PORT),
            place: OnceLock::new(),
            connection,
            listener,
        })
    }

    /// Where the client is.
    pub(super) fn place(&self) -> Option<&Arc<Place>> {
        self.place.get_or_init(|| Place::of(self.client_ip)).as_ref()
    }

    pub(super) fn http(&self) -> &HttpSettings {
        &self.listener.http
    }

    pub(super) fn view<'a>(&'a self, head: &'a RequestHeader) -> View<'a> {
        View { head, inbound: self }
    }

    /// The port in `X-Forwarded-Port` where no trusted peer says otherwise.
    pub(super) fn port(&self) -> u16 {
        port(&self.connection, &self.listener)
    }

    pub(super) fn host<'a>(&'a self, head: &'a RequestHeader) -> &'a str {
        match &self.host {
            Text::Prefix(length) => raw_host(head)
                .and_then(|raw| std::str::from_utf8(raw.get(..*length)?).ok())
                .unwrap_or_default(),
            Text::Owned(host) => host,
        }
    }

    fn path<'a>(&'a self, head: &'a RequestHeader) -> &'a str {
        match &self.path {
            Text::Prefix(length) => head.uri.path().get(..*length).unwrap_or("/"),
            Text::Owned(path) => path,
        }
    }
}

/// The port in `X-Forwarded-Port` where no trusted peer says otherwise.
pub(super) fn port(connection: &Connection, listener: &Listener) -> u16 {
    if connection.proxied {
        connection.local.port()
    } else {
        listener.public_port
    }
}

/// Whether a PROXY header says that the client connected to https.
pub(super) fn is_https_by_proxy(connection: &Connection) -> bool {
    connection.proxied && connection.local.port() == HTTPS_PORT
}

/// The host as the client wrote it, with its port: from an absolute target,
/// `:authority` or `Host`.
pub(super) fn raw_host(head: &RequestHeader) -> Option<&[u8]> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.as_str().as_bytes());
    }
    match head.headers.get(HOST) {
        Some(host) => Some(host.as_bytes()),
        None => raw_target_authority(head.raw_path()).authority(),
    }
}

/// Path and query as the client wrote them.
pub(super) fn uri(head: &RequestHeader) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

fn normal_path(head: &RequestHeader) -> Result<Text, StatusCode> {
    let raw = head.uri.path();
    if !head.raw_path_is_utf8() {
        return path::normalise_bytes(head.raw_path())
            .map(|path| Text::Owned(path.into()))
            .map_err(|_| StatusCode::BAD_REQUEST);
    }
    match path::normalise(raw) {
        Ok(std::borrow::Cow::Borrowed(path)) => Ok(Text::Prefix(path.len())),
        Ok(std::borrow::Cow::Owned(path)) => Ok(Text::Owned(path.into())),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

/// `X-Forwarded-Proto` of a trusted peer verbatim, else the connection's; over
/// both, https for a PROXY destination port of 443.
fn scheme(connection: &Connection, announced: Option<HeaderValue>) -> Scheme {
    if is_https_by_proxy(connection) {
        return Scheme::Https;
    }
    match announced {
        Some(value) if value == "https" => Scheme::Https,
        Some(value) if value == "http" => Scheme::Http,
        Some(value) => Scheme::Announced(value),
        None if connection.tls.is_some() => Scheme::Https,
        None => Scheme::Http,
    }
}

fn first(head: &RequestHeader, name: &HeaderName) -> Option<HeaderValue> {
    head.headers.get(name).filter(|value| !value.is_empty()).cloned()
}

/// A request as policies and the router see it.
pub(super) struct View<'a> {
    head: &'a RequestHeader,
    inbound: &'a Inbound,
}

impl RequestView for View<'_> {
    fn method(&self) -> &Method {
        &self.head.method
    }

    fn host(&self) -> &str {
        self.inbound.host(self.head)
    }

    fn authority(&self) -> &[u8] {
        raw_host(self.head).unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.inbound.path(self.head)
    }

    fn uri(&self) -> &str {
        uri(self.head)
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.head.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn each_header<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        self.head
            .headers
            .get_all(name)
            .iter()
            .for_each(|value| each(value.as_bytes()));
    }

    fn client_ip(&self) -> IpAddr {
        self.inbound.client_ip
    }

    fn place(&self) -> Option<&Place> {
        self.inbound.place().map(|place| &**place)
    }

    fn is_tls(&self) -> bool {
        self.inbound.connection.tls.is_some()
    }

    fn is_early(&self) -> bool {
        self.inbound.connection.is_early()
    }

    fn scheme(&self) -> &str {
        self.inbound.scheme.as_str()
    }
}

/// Joins several `Cookie` fields, which HTTP/2 allows, to one before anything
/// reads them (RFC 9113 §8.2.3).
pub(super) fn join_cookies(head: &mut RequestHeader) -> pingora_core::Result<()> {
    let mut cookies = head.headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return Ok(());
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    head.insert_header("Cookie", joined)
}
