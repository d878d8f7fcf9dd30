//! The path of a rule (ingress-nginx-behaviour §5).

use std::sync::Arc;

use tidegate_snapshot::{PathMatch, Pattern, PatternError};

/// A path of an Ingress rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// As written; an empty one is `/`.
    pub(crate) text: Arc<str>,
    /// `Exact`; all other types are `Prefix`.
    pub(crate) exact: bool,
}

/// Why a path is not served. The rest of its Ingress is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("{0:?} is not a path type")]
    Type(String),
    #[error("{0:?} does not start with `/`")]
    Relative(String),
    #[error("{0:?} holds a character that its path type does not allow")]
    Character(String),
    #[error("{0:?} can match no request: paths are compared after `//`, `/./` and `/../` are resolved")]
    Unresolved(String),
}

impl PathError {
    pub(crate) fn is_type(&self) -> bool {
        matches!(self, Self::Type(_))
    }

    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::Type(_) => "write Exact, Prefix or ImplementationSpecific",
            Self::Relative(_) => "write an absolute path",
            Self::Character(_) => {
                "use letters, digits and `. _ - /`, or path type ImplementationSpecific for others"
            }
            Self::Unresolved(_) => "write the resolved path",
        }
    }
}

/// What an Ingress asks of its paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathRules {
    /// Exact and Prefix hold letters, digits and `. _ - /` only (ConfigMap
    /// `strict-validate-path-type`).
    pub(crate) strict: bool,
    /// Its paths are regular expressions.
    pub(crate) regex: bool,
}

impl Path {
    /// Parses path and type. Where a strict type is broken ingress-nginx's
    /// webhook refuses the whole object, we leave out the one path.
    /// ImplementationSpecific may hold anything, taken literally unless the
    /// host has regular expressions.
    pub(crate) fn parse(text: &str, path_type: &str, rules: PathRules) -> Result<Self, PathError> {
        let strict = match path_type {
            "Exact" | "Prefix" => true,
            "ImplementationSpecific" | "" => false,
            _ => return Err(PathError::Type(path_type.to_owned())),
        };
        let text = if text.is_empty() { "/" } else { text };
        if !text.starts_with('/') {
            return Err(PathError::Relative(text.to_owned()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
        if strict && rules.strict && !text.bytes().all(allowed) {
            return Err(PathError::Character(text.to_owned()));
        }
        let unresolved = |segment: &str| matches!(segment, "." | "..");
        let literal = strict || !rules.regex;
        if literal && (text.contains("//") || text.split('/').any(unresolved)) {
            return Err(PathError::Unresolved(text.to_owned()));
        }
        Ok(Self {
            text: text.into(),
            exact: path_type == "Exact",
        })
    }

    /// What the gateway compares on a host with regular expressions: the start
    /// of the path without regard to case, whatever the type
    /// (ingress-nginx-behaviour §5 "Regex mode").
    pub(crate) fn as_regex(&self) -> Result<PathMatch, PatternError> {
        if self.text.bytes().any(|byte| b"\\.+*?()|[]{}^$".contains(&byte)) {
            Pattern::with_look_around(&format!("^{}", self.text), true).map(PathMatch::Regex)
        } else {
            Ok(PathMatch::StartsWith(self.text.as_ref().into()))
        }
    }

    /// What the gateway compares.
    pub(crate) fn matches(&self) -> PathMatch {
        if self.exact {
            PathMatch::Exact(self.text.as_ref().into())
        } else if *self.text == *"/" {
            PathMatch::Prefix("".into())
        } else if self.text.ends_with('/') {
            PathMatch::Below(self.text.as_ref().into())
        } else {
            PathMatch::Prefix(self.text.as_ref().into())
        }
    }

    /// What two paths share when only one of them can be served: nginx makes
    /// the same location of the prefixes `/foo` and `/foo/`
    /// (ingress-nginx-behaviour §5 "Duplicate locations", §25.1).
    pub(crate) fn key(&self) -> (bool, &str) {
        if self.exact {
            (true, &self.text)
        } else {
            (false, self.text.strip_suffix('/').unwrap_or(&self.text))
        }
    }
}
