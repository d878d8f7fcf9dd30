//! `Strict-Transport-Security` (RFC 6797).

use http::HeaderValue;
use tidegate_snapshot::{FieldName, policy};

use super::Answer;
use crate::request::Fields;

const NAME: FieldName = FieldName::from_static("strict-transport-security", "Strict-Transport-Security");

/// The field's value, made once.
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

    /// Replaces the backend's: only over TLS that ends here, never because a
    /// proxy in front says https (RFC 6797 §7.2; behaviour of ingress-nginx).
    pub(super) fn on_response(&self, answer: &Answer<'_>, fields: &mut dyn Fields) {
        if answer.request.is_tls() {
            fields.set(&NAME, self.value.clone());
        }
    }
}
