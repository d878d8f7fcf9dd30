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
            .map_err(|error| PatternError(last_line(&error.to_string())))?;
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

    /// A pattern that matches every text that begins with this one.
    ///
    /// # Errors
    /// When it compiles to more than 1 MiB.
    pub fn starting_with(text: &str) -> Result<Self, PatternError> {
        Self::new(&format!("^{}", regex::escape(text)), false)
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches anywhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The groups of the first match, if there is one.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text).map(Captures)
    }
}

/// `regex` draws the pattern and points at the place before it says what is wrong.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or(error);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The groups of a match.
pub struct Captures<'t>(regex::Captures<'t>);

impl<'t> Captures<'t> {
    /// What a group matched; empty when it took no part or does not exist, as
    /// in nginx. 0 is the whole match.
    pub fn group(&self, number: usize) -> &'t str {
        self.0.get(number).map_or("", |group| group.as_str())
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

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.source, self.ignore_case).cmp(&(&other.source, other.ignore_case))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_do_not_take_part_are_empty() {
        let pattern = Pattern::new(r"^/x(/|$)(.*)", true).unwrap();
        let captures = pattern.captures("/X/a/b").unwrap();
        assert_eq!((captures.group(1), captures.group(2)), ("/", "a/b"));
        assert_eq!((captures.group(0), captures.group(9)), ("/X/a/b", ""));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let error = Pattern::new("/foo(", true).unwrap_err().to_string();
        assert_eq!(
            error,
            "not a regular expression that can be served: unclosed group"
        );
        assert!(Pattern::new("((a{1000}){1000}){10}", true).is_err());
    }
}
