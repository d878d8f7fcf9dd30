//! Host names as rules and certificates name them.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::Pattern;

/// A host name that selects a [`crate::VirtualHost`] or a certificate.
///
/// The derived order is precedence: exact, wildcard, regular expression, any
/// (ingress-nginx, "server_name" order; Gateway API, "most specific hostname").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hostname {
    /// Exactly this name, lower case, without a trailing dot.
    Exact(Arc<str>),
    /// `*.` and this suffix (kept without `*.`): exactly one more label, as
    /// Ingress v1 defines wildcards.
    Wildcard(Arc<str>),
    /// `*.` and this suffix (kept without `*.`): one more label or several, as
    /// Gateway API defines wildcards. The longest suffix wins. Written `**.`.
    Subdomains(Arc<str>),
    /// Any name that matches: an alias of ingress-nginx that begins with `~`.
    Regex(Pattern),
    /// Every host that nothing else claims: a rule without a host.
    Any,
}

/// Why a text is not a [`Hostname`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// More than 253 characters.
    #[error("longer than 253 characters")]
    TooLong,
    /// An empty label, or one of more than 63 characters.
    #[error("label {0:?} must have 1 to 63 characters")]
    Label(String),
    /// A character that a host name cannot hold.
    #[error("character {0:?} is not allowed in a host name")]
    Character(char),
    /// A `*` anywhere but as the whole first label.
    #[error("`*` may only be the whole first label, as in `*.example.com`")]
    Star,
}

impl Hostname {
    /// Parses a rule's host: empty or `*` is [`Hostname::Any`]; upper case and
    /// one trailing dot are accepted and normalised.
    ///
    /// # Errors
    /// A [`HostnameError`] when the text is not a DNS name or a wildcard.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        if text.is_empty() || text == "*" {
            return Ok(Self::Any);
        }
        if text.len() > 253 {
            return Err(HostnameError::TooLong);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if let Some(suffix) = name.strip_prefix("*.") {
            check_labels(suffix)?;
            return Ok(Self::Wildcard(suffix.into()));
        }
        check_labels(&name)?;
        Ok(Self::Exact(name.into()))
    }

    /// Whether this name covers `host`, which must already be lower case and
    /// without port or trailing dot.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && *rest == **suffix),
            Self::Subdomains(suffix) => host
                .strip_suffix(&**suffix)
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty() && !labels.starts_with('.')),
            Self::Regex(pattern) => pattern.is_match(host),
            Self::Any => true,
        }
    }
}

fn check_labels(name: &str) -> Result<(), HostnameError> {
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(HostnameError::Label(label.to_owned()));
        }
        for c in label.chars() {
            match c {
                'a'..='z' | '0'..='9' | '-' | '_' => {}
                '*' => return Err(HostnameError::Star),
                _ => return Err(HostnameError::Character(c)),
            }
        }
    }
    Ok(())
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Subdomains(suffix) => write!(f, "**.{suffix}"),
            Self::Regex(pattern) => write!(f, "~{}", pattern.source()),
            Self::Any => f.write_str("*"),
        }
    }
}

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_normalises() {
        assert_eq!(Hostname::parse("Foo.Bar.").unwrap().to_string(), "foo.bar");
        assert_eq!(Hostname::parse("*.Foo.com").unwrap().to_string(), "*.foo.com");
        assert_eq!(Hostname::parse("").unwrap(), Hostname::Any);
    }

    #[test]
    fn refuses_what_dns_cannot_hold() {
        assert_eq!(Hostname::parse("foo.*.com"), Err(HostnameError::Star));
        assert_eq!(
            Hostname::parse("foo..com"),
            Err(HostnameError::Label(String::new()))
        );
        assert_eq!(Hostname::parse("foo bar"), Err(HostnameError::Character(' ')));
        assert_eq!(Hostname::parse("a\r\nb"), Err(HostnameError::Character('\r')));
        assert_eq!(Hostname::parse(&"a".repeat(254)), Err(HostnameError::TooLong));
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let wildcard = Hostname::parse("*.foo.com").unwrap();
        assert!(wildcard.matches("bar.foo.com"));
        assert!(!wildcard.matches("baz.bar.foo.com"));
        assert!(!wildcard.matches("foo.com"));
        assert!(!wildcard.matches(".foo.com"));
    }

    #[test]
    fn subdomains_are_one_label_or_several() {
        let name = Hostname::Subdomains("foo.com".into());
        assert!(name.matches("bar.foo.com"));
        assert!(name.matches("baz.bar.foo.com"));
        assert!(!name.matches("foo.com"));
        assert!(!name.matches("barfoo.com"));
        assert!(!name.matches(".foo.com"));
        assert_eq!(name.to_string(), "**.foo.com");
    }

    #[test]
    fn order_is_precedence() {
        let mut names = [
            Hostname::Any,
            Hostname::parse("*.a.b").unwrap(),
            Hostname::parse("z.a.b").unwrap(),
        ];
        names.sort();
        assert_eq!(names.map(|name| name.to_string()), ["z.a.b", "*.a.b", "*"]);
    }
}
