use serde::Serialize;

/// Limits on request bodies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Body {
    /// Bytes; more is answered 413. `None`: no limit. nginx
    /// `client_max_body_size`, ingress-nginx `proxy-body-size`, default 1 MiB.
    pub max_size: Option<u64>,
}

impl Body {
    /// ingress-nginx ConfigMap `proxy-body-size`: `1m`.
    pub const DEFAULT_MAX_SIZE: u64 = 1024 * 1024;
}

impl Default for Body {
    fn default() -> Self {
        Self {
            max_size: Some(Self::DEFAULT_MAX_SIZE),
        }
    }
}
