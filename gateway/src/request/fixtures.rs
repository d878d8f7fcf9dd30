//! A request without a transport, for tests.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::path;
use crate::request::{Fields, RequestView};
use tidegate_snapshot::FieldName;

#[derive(Clone, Debug)]
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
    fn each_header<'a>(&'a self, name: &HeaderName, each: &mut dyn FnMut(&'a [u8])) {
        for value in self.headers.get_all(name) {
            each(value.as_bytes());
        }
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

/// A head without a transport: names in lower case, sorted.
#[derive(Default)]
pub(crate) struct Head(HeaderMap);

impl Head {
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        let mut head = Self::default();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.0.append(name, HeaderValue::from_str(value).unwrap());
        }
        head
    }

    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut pairs: Vec<_> = self.0.iter().map(pair).collect();
        pairs.sort();
        pairs
    }
}

impl Fields for Head {
    fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.get(name)
    }
    fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.0.get_all(name).iter().cloned().collect()
    }
    fn names(&self) -> Vec<HeaderName> {
        self.0.keys().cloned().collect()
    }
    fn set(&mut self, name: &FieldName, value: HeaderValue) {
        self.0.insert(name.name().clone(), value);
    }
    fn append(&mut self, name: &FieldName, value: HeaderValue) {
        self.0.append(name.name().clone(), value);
    }
    fn remove(&mut self, name: &HeaderName) {
        self.0.remove(name);
    }
}
