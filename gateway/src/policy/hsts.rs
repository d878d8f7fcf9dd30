//! `Strict-Transport-Security` (RFC 6797).

use http::HeaderValue;
use tidegate_snapshot::policy;

/// The header's value, made once.
pub struct Hsts {
    value: HeaderValue,
}

impl Hsts {
    pub(super) fn new(spec: &policy::Hsts) -> Self {
        let mut text = format!("max-age={}", spec.max_age);
        if spec.include_subdomains {
            text.push_str("; includeSubDomains");
        }
        if spec.preload {
            text.push_str("; preload");
        }
        Self {
            value: HeaderValue::try_from(text).expect("digits and letters make a header value"),
        }
    }

    /// The value for an answer: only over TLS that ends here, never because a
    /// proxy in front says https (RFC 6797 §7.2; behaviour of ingress-nginx).
    pub fn on_response(&self, is_tls: bool) -> Option<&HeaderValue> {
        is_tls.then_some(&self.value)
    }
}
