use serde::Serialize;

/// What the backend sees instead of host and path (Gateway API `URLRewrite`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UrlRewrite {
    /// The host. `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// The path. `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
}

/// An answer that sends the client elsewhere (Gateway API `RequestRedirect`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRedirect {
    /// `http` or `https`. `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Box<str>>,
    /// The host. `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<str>>,
    /// The port. `None`: the usual one of `scheme`, or without one the
    /// listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path. `None`: the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Another path; the query stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PathRewrite {
    /// This one, whatever the request's is.
    Full(Box<str>),
    /// The request's, with `replacement` for the `prefix` that its route
    /// matched. Both without a trailing slash where that is not all they are.
    Prefix {
        /// As in [`crate::PathMatch::Prefix`].
        prefix: Box<str>,
        /// As the object wrote it.
        replacement: Box<str>,
    },
}
