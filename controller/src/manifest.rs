//! Kubernetes YAML (or JSON) text to [`Object`]s, as `kubectl apply -f` reads
//! it: several documents, `List`s unfolded. One broken document costs only
//! itself.

mod document;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;
use std::sync::Arc;

use tidegate_snapshot::{Effect, ObjectRef, Problem};

use crate::objects::Object;

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The objects of watched kinds, in the order of the text.
    pub objects: Vec<Object>,
    /// Documents that could not be read.
    pub errors: Vec<ManifestError>,
    /// Documents of kinds that Tidegate does not use.
    pub skipped: Vec<Skipped>,
}

/// A document that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct ManifestError {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, in one line.
    pub reason: String,
}

impl ManifestError {
    /// As a problem; `fix` says what to do, and what holds until then.
    pub fn problem(&self, fix: &str) -> Problem {
        Problem {
            object: ObjectRef::new("File", "", &self.file),
            field: format!("line {}", self.line),
            reason: "InvalidManifest",
            message: self.reason.clone(),
            effect: Effect::ObjectRejected,
            fix: fix.to_owned(),
        }
    }
}

/// A document of a kind that is not used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Where the document starts, counted from 1.
    pub line: usize,
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            api_version,
            kind,
        } = self;
        write!(
            f,
            "{file}:{line}: {api_version} {kind} is not used and was skipped"
        )
    }
}

/// Reads every document of `text`; `file` names it in errors.
///
/// Objects without a namespace go to `default`, as with kubectl. A missing
/// `creationTimestamp` stays missing: such an object counts as the oldest.
pub fn parse(file: &str, text: &str) -> Manifest {
    let file: Arc<str> = file.into();
    let mut manifest = Manifest::default();
    for (line, text) in documents(text) {
        document::read(&file, line, text, &mut manifest);
    }
    manifest
}

/// The documents of a stream, with the line (from 1) that each starts on. A
/// line that starts with `---` always separates: YAML allows it nowhere else,
/// block scalars included (YAML 1.2.2 §9.1.2).
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && offset > start {
            documents.push((start_line, &text[start..offset]));
        }
        if marker {
            (start, start_line) = (offset, index + 1);
        }
        offset += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| !is_blank(document));
    documents
}

/// Whether there is nothing but markers, comments and white space.
fn is_blank(document: &str) -> bool {
    document.lines().all(|line| {
        let line = line.trim();
        line.is_empty()
            || line.starts_with('#')
            || line == "---"
            || line == "..."
            || line.starts_with("%YAML")
    })
}
