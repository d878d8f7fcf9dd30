//! Texts with variables ([`tidegate_snapshot::Text`]) filled in for a request.

use std::io::Write;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use tidegate_snapshot::ObjectRef;
use tidegate_snapshot::text::{Piece, Text, Variable};

use crate::request::{RequestView, cookie, credentials};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the variables of a text stand for.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// Its ID; empty without one.
    pub request_id: &'a [u8],
    /// The port that the client connected to, after the trust rules.
    pub port: &'a [u8],
    /// The route's object and its path as the object wrote it.
    pub route: Option<(&'a ObjectRef, &'a str)>,
    /// Name and port of the Service that it goes to.
    pub service: Option<(&'a str, &'a str)>,
}

impl<'a> Values<'a> {
    /// Those of a request of which nothing else is known: the other variables
    /// are empty.
    pub fn of(request: &'a dyn RequestView) -> Self {
        Self {
            request,
            request_id: b"",
            port: b"",
            route: None,
            service: None,
        }
    }
}

/// Appends `text` with its variables filled in. Bytes, because clients may send
/// any in header fields; whoever makes a URL or a header value of it must check.
pub fn fill(text: &Text, values: &Values<'_>, out: &mut Vec<u8>) {
    for piece in text.pieces() {
        match piece {
            Piece::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            Piece::Variable(name) => variable(name, values, out),
        }
    }
}

/// [`fill`] into a new buffer.
pub fn filled(text: &Text, values: &Values<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    fill(text, values, &mut out);
    out
}

/// Appends the value of a variable.
pub fn variable(name: &Variable, values: &Values<'_>, out: &mut Vec<u8>) {
    let request = values.request;
    let origin = values.route.map(|(origin, _)| origin);
    let value: &[u8] = match name {
        Variable::Host => request.host().as_bytes(),
        Variable::Authority => request.authority(),
        Variable::RequestUri => request.uri().as_bytes(),
        Variable::EscapedRequestUri => return escape(request.uri().as_bytes(), out),
        Variable::Path => request.path().as_bytes(),
        Variable::Query => request.query().unwrap_or_default().as_bytes(),
        Variable::IsArgs if request.query().is_some_and(|query| !query.is_empty()) => b"?",
        Variable::IsArgs => b"",
        Variable::Method => request.method().as_str().as_bytes(),
        Variable::Scheme if request.is_tls() => b"https",
        Variable::Scheme => b"http",
        Variable::PassAccessScheme => request.scheme().as_bytes(),
        Variable::Port => values.port,
        Variable::ClientAddress => {
            // Writing into memory cannot fail.
            let _ = write!(out, "{}", request.client_ip());
            return;
        }
        Variable::BinaryClientAddress => {
            match request.client_ip() {
                IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
            }
            return;
        }
        Variable::RemoteUser => {
            let claimed = request.header(&AUTHORIZATION).and_then(credentials::basic);
            if let Some((user, _)) = claimed {
                out.extend_from_slice(&user);
            }
            return;
        }
        Variable::ForwardedFor => return forwarded_for(request, out),
        Variable::Https if request.is_tls() => b"on",
        Variable::Https => b"",
        Variable::EarlyData if request.is_early() => b"1",
        Variable::EarlyData => b"",
        Variable::RequestId => values.request_id,
        Variable::Namespace => origin.map_or("", |origin| &origin.namespace).as_bytes(),
        Variable::Ingress => origin.map_or("", |origin| &origin.name).as_bytes(),
        Variable::LocationPath => values.route.map_or("", |(_, path)| path).as_bytes(),
        Variable::Service => values.service.map_or("", |(name, _)| name).as_bytes(),
        Variable::ServicePort => values.service.map_or("", |(_, port)| port).as_bytes(),
        Variable::Milliseconds => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let _ = write!(out, "{}.{:03}", now.as_secs(), now.subsec_millis());
            return;
        }
        Variable::Geo(field) => {
            let place = request.place();
            place
                .and_then(|place| place.value(*field))
                .unwrap_or_default()
                .as_bytes()
        }
        Variable::Header(name) => request.header(name).unwrap_or_default(),
        Variable::Cookie(name) => {
            let field = request.header(&COOKIE).unwrap_or_default();
            cookie(field, name.as_bytes()).unwrap_or_default()
        }
        Variable::Argument(name) => argument(request.query().unwrap_or_default(), name),
    };
    out.extend_from_slice(value);
}

/// The addresses that the client says it was forwarded for, and its own.
fn forwarded_for(request: &dyn RequestView, out: &mut Vec<u8>) {
    request.each_header(&X_FORWARDED_FOR, &mut |list| {
        out.extend_from_slice(list);
        out.extend_from_slice(b", ");
    });
    let _ = write!(out, "{}", request.client_ip());
}

/// The value of a query parameter as the client wrote it; names ignore case
/// (nginx `$arg_NAME`).
fn argument<'a>(query: &'a str, name: &str) -> &'a [u8] {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map_or(b"", |(_, value)| value.as_bytes())
}

/// Appends `bytes` percent-encoded: all but the unreserved characters of RFC
/// 3986 (nginx `ngx.escape_uri`).
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 0xF)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::Method;

    use super::*;
    use crate::request::fixtures::Request;

    fn request(uri: &str) -> Request {
        Request {
            method: Method::POST,
            path: "/a b".to_owned(),
            client_ip: Ipv4Addr::new(10, 0, 0, 1).into(),
            scheme: "https",
            ..Request::get(uri)
        }
        .with("host", "Foo.bar:8080")
        .with("cookie", "x=1; sid=abc; y=2")
        .with("x-user", "joe")
        .with("authorization", "Basic YW5uOnNlY3JldA==")
    }

    fn text(template: &str, uri: &'static str) -> String {
        let origin = ObjectRef::new("Ingress", "team", "web");
        let request = request(uri);
        let values = Values {
            request_id: b"id",
            port: b"443",
            route: Some((&origin, "/shop")),
            ..Values::of(&request)
        };
        let text = Text::parse(template).unwrap();
        String::from_utf8(filled(&text, &values)).unwrap()
    }

    #[test]
    fn variables_have_nginxs_values() {
        let uri = "/a%20b?q=1&Q=2&x=%41";
        for (template, value) in [
            ("https://$host/x", "https://foo.bar/x"),
            ("$http_host", "Foo.bar:8080"),
            ("$best_http_host", "Foo.bar:8080"),
            ("$request_uri", uri),
            ("$uri$is_args$args", "/a b?q=1&Q=2&x=%41"),
            ("$scheme $pass_access_scheme", "http https"),
            ("$request_method:$server_port:$req_id", "POST:443:id"),
            ("$remote_addr", "10.0.0.1"),
            ("$remote_user:", "ann:"),
            ("$proxy_add_x_forwarded_for,$https", "10.0.0.1,"),
            ("$namespace/$ingress_name$location_path", "team/web/shop"),
            (
                "$http_x_user-$http_absent-$cookie_sid-$arg_Q-$arg_x-$arg_no",
                "joe--abc-1-%41-",
            ),
        ] {
            assert_eq!(text(template, uri), value, "{template}");
        }
        assert_eq!(text("$is_args$args", "/"), "");
    }

    #[test]
    fn only_basic_credentials_name_a_user() {
        let name = Text::parse("$remote_user").unwrap();
        for request in [
            Request::get("/"),
            Request::get("/").with("authorization", "Bearer YW5uOng="),
        ] {
            assert_eq!(filled(&name, &Values::of(&request)), b"");
        }
    }

    #[test]
    fn the_escaped_uri_fits_into_a_query() {
        assert_eq!(
            text("rd=$escaped_request_uri", "/?a=b&c=d~"),
            "rd=%2F%3Fa%3Db%26c%3Dd~"
        );
    }
}
