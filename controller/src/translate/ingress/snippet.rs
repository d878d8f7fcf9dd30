//! nginx text in annotations (`configuration-snippet`, `server-snippet`,
//! `auth-snippet`) and in the ConfigMap, parsed into typed policies. What is
//! not in the grammar is refused with its line; nothing is ever executed.

mod access;
mod builder;
mod condition;
mod directive;
mod headers;
mod lexer;
mod limits;
mod location;
mod rewrite;
#[cfg(test)]
mod tests;
mod tree;
mod unsupported;

use std::sync::Arc;
use std::time::Duration;

use tidegate_snapshot::policy::{AccessRule, HeaderText, Snippet};

use builder::Builder;
pub use directive::{Grammar, grammar};
pub use location::{Location, Precedence};

/// Where nginx text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In the section of a host (`server-snippet`).
    Server,
    /// In the section of a route (`configuration-snippet`, `location-snippet`).
    Location,
}

/// The first directive outside of any block that guards access in nginx, or why
/// nobody can tell.
pub fn guard(text: &str) -> Option<String> {
    const PREFIXES: [&str; 3] = ["auth_", "modsecurity", "ssl_verify_client"];
    const NAMES: [&str; 5] = ["allow", "deny", "limit_conn", "limit_req", "satisfy"];
    let is_guard = |name: &str| {
        let begins = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        begins || NAMES.contains(&name) || name.contains("_by_lua")
    };
    let mut lexer = match lexer::Lexer::new(text) {
        Ok(lexer) => lexer,
        Err(fault) => return Some(fault.what),
    };
    let (mut depth, mut begins) = (0_u32, true);
    loop {
        let token = match lexer.next() {
            Ok(token) => token?,
            Err(fault) => return Some(fault.what),
        };
        match token.kind {
            lexer::Kind::Word(name) if begins && depth == 0 && is_guard(&name) => return Some(name),
            lexer::Kind::Word(_) => begins = false,
            lexer::Kind::End => begins = true,
            lexer::Kind::Open => (depth, begins) = (depth + 1, true),
            lexer::Kind::Close => (depth, begins) = (depth.saturating_sub(1), true),
        }
    }
}

/// What nginx text means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// What has no policy of its own; `None`: nothing.
    pub snippet: Option<Arc<Snippet>>,
    /// `allow` and `deny`, in order.
    pub access: Vec<AccessRule>,
    /// `client_max_body_size`; `Some(None)`: no limit.
    pub max_body: Option<Option<u64>>,
    /// `proxy_connect_timeout`.
    pub connect_timeout: Option<Duration>,
    /// `proxy_read_timeout`.
    pub read_timeout: Option<Duration>,
    /// `proxy_send_timeout`.
    pub send_timeout: Option<Duration>,
    /// `proxy_request_buffering`.
    pub request_buffering: Option<bool>,
    /// `access_log off`.
    pub unlogged: bool,
    /// `location`, of a host alone.
    pub locations: Vec<Location>,
    /// What is without effect, in nginx too.
    pub notes: Vec<Fault>,
    /// The names of variables that are set.
    pub variables: Vec<Arc<str>>,
}

/// Why nginx text is not served, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// The directive and what is wrong with it.
    pub what: String,
    /// The way out; may be empty.
    pub fix: String,
}

impl Fault {
    fn new(line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// Parses nginx text; `known` are variables that text elsewhere sets.
///
/// # Errors
/// The first [`Fault`]: one line that cannot be served refuses all of it.
pub fn parse(text: &str, level: Level, known: &[Arc<str>]) -> Result<Directives, Fault> {
    let tree = tree::parse(text)?;
    let mut builder = Builder::new(level, rewrite::assigned(&tree), known);
    builder.take_all(&tree)?;
    Ok(builder.finish())
}

/// Parses `auth-snippet`: fields of the question to an authentication service.
///
/// # Errors
/// As [`parse`].
pub fn parse_auth(text: &str) -> Result<Vec<HeaderText>, Fault> {
    tree::parse(text)?.iter().map(headers::of_question).collect()
}
