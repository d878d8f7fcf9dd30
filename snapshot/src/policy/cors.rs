use serde::Serialize;

/// Cross-origin resource sharing (`enable-cors`, `cors-*`): headers on every
/// answer, and preflights answered here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cors {
    /// Who may.
    pub origins: CorsOrigins,
    /// `Access-Control-Allow-Methods`.
    pub methods: Box<str>,
    /// `Access-Control-Allow-Headers`.
    pub headers: Box<str>,
    /// `Access-Control-Allow-Credentials: true`, or not at all.
    pub credentials: bool,
    /// `Access-Control-Expose-Headers`; `None`: not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<Box<str>>,
    /// `Access-Control-Max-Age`, seconds.
    pub max_age: u64,
    /// Which requests are preflights, and which answers say what.
    #[serde(skip_serializing_if = "CorsStyle::is_default")]
    pub style: CorsStyle,
}

/// Which requests are preflights, and which answers say what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum CorsStyle {
    /// As ingress-nginx: every `OPTIONS` of an allowed origin is a preflight,
    /// and every answer has all fields.
    #[default]
    IngressNginx,
    /// As the Fetch standard has it (§3.2, Gateway API `CORS`): a preflight is
    /// an `OPTIONS` with `Origin` and `Access-Control-Request-Method`, whoever
    /// asks; it alone is told methods, headers and age. Empty texts are not
    /// sent, and default ports in origins mean nothing.
    Fetch {
        /// Repeat the method that is asked for instead of `methods`.
        repeat_method: bool,
        /// Repeat the fields that are asked for instead of `headers`.
        repeat_headers: bool,
    },
}

impl CorsStyle {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The origins that are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CorsOrigins {
    /// All: `*` is answered, whether or not there is an `Origin`.
    Any,
    /// All; the one that asks is repeated.
    Every,
    /// These; the one that asks is repeated. None at all is possible.
    List(Vec<CorsOrigin>),
}

/// An allowed origin (RFC 6454); compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CorsOrigin {
    /// This one: `https://example.com:8080`, or `null`.
    Exact(Box<str>),
    /// One more label in front of the host: `https://*.example.com`.
    Wildcard {
        /// Up to the host: `https://`.
        scheme: Box<str>,
        /// From the dot on, with a port if there is one: `.example.com:8080`.
        suffix: Box<str>,
    },
    /// One more label or several: `https://*.example.com` of Gateway API; with
    /// no suffix but a port, every host.
    Subdomains {
        /// Up to the host: `https://`.
        scheme: Box<str>,
        /// What follows the `*`: `.example.com:8080`.
        suffix: Box<str>,
    },
}

impl Cors {
    /// ingress-nginx's default of `cors-allow-methods`.
    pub const DEFAULT_METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
    /// ingress-nginx's default of `cors-allow-headers`.
    pub const DEFAULT_HEADERS: &str = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization";
    /// ingress-nginx's default of `cors-max-age`, in seconds.
    pub const DEFAULT_MAX_AGE: u64 = 1_728_000;
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: CorsOrigins::Any,
            methods: Self::DEFAULT_METHODS.into(),
            headers: Self::DEFAULT_HEADERS.into(),
            credentials: true,
            expose: None,
            max_age: Self::DEFAULT_MAX_AGE,
            style: CorsStyle::default(),
        }
    }
}
