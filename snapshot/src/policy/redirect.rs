use serde::Serialize;

/// A redirect from plain HTTP to https (`ssl-redirect`, `force-ssl-redirect`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HttpsRedirect {
    /// 301, 302, 307 or 308 (`http-redirect-code`).
    pub status: u16,
}

impl HttpsRedirect {
    /// ingress-nginx ConfigMap `http-redirect-code`.
    pub const DEFAULT_STATUS: u16 = 308;
}

impl Default for HttpsRedirect {
    fn default() -> Self {
        Self {
            status: Self::DEFAULT_STATUS,
        }
    }
}
