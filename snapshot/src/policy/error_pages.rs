use std::sync::Arc;

use serde::Serialize;

use crate::ClusterKey;

/// Answers that another Service gives in place of a backend's or of the
/// gateway's own (`custom-http-errors`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorPages {
    /// The statuses concerned, sorted.
    pub statuses: Arc<[u16]>,
    /// Also where the backend itself answered so, not only the gateway
    /// (`disable-proxy-intercept-errors: false`).
    pub intercept: bool,
    /// The global default backend (`--default-backend-service`). It makes the
    /// pages where the route has no default backend of its own with an
    /// endpoint. `None`: the built-in one, whose answer is 404.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<ClusterKey>,
}
