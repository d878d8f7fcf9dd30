//! How the gateway's own redirects to the same host write their `Location`
//! (nginx `absolute_redirect`, `port_in_redirect`).

use std::fmt::Write;

use tidegate_snapshot::policy;

use crate::request::RequestView;

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
    /// connection's scheme, the host without the port that the client named;
    /// `port` is the listener's.
    pub fn of(&self, path: &str, request: &dyn RequestView, port: Option<u16>) -> String {
        let host = request.host();
        if self.relative || host.is_empty() {
            return path.to_owned();
        }
        let (scheme, usual) = if request.is_tls() {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let mut location = format!("{scheme}://{host}");
        if let Some(port) = port.filter(|port| self.name_port && *port != usual) {
            // Writing into a text cannot fail.
            let _ = write!(location, ":{port}");
        }
        location.push_str(path);
        location
    }
}
