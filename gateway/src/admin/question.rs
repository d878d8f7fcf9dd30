//! A request that nobody sent: what `explain` is asked about.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::geoip::Place;
use crate::path;
use crate::request::RequestView;

/// A request by URL, method and header fields.
#[derive(Clone, Debug)]
pub struct Question {
    method: Method,
    uri: Uri,
    host: String,
    path: String,
    headers: HeaderMap,
    place: OnceLock<Option<Arc<Place>>>,
}

impl Question {
    /// Takes an absolute URL (`http` or `https`; `tls`, `tcp` or `udp` with a port
    /// for connections and datagrams that carry no HTTP), and header fields as
    /// `name: value`.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn new<'a>(
        url: &str,
        method: &str,
        headers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let wrong = |reason: &str| {
            format!("url {url:?} {reason}; write http://host/path or https://host/path, or tcp://host:port")
        };
        let uri: Uri = url
            .parse()
            .map_err(|error| wrong(&format!("is not valid ({error})")))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some("tls" | "tcp" | "udp") if uri.port_u16().is_some() => {}
            Some("tls" | "tcp" | "udp") => return Err(wrong("has no port")),
            _ => return Err(wrong("does not start with http:// or https://")),
        }
        let host = uri.host().ok_or_else(|| wrong("has no host"))?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let path =
            path::normalise(uri.path()).map_err(|error| wrong(&format!("would be answered 400: {error}")))?;
        Ok(Self {
            place: OnceLock::new(),
            path: path.into_owned(),
            host,
            method: method
                .parse()
                .map_err(|_| format!("method {method:?} is not valid"))?,
            headers: fields(headers)?,
            uri,
        })
    }

    /// Whether it is about a request, not about a connection.
    pub fn is_http(&self) -> bool {
        matches!(self.scheme(), "http" | "https")
    }

    /// The port in the URL, or the scheme's.
    pub fn port(&self) -> u16 {
        self.uri
            .port_u16()
            .unwrap_or(if self.is_tls() { 443 } else { 80 })
    }
}

fn fields<'a>(headers: impl IntoIterator<Item = &'a str>) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::new();
    for field in headers {
        let (name, value) = header(field)?;
        fields.append(name, value);
    }
    Ok(fields)
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("header {text:?} is not of the form name: value");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    let value = value.trim().parse().map_err(|_| wrong())?;
    Ok((name, value))
}

impl RequestView for Question {
    fn method(&self) -> &Method {
        &self.method
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn uri(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn each_header<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        self.headers
            .get_all(name)
            .iter()
            .for_each(|value| each(value.as_bytes()));
    }

    fn client_ip(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn place(&self) -> Option<&Place> {
        self.place.get_or_init(|| Place::of(self.client_ip())).as_deref()
    }

    fn is_tls(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("https" | "tls"))
    }

    fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or("http")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_a_request() {
        let question =
            Question::new("https://Shop.Example.:8443/a//b/../c?d=e#f", "POST", ["X-A: 1"]).unwrap();
        assert_eq!(question.host(), "shop.example");
        assert_eq!(question.path(), "/a/c");
        assert_eq!(question.uri(), "/a//b/../c?d=e");
        assert_eq!(
            (question.scheme(), question.is_tls(), question.port()),
            ("https", true, 8443)
        );
        assert_eq!(question.header(&HeaderName::from_static("x-a")), Some(&b"1"[..]));
        assert_eq!(Question::new("http://a", "GET", []).unwrap().path(), "/");
    }

    #[test]
    fn a_field_may_come_several_times() {
        let question = Question::new("http://a", "GET", ["X-A: 1", "x-a: 2"]).unwrap();
        let mut values = Vec::new();
        question.each_header(&HeaderName::from_static("x-a"), &mut |value| values.push(value));
        assert_eq!(values, [b"1", b"2"]);
    }

    #[test]
    fn errors_say_which_part_is_wrong() {
        for (url, method, header, part) in [
            ("a.example/x", "GET", "a: b", "url \"a.example/x\""),
            ("ftp://a/", "GET", "a: b", "does not start with"),
            ("http://a/%zz", "GET", "a: b", "400"),
            ("http://a/", "G T", "a: b", "method \"G T\""),
            ("http://a/", "GET", "ab", "header \"ab\""),
        ] {
            let error = Question::new(url, method, [header]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
