//! A request without a transport, for tests.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::path;
use crate::request::RequestView;

pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) client_ip: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) scheme: &'static str,
}

impl Request {
    /// A plain `GET` to `foo.bar` from 127.0.0.1.
    pub(crate) fn get(uri: &str) -> Self {
        let raw = uri.split('?').next().unwrap_or_default();
        Self {
            method: Method::GET,
            host: "foo.bar".to_owned(),
            path: path::normalise(raw).unwrap().into_owned(),
            uri: uri.to_owned(),
            headers: HeaderMap::new(),
            client_ip: Ipv4Addr::LOCALHOST.into(),
            is_tls: false,
            scheme: "http",
        }
    }

    #[allow(dead_code, reason = "for the tests of more policies")]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }
}

impl RequestView for Request {
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
        &self.uri
    }
    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }
    fn client_ip(&self) -> IpAddr {
        self.client_ip
    }
    fn is_tls(&self) -> bool {
        self.is_tls
    }
    fn scheme(&self) -> &str {
        self.scheme
    }
}
