//! How the gateway's own redirects to the same host write their `Location`
//! (nginx `absolute_redirect`, `port_in_redirect`).

use std::fmt::Write;

use tidegate_snapshot::policy;

use super::Facts;

/// Writes locations.
pub struct LocationStyle {
    relative: bool,
    name_port: bool,
}

impl LocationStyle {
    pub(super) fn new(spec: &policy::LocationStyle) -> Self {
        Self {
            relative: spec.relative,
            name_port: spec.name_port,
        }
    }

    /// The location of a path (and query) of the request's own host: the
    /// connection's scheme, the host without the port that the client named.
    pub fn of(&self, path: &str, facts: &Facts<'_>) -> String {
        let host = facts.request.host();
        if self.relative || host.is_empty() {
            return path.to_owned();
        }
        let (scheme, usual) = if facts.request.is_tls() {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let mut location = format!("{scheme}://{host}");
        if self.name_port && facts.port != usual {
            // Writing into a text cannot fail.
            let _ = write!(location, ":{}", facts.port);
        }
        location.push_str(path);
        location
    }
}
