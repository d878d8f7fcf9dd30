//! What nginx's directives in snippets mean: a closed set of typed statements,
//! sorted by the phase that they belong to.

mod value;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

use crate::{FieldName, Pattern};

pub use value::{Value, ValueError, ValuePiece};

/// The directives of one level of nginx's configuration: of a host
/// (`server-snippet`) or of a route (`configuration-snippet`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The first holds for every request, each other one for those that came
    /// into its `if`. At least one, at most 64.
    pub blocks: Vec<Block>,
}

/// Directives that hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The rewrite phase, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Changes of the request's fields, as the backend and the authentication
    /// service see them (`more_set_input_headers`, `more_clear_input_headers`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<RequestEdit>,
    /// Fields that the backend is sent instead of ours and the client's; an
    /// empty value removes one (`proxy_set_header`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<(FieldName, Value)>,
    /// Fields of the backend's answer that go (`proxy_hide_header`).
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "names")]
    pub hide: Vec<HeaderName>,
    /// Changes of the answer's fields (`more_set_headers`, `more_clear_headers`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answer: Vec<AnswerEdit>,
    /// `Expires` and `Cache-Control` (`expires`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expires>,
    /// Fields beside the answer's own (`add_header`). Those of a level replace
    /// those of the levels around it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<AddedField>,
}

/// One directive of the rewrite phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Step {
    /// `set`.
    Set(Assigned, Value),
    /// `if`: the index of the block that follows.
    If(Condition, usize),
    /// `return`.
    Return(Return),
    /// `rewrite`.
    Rewrite(UriRewrite),
    /// `break`: no more steps.
    Break,
}

/// What `set` sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Assigned {
    /// A variable of the user's own.
    Own(Arc<str>),
    /// `$args`: the query.
    Query,
}

/// When an `if` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The variable.
    pub subject: Value,
    /// What it must be.
    pub test: Test,
}

/// What a variable must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Test {
    /// Neither empty nor `0`.
    IsSet,
    /// `=`.
    Is(Value),
    /// `!=`.
    IsNot(Value),
    /// `~`, `~*`: its groups are `$1` and so on from then on.
    Matches(Pattern),
    /// `!~`, `!~*`.
    MatchesNot(Pattern),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Return {
    /// 200 to 999; [`Return::CLOSE`] answers nothing.
    pub status: u16,
    /// What comes with it.
    pub content: Content,
}

/// What comes with a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Content {
    /// Nothing.
    Empty,
    /// The short page of the status.
    Page,
    /// A redirect: a URL, or a path of the same host.
    Location(Value),
    /// A body.
    Text {
        /// Its `Content-Type`.
        #[serde(serialize_with = "text")]
        content_type: HeaderValue,
        /// Its bytes.
        body: Value,
    },
}

/// `rewrite`: another path and query for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UriRewrite {
    /// On the normalised path; nothing happens where it does not match.
    pub pattern: Pattern,
    /// The new path, or the start of a redirect's URL.
    pub path: Value,
    /// What comes before the query; `None`: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// Whether the request's own query is kept.
    pub keep_query: bool,
    /// What follows.
    pub then: Then,
}

/// What follows a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Then {
    /// The next step; at the end the route of the new path is looked for.
    Continue,
    /// The same without the steps that are left (`last`).
    FindRoute,
    /// No more steps; the route stays (`break`).
    Stay,
    /// The answer is a redirect with this status (`redirect`, `permanent`).
    Redirect(u16),
}

/// A change of one request field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestEdit {
    /// The change.
    pub edit: Edit,
    /// Only where the field is there already (`-r`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_existing: bool,
    /// Only on bodies of these media types, in lower case (`-t`). Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<Box<str>>,
}

/// A change of one field of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerEdit {
    /// The change.
    pub edit: Edit,
    /// Only on these statuses (`-s`). Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Only on bodies of these media types, in lower case (`-t`). Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<Box<str>>,
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Edit {
    /// Instead of every field of the name; an empty value removes them.
    Set(FieldName, Value),
    /// Every field of the name goes.
    Remove(#[serde(serialize_with = "name")] HeaderName),
    /// Every field goes whose name, in lower case, begins so.
    RemoveAll(Box<str>),
}

/// A field beside the answer's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddedField {
    /// Its name.
    pub name: FieldName,
    /// Its value; an empty one adds nothing.
    pub value: Value,
    /// On every status, not only on those of success and of redirects.
    pub always: bool,
}

/// For how long an answer may be kept (nginx `expires`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Expires {
    /// As the backend says.
    Off,
    /// Never: 1970.
    Epoch,
    /// Ten years.
    Max,
    /// So long from now.
    In(Duration),
    /// Since so long.
    Ago(Duration),
}

impl Snippet {
    /// What one text may have; two of them are joined at most, and a set of
    /// blocks is one word.
    pub const MOST_BLOCKS: usize = 32;

    /// Puts the directives of another text of the same level behind its own.
    pub fn append(&mut self, other: &Self) {
        let shift = self.blocks.len() - 1;
        let moved = |step: &Step| match step {
            Step::If(condition, block) => Step::If(condition.clone(), block + shift),
            step => step.clone(),
        };
        for (index, block) in other.blocks.iter().enumerate() {
            let mut block = block.clone();
            block.steps = block.steps.iter().map(moved).collect();
            match self.blocks.first_mut() {
                Some(first) if index == 0 => first.append(block),
                _ => self.blocks.push(block),
            }
        }
    }

    /// Whether it only edits fields of answers and needs nothing of a request
    /// for it but what every answer knows.
    pub fn edits_answers_only(&self) -> bool {
        let [block] = &*self.blocks else { return false };
        block.steps.is_empty() && block.request.is_empty() && block.upstream.is_empty()
    }
}

impl Block {
    fn append(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
        self.request.append(&mut other.request);
        self.upstream.append(&mut other.upstream);
        self.hide.append(&mut other.hide);
        self.answer.append(&mut other.answer);
        self.expires = other.expires.or(self.expires);
        self.added.append(&mut other.added);
    }
}

impl Return {
    /// nginx's status that closes the connection without an answer.
    pub const CLOSE: u16 = 444;
}

fn names<S: Serializer>(names: &[HeaderName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(HeaderName::as_str))
}

fn name<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

fn text<S: Serializer>(value: &HeaderValue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_if(status: u16) -> Snippet {
        let subject = Value::parse("$host", &|_| false).unwrap();
        let condition = Condition {
            subject,
            test: Test::IsSet,
        };
        let answer = Step::Return(Return {
            status,
            content: Content::Page,
        });
        let block = |steps| Block {
            steps,
            ..Block::default()
        };
        Snippet {
            blocks: vec![block(vec![Step::If(condition, 1)]), block(vec![answer])],
        }
    }

    #[test]
    fn joined_texts_keep_their_blocks() {
        let mut first = with_if(403);
        first.append(&with_if(404));
        assert_eq!(first.blocks.len(), 3);
        let targets: Vec<_> = first.blocks[0]
            .steps
            .iter()
            .map(|step| match step {
                Step::If(_, block) => *block,
                _ => 0,
            })
            .collect();
        assert_eq!(targets, [1, 2]);
        assert_eq!(first.blocks[2], with_if(404).blocks[1]);
    }
}
