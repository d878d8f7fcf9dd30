use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Limits on client connections and requests (the ConfigMap keys of
/// ingress-nginx in brackets).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Http {
    /// Idle time of a keep-alive connection (`keep-alive`).
    pub keep_alive: Span,
    /// Requests on one connection (`keep-alive-requests`).
    pub keep_alive_requests: u32,
    /// Time for a whole request head (`client-header-timeout`).
    pub header_timeout: Span,
    /// Time between two reads of a request body (`client-body-timeout`).
    pub body_timeout: Span,
    /// Bytes of a request line or header field (the size in
    /// `large-client-header-buffers`).
    pub max_header_line: usize,
    /// Bytes of a request head (number times size in
    /// `large-client-header-buffers`).
    pub max_header_total: usize,
    /// Concurrent streams of an HTTP/2 connection
    /// (`http2-max-concurrent-streams`).
    pub h2_max_streams: u32,
    /// Drop header fields with `_` in their name (the opposite of
    /// `enable-underscores-in-headers`).
    pub drop_underscores: bool,
}

impl Default for Http {
    fn default() -> Self {
        let defaults = tidegate_snapshot::HttpSettings::default();
        Self {
            keep_alive: Span(defaults.keep_alive),
            keep_alive_requests: defaults.keep_alive_requests,
            header_timeout: Span(defaults.header_timeout),
            body_timeout: Span(defaults.body_timeout),
            max_header_line: defaults.max_header_line,
            max_header_total: defaults.max_header_total,
            h2_max_streams: defaults.h2_max_streams,
            drop_underscores: defaults.drop_underscores,
        }
    }
}
