use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// What happens on SIGTERM: readiness fails, connections are still accepted for
/// `delay`, then requests under way may end for `grace`. The process exits as
/// soon as the last one is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    /// Time for load balancers to notice (ingress-nginx
    /// `--shutdown-grace-period`).
    pub delay: Span,
    /// The longest wait for requests under way (ingress-nginx ConfigMap
    /// `worker-shutdown-timeout`).
    pub grace: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Span::seconds(0),
            grace: Span::seconds(240),
        }
    }
}
