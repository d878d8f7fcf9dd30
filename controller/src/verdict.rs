//! What Tidegate does with a name that ingress-nginx knows (an annotation, a
//! ConfigMap key, a flag): the same tables drive the parsers and the docs.

use std::fmt;

/// A name and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// As users write it.
    pub name: &'static str,
    /// ingress-nginx's default, as text; empty: none.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As in ingress-nginx.
    Works,
    /// It works; the text says what differs.
    Differs(&'static str),
    /// It tunes nginx itself; the text says what happens instead.
    NoMeaning(&'static str),
    /// It is not served.
    Refused {
        /// The reason.
        why: &'static str,
        /// The way out; empty: none.
        instead: &'static str,
    },
    /// ingress-nginx has dropped it; with the way out.
    Removed(&'static str),
}

impl Verdict {
    /// The same with a difference, where it works and there is one.
    #[must_use]
    pub fn but(self, difference: &'static str) -> Self {
        match self {
            Self::Works if !difference.is_empty() => Self::Differs(difference),
            verdict => verdict,
        }
    }

    /// One word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Differs(_) => "works, but",
            Self::NoMeaning(_) => "no meaning here",
            Self::Refused { .. } => "refused",
            Self::Removed(_) => "removed",
        }
    }
}

/// What there is to say besides the word.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => Ok(()),
            Self::Differs(text) | Self::NoMeaning(text) | Self::Removed(text) => f.write_str(text),
            Self::Refused { why, instead: "" } => f.write_str(why),
            Self::Refused { why, instead } => write!(f, "{why}; {instead}"),
        }
    }
}
