use serde::Serialize;

/// `Strict-Transport-Security` (RFC 6797) on every answer over TLS, replacing
/// the backend's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Hsts {
    /// Seconds (`hsts-max-age`).
    pub max_age: u64,
    /// `hsts-include-subdomains`.
    pub include_subdomains: bool,
    /// `hsts-preload`.
    pub preload: bool,
}

impl Default for Hsts {
    /// ingress-nginx without a ConfigMap: a year, subdomains, no preload.
    fn default() -> Self {
        Self {
            max_age: 31_536_000,
            include_subdomains: true,
            preload: false,
        }
    }
}
