//! From directives to typed statements, block by block.

use std::sync::Arc;

use http::HeaderValue;
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::Snippet;
use tidegate_snapshot::policy::snippet::{Block, Value};

use super::directive::{self, Place};
use super::tree::Directive;
use super::{Directives, Fault, Level, unsupported};
use crate::translate::nearest;

/// Takes directives one by one.
pub(super) struct Builder<'a> {
    level: Level,
    pub(super) out: Directives,
    blocks: Vec<Block>,
    /// The block that directives go into; 0 outside of every `if`.
    current: usize,
    /// Variables that text elsewhere sets.
    known: &'a [Arc<str>],
    /// `default_type`, once it was there.
    pub(super) content_type: Option<HeaderValue>,
}

impl<'a> Builder<'a> {
    /// For a text that sets these variables.
    pub(super) fn new(level: Level, assigned: Vec<Arc<str>>, known: &'a [Arc<str>]) -> Self {
        Self {
            level,
            out: Directives {
                variables: assigned,
                ..Directives::default()
            },
            blocks: vec![Block::default()],
            current: 0,
            known,
            content_type: None,
        }
    }

    /// Takes all directives of a level.
    pub(super) fn take_all(&mut self, tree: &[Directive]) -> Result<(), Fault> {
        // It counts for the whole level, wherever it stands.
        let is_type = |directive: &&Directive| directive.name == "default_type";
        let (types, others): (Vec<_>, Vec<_>) = tree.iter().partition(is_type);
        types
            .into_iter()
            .chain(others)
            .try_for_each(|directive| self.take(directive))
    }

    /// The variables that are known here.
    pub(super) fn variables(&self) -> Vec<Arc<str>> {
        self.out.variables.iter().chain(self.known).cloned().collect()
    }

    /// Takes one directive.
    pub(super) fn take(&mut self, directive: &Directive) -> Result<(), Fault> {
        let Some(entry) = directive::by_name(&directive.name) else {
            let near = nearest::name(&directive.name, directive::names());
            return Err(unsupported::fault(directive, near));
        };
        let place = self.place();
        if !entry.places.contains(&place) {
            return Err(directive.fault(format!("not allowed {place}"), entry.elsewhere()));
        }
        if entry.has_block() != directive.block.is_some() {
            return Err(directive.usage(entry.usage));
        }
        (entry.take)(self, directive, entry.usage)
    }

    fn place(&self) -> Place {
        match (self.level, self.current) {
            (Level::Server, 0) => Place::Server,
            (Level::Server, _) => Place::ServerIf,
            (Level::Location, 0) => Place::Location,
            (Level::Location, _) => Place::LocationIf,
        }
    }

    /// Whether it is about a host, whose routes have settings of their own.
    pub(super) fn is_server(&self) -> bool {
        self.level == Level::Server
    }

    /// The block that directives go into.
    pub(super) fn block(&mut self) -> &mut Block {
        &mut self.blocks[self.current]
    }

    /// Takes the directives of an `if`; returns the index of its block.
    pub(super) fn inner(&mut self, directive: &Directive) -> Result<usize, Fault> {
        if self.blocks.len() == Snippet::MOST_BLOCKS {
            let most = Snippet::MOST_BLOCKS - 1;
            return Err(directive.fault(format!("more than {most} of them"), "write fewer"));
        }
        let outer = self.current;
        self.current = self.blocks.len();
        self.blocks.push(Block::default());
        let inner = self.current;
        for directive in directive.block.iter().flatten() {
            self.take(directive)?;
        }
        self.current = outer;
        Ok(inner)
    }

    /// A text with variables.
    pub(super) fn value(&self, directive: &Directive, text: &str) -> Result<Value, Fault> {
        let own = |name: &str| {
            let mut all = self.out.variables.iter().chain(self.known);
            all.any(|variable| **variable == *name)
        };
        Value::parse(text, &own).map_err(|error| {
            directive.fault(
                format!("{text:?}: {error}"),
                "docs/snippets.md lists the variables; `set` makes others",
            )
        })
    }

    /// A text with variables of the request alone.
    pub(super) fn request_value(&self, directive: &Directive, text: &str) -> Result<Value, Fault> {
        let value = self.value(directive, text)?;
        if value.is_of_request() {
            return Ok(value);
        }
        Err(directive.fault(
            format!("{text:?} asks for the answer, and there is none yet"),
            "use variables of the request",
        ))
    }

    /// The value of a header field.
    pub(super) fn field_value(&self, directive: &Directive, text: &str) -> Result<Value, Fault> {
        one_line(directive, text)?;
        self.value(directive, text)
    }

    /// Something that has no effect, in nginx neither.
    pub(super) fn note(&mut self, directive: &Directive, why: &str, fix: &str) {
        self.out.notes.push(directive.fault(why, fix));
    }

    /// What all of it means.
    pub(super) fn finish(self) -> Directives {
        let used = self.blocks.iter().any(|block| *block != Block::default());
        Directives {
            snippet: used.then(|| Arc::new(Snippet { blocks: self.blocks })),
            ..self.out
        }
    }
}

/// Refuses line ends: a header field that had one would be two.
pub(super) fn one_line(directive: &Directive, text: &str) -> Result<(), Fault> {
    if text.contains(['\r', '\n']) {
        return Err(directive.fault("the value has several lines", "write it in one line"));
    }
    Ok(())
}

/// The name of a header field.
pub(super) fn field_name(directive: &Directive, text: &str) -> Result<FieldName, Fault> {
    FieldName::parse(text).ok_or_else(|| {
        directive.fault(
            format!("{text:?} is not the name of a header"),
            "use letters, digits and `-`",
        )
    })
}
