use serde::Serialize;

/// A redirect from plain HTTP to https (`ssl-redirect`, `force-ssl-redirect`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HttpsRedirect {
    /// 301, 302, 307 or 308 (`http-redirect-code`).
    pub status: u16,
    /// Name the port of the https listener, 443 too (`use-port-in-redirects`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub name_port: bool,
    /// Keep the slash that ends the URI (`preserve-trailing-slash`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_slash: bool,
}

impl HttpsRedirect {
    /// ingress-nginx ConfigMap `http-redirect-code`.
    pub const DEFAULT_STATUS: u16 = 308;
}

impl Default for HttpsRedirect {
    fn default() -> Self {
        Self {
            status: Self::DEFAULT_STATUS,
            name_port: false,
            keep_slash: false,
        }
    }
}

/// A redirect of every request (`permanent-redirect`, `temporal-redirect`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Redirect {
    /// 300 to 308.
    pub status: u16,
    /// Where to, as written: a URL, or a path of the same host.
    pub location: Box<str>,
}

impl Redirect {
    /// The status of `permanent-redirect` without another.
    pub const PERMANENT: u16 = 301;
    /// The status of `temporal-redirect` without another.
    pub const TEMPORAL: u16 = 302;
}

/// How redirects to a path of the same host write it: those of [`Redirect`] and
/// those that add a slash (nginx `absolute_redirect`, `port_in_redirect`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize)]
pub struct LocationStyle {
    /// The path alone (`relative-redirects`).
    pub relative: bool,
    /// With the listener's port unless it is the scheme's own
    /// (`use-port-in-redirects`).
    pub name_port: bool,
}

impl LocationStyle {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
