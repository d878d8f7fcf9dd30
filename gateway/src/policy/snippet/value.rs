//! Texts of snippets, filled in.

use http::StatusCode;
use tidegate_snapshot::policy::snippet::{Value, ValuePiece};

use super::progress::{Progress, Seen};
use crate::request::Fields;
use crate::template::{self, Values};

/// The answer, where there is one.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) status: StatusCode,
    pub(super) is_own: bool,
    pub(super) fields: &'a dyn Fields,
}

/// Fills a text in.
pub(super) fn filled(
    value: &Value,
    progress: Option<&Progress>,
    values: &Values<'_>,
    sent: Option<Sent<'_>>,
) -> Vec<u8> {
    if let Some(text) = value.as_literal() {
        return text.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(64);
    for piece in value.pieces() {
        append(piece, progress, values, sent, &mut out);
    }
    out
}

/// Fills a part of one in.
pub(super) fn append(
    piece: &ValuePiece,
    progress: Option<&Progress>,
    values: &Values<'_>,
    sent: Option<Sent<'_>>,
    out: &mut Vec<u8>,
) {
    let field = |sent: Option<Sent<'_>>, name| -> Vec<u8> {
        let value = sent.and_then(|sent| sent.fields.value(name).cloned());
        value.map_or_else(Vec::new, |value| value.as_bytes().to_vec())
    };
    match piece {
        ValuePiece::Literal(text) => out.extend_from_slice(text.as_bytes()),
        ValuePiece::Variable(variable) => {
            let seen = Seen::new(values.request, progress);
            let values = Values {
                request: &seen,
                ..*values
            };
            template::variable(variable, &values, out);
        }
        ValuePiece::Own(name) => {
            out.extend_from_slice(progress.map_or(b"", |progress| progress.own(name)));
        }
        ValuePiece::Group(number) => {
            let group = progress.map_or("", |progress| progress.group(*number));
            out.extend_from_slice(group.as_bytes());
        }
        ValuePiece::Status => {
            out.extend_from_slice(sent.as_ref().map_or("", |sent| sent.status.as_str()).as_bytes());
        }
        ValuePiece::Sent(name) => out.extend_from_slice(&field(sent, name)),
        ValuePiece::Upstream(name) => {
            out.extend_from_slice(&field(sent.filter(|sent| !sent.is_own), name));
        }
    }
}
