use serde::Serialize;

use crate::{Networks, Pattern};

/// Clients that are answered 403 whatever they ask for (ConfigMap
/// `block-cidrs`, `block-user-agents`, `block-referers`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Their addresses.
    pub networks: Networks,
    /// What their `User-Agent` matches.
    pub user_agents: Vec<Pattern>,
    /// What their `Referer` matches.
    pub referers: Vec<Pattern>,
}

impl Block {
    /// Whether nobody is blocked.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.user_agents.is_empty() && self.referers.is_empty()
    }

    /// An entry of one of the lists as a pattern: `~regex`, `~*regex` (without
    /// regard to case), or the whole text without regard to case (nginx `map`).
    /// What a search has to be given up in is blocked.
    ///
    /// # Errors
    /// When a regular expression cannot be served.
    pub fn pattern(entry: &str) -> Result<Pattern, crate::PatternError> {
        if let Some(regex) = entry.strip_prefix("~*") {
            Pattern::with_look_around(regex, true)
        } else if let Some(regex) = entry.strip_prefix('~') {
            Pattern::with_look_around(regex, false)
        } else {
            Pattern::literal(entry)
        }
    }
}
