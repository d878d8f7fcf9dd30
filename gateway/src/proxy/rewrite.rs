//! What a route changes of the upstream's head: host, path, then fields.

use http::{HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::RequestHeader;
use tidegate_snapshot::FieldName;

use crate::policy::Policies;
use crate::request::{Fields, RequestView};

/// Applies the rewrites of a route.
///
/// # Errors
/// Only if a rewritten path cannot be one, which escaping has excluded.
pub(super) fn apply(head: &mut RequestHeader, policies: &Policies, request: &dyn RequestView) -> Result<()> {
    if let Some(rewrite) = &policies.url_rewrite {
        if let Some(host) = &rewrite.host {
            head.insert_header("Host", host.clone())?;
        }
        if let Some(uri) = rewrite.uri(request) {
            head.set_raw_path(uri.as_bytes())?;
        }
    }
    if let Some(modifier) = &policies.request_headers {
        modifier.apply(&mut Head(head));
    }
    Ok(())
}

/// A request's head as policies edit it.
struct Head<'a>(&'a mut RequestHeader);

impl Fields for Head<'_> {
    fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.headers.get(name)
    }

    fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.0.headers.get_all(name).iter().cloned().collect()
    }

    fn set(&mut self, name: &FieldName, value: HeaderValue) {
        // It fails only on names and values that these types exclude.
        let _ = self.0.insert_header(name.spelling().clone(), value);
    }

    fn append(&mut self, name: &FieldName, value: HeaderValue) {
        let _ = self.0.append_header(name.spelling().clone(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }
}
