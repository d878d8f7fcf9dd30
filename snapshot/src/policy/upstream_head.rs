use std::sync::Arc;

use serde::Serialize;

use crate::{FieldName, Text};

/// What the backend is sent in the request's head besides, or instead of, what
/// it always is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpstreamHead {
    /// `Host` (`upstream-vhost`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// `Connection` (`connection-proxy-header`); nothing is upgraded then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Speak HTTP/1.0 (`proxy-http-version`), where the request's length is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub http10: bool,
    /// Any other field, instead of ours and the client's of this name; an empty
    /// text removes it (ConfigMap `proxy-set-headers`).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub set: Arc<[(FieldName, Text)]>,
}

/// A fixed `Connection` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Connection {
    /// `close`.
    Close,
    /// `keep-alive`.
    KeepAlive,
}
