use std::time::Duration;

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
    /// The longest wait for requests under way. With ConfigMap
    /// `worker-shutdown-timeout`, too, the shorter counts. `null`: what that says,
    /// else 240s.
    pub grace: Option<Span>,
}

impl Shutdown {
    /// The longest wait for requests under way; `key` is what the ConfigMap says.
    pub fn grace(&self, key: Option<Duration>) -> Duration {
        let own = self.grace.map(|grace| grace.0);
        own.into_iter().chain(key).min().unwrap_or(Self::GRACE)
    }

    /// As ingress-nginx's.
    const GRACE: Duration = Duration::from_secs(240);
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Span::seconds(0),
            grace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_wait_counts() {
        let with = |grace| Shutdown {
            grace,
            ..Shutdown::default()
        };
        let seconds = Duration::from_secs;
        assert_eq!(with(None).grace(None), seconds(240));
        assert_eq!(with(None).grace(Some(seconds(600))), seconds(600));
        assert_eq!(with(Some(Span::seconds(50))).grace(None), seconds(50));
        assert_eq!(
            with(Some(Span::seconds(50))).grace(Some(seconds(600))),
            seconds(50)
        );
        assert_eq!(
            with(Some(Span::seconds(50))).grace(Some(seconds(10))),
            seconds(10)
        );
    }
}
