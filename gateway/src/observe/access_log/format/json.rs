//! One JSON object a line, keys named like nginx's variables, numbers as
//! numbers, absent values left out.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;

use super::super::Record;
use super::{time, version};

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    remote_addr: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_user: Option<Cow<'a, str>>,
    scheme: &'a str,
    host: &'a str,
    request_method: &'a str,
    request_uri: Cow<'a, str>,
    server_protocol: &'a str,
    status: u16,
    body_bytes_sent: u64,
    bytes_sent: u64,
    request_length: u64,
    request_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_referer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_upstream_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_alternative_upstream_name: Option<&'a str>,
    upstreams: Vec<Upstream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Upstream {
    addr: std::net::SocketAddr,
    status: u16,
    response_length: u64,
    response_time: f64,
}

pub(super) fn write(record: &Record, line: &mut Vec<u8>) {
    let route = record.route.as_ref();
    let upstreams = record.attempts.iter().map(|attempt| Upstream {
        addr: attempt.address,
        status: attempt.status,
        response_length: attempt.response_length,
        response_time: seconds(attempt.response_time),
    });
    let value = Line {
        time: time::instant(record.time),
        remote_addr: record.client,
        remote_user: record.user.as_deref().map(String::from_utf8_lossy),
        scheme: record.scheme,
        host: &record.host,
        request_method: record.method.as_str(),
        request_uri: String::from_utf8_lossy(&record.uri),
        server_protocol: version(record),
        status: record.status,
        body_bytes_sent: record.body_bytes_sent,
        bytes_sent: record.bytes_sent,
        request_length: record.request_length,
        request_time: seconds(record.request_time),
        http_referer: record.referer.as_ref().map(text),
        http_user_agent: record.user_agent.as_ref().map(text),
        req_id: record.request_id.as_ref().map(text),
        kind: route.map(|object| &*object.kind),
        namespace: route.map(|object| &*object.namespace),
        ingress_name: route.map(|object| &*object.name),
        location_path: record.route_path.as_deref(),
        proxy_upstream_name: record.upstream_name.as_ref().map(|key| &*key.0),
        proxy_alternative_upstream_name: record.alternative_upstream_name.as_ref().map(|key| &*key.0),
        upstreams: upstreams.collect(),
        reason: record.reason,
    };
    // Writing to a Vec cannot fail, and every key is a text.
    let _ = serde_json::to_writer(line, &value);
}

/// Bytes that are not UTF-8 become U+FFFD: JSON has no other way.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// Milliseconds are what nginx has; more digits would be noise.
pub(super) fn seconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)) / 1000.0
}
