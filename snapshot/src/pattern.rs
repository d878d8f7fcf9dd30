//! Regular expressions that compare by their source.

use std::fmt;
use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

/// Bound on one compiled pattern, in bytes: a pattern is tenant input.
const COMPILED_SIZE_LIMIT: usize = 1 << 20;

/// A compiled regular expression (linear time, no look-around, no
/// back-references). Two are equal when source and case rule are.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    ignore_case: bool,
    regex: Regex,
}

/// Why a text is not a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression that can be served: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles `source`.
    ///
    /// # Errors
    /// When it does not parse, needs look-around or back-references, or
    /// compiles to more than 1 MiB.
    pub fn new(source: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let regex = RegexBuilder::new(source)
            .case_insensitive(ignore_case)
            .size_limit(COMPILED_SIZE_LIMIT)
            .build()
            .map_err(|error| PatternError(error.to_string().replace('\n', " ")))?;
        Ok(Self {
            source: source.into(),
            ignore_case,
            regex,
        })
    }

    /// A pattern that only `text` matches, whole and without regard to case.
    ///
    /// # Errors
    /// When it compiles to more than 1 MiB.
    pub fn literal(text: &str) -> Result<Self, PatternError> {
        Self::new(&format!("^{}$", regex::escape(text)), true)
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The compiled expression.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.ignore_case == other.ignore_case
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.ignore_case.hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/",
            if self.ignore_case { "(?i)" } else { "" },
            self.source
        )
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}
