//! What policies and the router see of a request and an answer, whatever
//! carries them.

pub mod credentials;
#[cfg(test)]
pub(crate) mod fixtures;

use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use tidegate_snapshot::FieldName;

use crate::geoip::Place;

/// A request, read-only. Implemented by the proxy for a live session, and by
/// `explain` and tests without a socket.
pub trait RequestView: Sync {
    /// The method.
    fn method(&self) -> &Method;
    /// The host: lower case, without port and trailing dot. Empty when an
    /// HTTP/1.0 client sent none.
    fn host(&self) -> &str;
    /// The host as the client wrote it, with its port.
    fn authority(&self) -> &[u8] {
        self.header(&HOST).unwrap_or(self.host().as_bytes())
    }
    /// The path that rules are compared with: percent-decoded, `//` merged,
    /// dot segments resolved.
    fn path(&self) -> &str;
    /// The path and query exactly as the client wrote them.
    fn uri(&self) -> &str;
    /// The first header field of this name, as bytes.
    fn header(&self, name: &HeaderName) -> Option<&[u8]>;
    /// Every header field of this name, in order.
    fn each_header<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        if let Some(value) = self.header(name) {
            each(value);
        }
    }
    /// The client's address after PROXY protocol and real-IP rules.
    fn client_ip(&self) -> IpAddr;
    /// Whether the connection to this gateway is TLS.
    fn is_tls(&self) -> bool;
    /// Whether it may have come before the end of the TLS handshake.
    fn is_early(&self) -> bool {
        false
    }
    /// What GeoIP databases say of that address; `None`: there are none.
    fn place(&self) -> Option<&Place> {
        None
    }
    /// The scheme that the client used, after the trust rules for forwarded
    /// headers: `https` or `http` (or what a trusted peer wrote).
    fn scheme(&self) -> &str;

    /// The query without its `?`.
    fn query(&self) -> Option<&str> {
        self.uri().split_once('?').map(|(_, query)| query)
    }
}

/// The value of the first cookie called `name` (case-sensitive) in a `Cookie`
/// field (RFC 6265 §4.2.1), quotes included.
pub fn cookie<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| {
        pair.trim_ascii()
            .strip_prefix(name)?
            .trim_ascii_start()
            .strip_prefix(b"=")
            .map(<[u8]>::trim_ascii)
    })
}

/// The header fields of an answer, to be edited. Implemented by the proxy for
/// a live answer, and by tests for a plain map.
pub trait Fields {
    /// The first field of this name.
    fn value(&self, name: &HeaderName) -> Option<&HeaderValue>;
    /// Every field of this name, in order.
    fn values(&self, name: &HeaderName) -> Vec<HeaderValue>;
    /// The names of all fields, each at least once.
    fn names(&self) -> Vec<HeaderName>;
    /// Makes this the only field of its name.
    fn set(&mut self, name: &FieldName, value: HeaderValue);
    /// Adds a field beside those of the same name.
    fn append(&mut self, name: &FieldName, value: HeaderValue);
    /// Removes every field of this name.
    fn remove(&mut self, name: &HeaderName);
}
