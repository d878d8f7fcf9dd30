//! What a route changes of the upstream's head: host, path, then fields.

use pingora_core::Result;
use pingora_http::RequestHeader;

use super::fields::Head;
use crate::policy::Policies;
use crate::request::RequestView;

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
