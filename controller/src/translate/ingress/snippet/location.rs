//! `location` of a host: a path that snippets themselves answer.

use std::sync::Arc;

use tidegate_snapshot::{PathMatch, Pattern};

use super::builder::Builder;
use super::tree::Directive;
use super::{Directives, Fault, Level, condition, rewrite};

/// A path with directives of its own; what does not answer there is 404.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// How it is chosen among the paths of the host.
    pub precedence: Precedence,
    /// As written.
    pub path: Arc<str>,
    /// The condition.
    pub matches: PathMatch,
    /// What it does.
    pub directives: Directives,
}

/// nginx's order of locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// `=`: before all others.
    Exact,
    /// `^~`: a prefix before regular expressions.
    First,
    /// `~`, `~*`: in order, before prefixes.
    Regex,
    /// The longest prefix.
    Prefix,
}

/// Takes a `location` with its block.
pub(super) fn take(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let arguments: Vec<&str> = directive.arguments.iter().map(String::as_str).collect();
    let (modifier, path) = match *arguments {
        [path] => match path.strip_prefix('=') {
            Some(path) => ("=", path),
            None => ("", path),
        },
        [modifier, path] => (modifier, path),
        _ => return Err(directive.usage(usage)),
    };
    let precedence = match modifier {
        "=" => Precedence::Exact,
        "^~" => Precedence::First,
        "~" | "~*" => Precedence::Regex,
        "" => Precedence::Prefix,
        _ => return Err(directive.usage(usage)),
    };
    if precedence != Precedence::Regex && !path.starts_with('/') {
        return Err(directive.fault(format!("{path:?} does not begin with a slash"), "write a path"));
    }
    let matches = match precedence {
        Precedence::Exact => PathMatch::Exact(path.into()),
        Precedence::Regex => PathMatch::Regex(condition::pattern(directive, path, modifier == "~*")?),
        Precedence::First | Precedence::Prefix => PathMatch::Regex(
            Pattern::starting_with(path).map_err(|error| directive.fault(error, "write a shorter path"))?,
        ),
    };
    let block = directive.block.as_deref().unwrap_or_default();
    let known = builder.variables();
    let mut inner = Builder::new(Level::Location, rewrite::assigned(block), &known);
    inner.take_all(block)?;
    let mut directives = inner.finish();
    builder.out.notes.append(&mut directives.notes);
    builder.out.locations.push(Location {
        precedence,
        path: path.into(),
        matches,
        directives,
    });
    Ok(())
}
