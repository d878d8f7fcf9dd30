use serde::Serialize;

/// What is held back on its way through (nginx `proxy_request_buffering`,
/// `proxy_buffer_size`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Buffering {
    /// Read the request's body before the upstream is contacted
    /// (`proxy-request-buffering`, on).
    pub request: bool,
    /// Bytes of the head of an upstream's answer; a larger one is answered 502
    /// (`proxy-buffer-size`, 4k).
    pub response_head: u32,
}

impl Buffering {
    /// ingress-nginx ConfigMap `proxy-buffer-size`: `4k`.
    pub const DEFAULT_RESPONSE_HEAD: u32 = 4096;
}

impl Default for Buffering {
    fn default() -> Self {
        Self {
            request: true,
            response_head: Self::DEFAULT_RESPONSE_HEAD,
        }
    }
}
