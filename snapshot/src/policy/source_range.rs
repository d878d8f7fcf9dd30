use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::Networks;

/// Addresses that may come in and addresses that may not
/// (`allowlist-source-range`, `denylist-source-range`): 403 to all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceRange {
    /// `None`: all. Looked at after `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Networks>,
    /// These never.
    #[serde(skip_serializing_if = "Networks::is_empty")]
    pub deny: Networks,
    /// After those, where `allow` is `None`: the first that is about the
    /// address decides (nginx `allow` and `deny` in snippets).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AccessRule>,
}

/// One `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessRule {
    /// Come in, or not.
    pub allow: bool,
    /// Who; `None`: everybody.
    #[serde(serialize_with = "from")]
    pub from: Option<IpNet>,
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

fn from<S: Serializer>(network: &Option<IpNet>, serializer: S) -> Result<S::Ok, S::Error> {
    match network {
        Some(network) => serializer.collect_str(network),
        None => serializer.serialize_str("all"),
    }
}
