//! Regular expressions that compare by their source.
//!
//! nginx has PCRE. What the linear-time engine of `regex` can do, it does;
//! look-around and back-references, which users write to except paths
//! (`/(?!api)(.*)`), are `fancy-regex`'s, whose backtracking is bounded: the
//! pattern is a tenant's, and what it is compared with is a client's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex::RegexBuilder;
use serde::{Serialize, Serializer};

/// Bound on one compiled pattern, in bytes: a pattern is tenant input.
const COMPILED_SIZE_LIMIT: usize = 1 << 20;
/// Bound on the instructions of a backtracking pattern.
const PROGRAM_SIZE_LIMIT: usize = 10_000;
/// Steps back in one search. Sensible patterns take fewer than ten for each
/// character of a path.
const BACKTRACK_LIMIT: usize = 10_000;
/// Longer texts are not searched by backtracking.
const LONGEST_BACKTRACKED: usize = 2048;

/// A compiled regular expression. Two are equal when source and case rule are.
#[derive(Clone)]
pub struct Pattern(
    // One pointer: names of hosts and paths, of which there are many, may be patterns,
    // which few are.
    Arc<Compiled>,
);

struct Compiled {
    source: Box<str>,
    ignore_case: bool,
    engine: Engine,
}

enum Engine {
    /// In linear time.
    Linear(regex::Regex),
    /// With look-around or back-references, bounded.
    Backtracking(fancy_regex::Regex),
}

/// Why a text is not a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression that can be served: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles `source` to a pattern that is matched in linear time.
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
        Ok(Self::of(source, ignore_case, Engine::Linear(regex)))
    }

    /// The same; what only look-around and back-references keep from it is
    /// matched by backtracking. Then whoever asks [`Pattern::is_match`] has to
    /// ask [`Pattern::is_undecided`], too, unless a match keeps somebody out.
    ///
    /// # Errors
    /// When it does not parse or is too large.
    pub fn with_look_around(source: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let linear = Self::new(source, ignore_case);
        let needs_more = |error: &PatternError| {
            error.0.contains("is not supported") || error.0.contains("are not supported")
        };
        match linear {
            Err(error) if needs_more(&error) => match backtracking(source, ignore_case) {
                Ok(regex) => Ok(Self::of(source, ignore_case, Engine::Backtracking(regex))),
                Err(error) => Err(PatternError(error.to_string())),
            },
            linear => linear,
        }
    }

    fn of(source: &str, ignore_case: bool, engine: Engine) -> Self {
        Self(Arc::new(Compiled {
            source: source.into(),
            ignore_case,
            engine,
        }))
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
        &self.0.source
    }

    /// Whether it matches anywhere in a text. A search that has to be given up
    /// counts as a match.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.0.engine {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => !searched(text) || regex.is_match(text).unwrap_or(true),
        }
    }

    /// Whether it matches anywhere in a text; a search that has to be given up
    /// does not count: for what lets somebody in.
    pub fn is_sure_match(&self, text: &str) -> bool {
        match &self.0.engine {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => searched(text) && regex.is_match(text).unwrap_or(false),
        }
    }

    /// Whether a search in this text has to be given up. Never in linear time.
    pub fn is_undecided(&self, text: &str) -> bool {
        match &self.0.engine {
            Engine::Linear(_) => false,
            Engine::Backtracking(regex) => !searched(text) || regex.is_match(text).is_err(),
        }
    }

    /// The groups of the first match, if there is one.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        match &self.0.engine {
            Engine::Linear(regex) => regex.captures(text).map(Captures::Linear),
            Engine::Backtracking(regex) => regex.captures(text).ok()?.map(Captures::Backtracking),
        }
    }
}

fn backtracking(source: &str, ignore_case: bool) -> Result<fancy_regex::Regex, fancy_regex::Error> {
    fancy_regex::RegexBuilder::new(source)
        .case_insensitive(ignore_case)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(COMPILED_SIZE_LIMIT)
        .max_prog_size(PROGRAM_SIZE_LIMIT)
        .build()
}

/// Whether a text is short enough for backtracking.
fn searched(text: &str) -> bool {
    text.len() <= LONGEST_BACKTRACKED
}

/// `regex` draws the pattern and points at the place before it says what is wrong.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or(error);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The groups of a match.
pub enum Captures<'t> {
    /// Found in linear time.
    Linear(regex::Captures<'t>),
    /// Found by backtracking.
    Backtracking(fancy_regex::Captures<'t, str>),
}

impl<'t> Captures<'t> {
    /// What a group matched; empty when it took no part or does not exist, as
    /// in nginx. 0 is the whole match.
    pub fn group(&self, number: usize) -> &'t str {
        match self {
            Self::Linear(captures) => captures.get(number).map_or("", |group| group.as_str()),
            Self::Backtracking(captures) => captures.get(number).map_or("", |group| group.as_str()),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source && self.0.ignore_case == other.0.ignore_case
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
        self.0.ignore_case.hash(state);
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.0.source, self.0.ignore_case).cmp(&(&other.0.source, other.0.ignore_case))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/",
            if self.0.ignore_case { "(?i)" } else { "" },
            self.0.source
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
    fn what_linear_time_can_do_it_does() {
        let pattern = Pattern::with_look_around(r"^/x(/|$)(.*)", true).unwrap();
        assert!(matches!(pattern.0.engine, Engine::Linear(_)));
        assert!(!pattern.is_undecided(&"/x".repeat(10_000)));
    }

    #[test]
    fn look_around_and_back_references_are_asked_for() {
        assert!(Pattern::new(r"^/(?!api)(.*)", true).is_err());
        let pattern = Pattern::with_look_around(r"^/(?!api)(.*)", true).unwrap();
        assert!(pattern.is_match("/web") && !pattern.is_match("/API/x"));
        assert_eq!(pattern.captures("/web").unwrap().group(1), "web");
        assert!(!pattern.is_undecided("/web") && !pattern.is_undecided("/api"));
        let same = Pattern::with_look_around(r"^/(a+)/\1$", false).unwrap();
        assert!(same.is_match("/aa/aa") && !same.is_match("/aa/a"));
    }

    #[test]
    fn backtracking_is_bounded() {
        let pattern = Pattern::with_look_around(r"^/((?=a)a|aa?)+$", true).unwrap();
        let hostile = format!("/{}b", "a".repeat(100));
        assert!(pattern.is_undecided(&hostile) && pattern.is_match(&hostile));
        assert!(!pattern.is_sure_match(&hostile) && pattern.is_sure_match("/aaaa"));
        assert!(!pattern.is_undecided("/aaaa") && pattern.is_match("/aaaa"));
        let long = format!("/{}", "b".repeat(LONGEST_BACKTRACKED));
        assert!(pattern.is_undecided(&long) && pattern.is_match(&long));
        assert!(!pattern.is_match("/b"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for source in ["/foo(", "/foo(?!a", r"/(a)\2"] {
            let error = Pattern::with_look_around(source, true).unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let error = Pattern::new("/foo(", true).unwrap_err().to_string();
        assert_eq!(
            error,
            "not a regular expression that can be served: unclosed group"
        );
        assert!(Pattern::new("((a{1000}){1000}){10}", true).is_err());
    }
}
