//! Addresses that may come in (nginx `allow` and `deny`).

use std::net::IpAddr;

use http::StatusCode;
use tidegate_snapshot::policy;

use super::Reply;
use super::access::Verdict;

/// Lists of addresses.
pub struct SourceRange(policy::SourceRange);

impl SourceRange {
    pub(super) fn new(spec: &policy::SourceRange) -> Self {
        Self(spec.clone())
    }

    /// `deny` comes first. Without an `allow` list an address that is not denied
    /// is no reason to let a request in, where one reason is enough
    /// (`ngx_http_access_module` declines).
    pub fn check(&self, client: IpAddr) -> Option<Verdict> {
        let refused = Some(Verdict::Refused(Reply::status(StatusCode::FORBIDDEN)));
        if self.0.deny.contains(client) {
            return refused;
        }
        match &self.0.allow {
            Some(allow) if allow.contains(client) => Some(Verdict::Granted),
            Some(_) => refused,
            None => None,
        }
    }
}
