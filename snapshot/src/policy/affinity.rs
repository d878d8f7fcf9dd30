use serde::Serialize;

use crate::FieldName;

/// Binds a client to an endpoint by a cookie (`affinity: cookie`, Gateway API
/// `sessionPersistence`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Affinity {
    /// How firmly (`affinity-mode`).
    pub mode: AffinityMode,
    /// What the cookie looks like (`session-cookie-*`).
    pub cookie: AffinityCookie,
    /// After a failed try bind to the endpoint that took over, with a new
    /// cookie (`session-cookie-change-on-failure`). Otherwise the request goes
    /// to another endpoint, but the binding stays.
    pub change_on_failure: bool,
    /// Seconds after which a binding is void, whatever the client keeps (Gateway
    /// API `absoluteTimeout`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
    /// A header field carries the binding instead of a cookie (Gateway API
    /// `type: Header`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<FieldName>,
}

/// How firmly a client is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum AffinityMode {
    /// The cookie is hashed over the endpoints: a change of their number moves
    /// some clients.
    Balanced,
    /// The cookie names an endpoint and holds until that is gone.
    Persistent,
}

/// The attributes of an affinity cookie (RFC 6265 §4.1.2). It is always
/// `HttpOnly`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct AffinityCookie {
    /// Its name (`session-cookie-name`).
    pub name: Box<str>,
    /// `Path`; the path of the route where absent (`session-cookie-path`).
    pub path: Option<Box<str>>,
    /// `Domain` (`session-cookie-domain`).
    pub domain: Option<Box<str>>,
    /// `Expires`, in seconds from now (`session-cookie-expires`).
    pub expires: Option<u32>,
    /// `Max-Age`, in seconds (`session-cookie-max-age`).
    pub max_age: Option<u32>,
    /// `Secure` also on plain connections (`session-cookie-secure`); over TLS
    /// it is always there.
    pub secure: bool,
    /// `SameSite` (`session-cookie-samesite`).
    pub same_site: Option<SameSite>,
    /// Leave `SameSite=None` out for user agents that misread it
    /// (`session-cookie-conditional-samesite-none`).
    pub conditional_same_site_none: bool,
}

impl AffinityCookie {
    /// ingress-nginx's default of `session-cookie-name`.
    pub const DEFAULT_NAME: &str = "INGRESSCOOKIE";
}

impl Default for AffinityCookie {
    fn default() -> Self {
        Self {
            name: Self::DEFAULT_NAME.into(),
            path: None,
            domain: None,
            expires: None,
            max_age: None,
            secure: false,
            same_site: None,
            conditional_same_site_none: false,
        }
    }
}

/// The `SameSite` attribute of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum SameSite {
    /// `None`
    None,
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
}
