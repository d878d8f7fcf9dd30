use serde::Serialize;

use crate::Networks;

/// Addresses that may come in and addresses that may not
/// (`allowlist-source-range`, `denylist-source-range`): 403 to all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRange {
    /// `None`: all. Looked at after `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Networks>,
    /// These never.
    #[serde(skip_serializing_if = "Networks::is_empty")]
    pub deny: Networks,
}

/// Which of source range, basic and external authentication must let a request
/// pass (nginx `satisfy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Satisfy {
    /// Every one that there is.
    #[default]
    All,
    /// One is enough.
    Any,
}

impl Satisfy {
    /// Whether this is the default.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}
