//! Whether a route's condition holds: the one place that decides it, for
//! lookup and `explain`.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use tidegate_snapshot::route::{HeaderMatch, QueryMatch, TextMatch};
use tidegate_snapshot::{PathMatch, RouteMatch};

use crate::request::RequestView;

/// The first part of a condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch<'a> {
    Path,
    Method,
    Header(&'a HeaderName),
    Query(&'a str),
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path differs"),
            Self::Method => f.write_str("method differs"),
            Self::Header(name) => write!(f, "header {name} is missing or differs"),
            Self::Query(name) => write!(f, "query parameter {name} is missing or differs"),
        }
    }
}

/// Why a condition does not hold; `None` when it does.
pub(super) fn mismatch<'a>(condition: &'a RouteMatch, request: &impl RequestView) -> Option<Mismatch<'a>> {
    if !path_holds(&condition.path, request.path()) {
        return Some(Mismatch::Path);
    }
    let condition = condition.request.as_deref()?;
    if condition
        .method
        .as_ref()
        .is_some_and(|method| method != request.method())
    {
        return Some(Mismatch::Method);
    }
    let header = condition
        .headers
        .iter()
        .find(|header| !header_holds(header, request));
    if let Some(header) = header {
        return Some(Mismatch::Header(&header.name));
    }
    let query = condition.query.iter().find(|query| !query_holds(query, request));
    query.map(|query| Mismatch::Query(&query.name))
}

fn path_holds(condition: &PathMatch, path: &str) -> bool {
    match condition {
        PathMatch::Exact(exact) => path == &**exact,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(&**prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatch::Below(prefix) => path.starts_with(&**prefix),
        PathMatch::StartsWith(start) => path
            .as_bytes()
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes())),
        PathMatch::Regex(pattern) => pattern.is_match(path),
    }
}

/// Several fields of one name count as one, joined by commas (RFC 9110 §5.3);
/// only then something is allocated.
fn header_holds(condition: &HeaderMatch, request: &impl RequestView) -> bool {
    let mut joined: Option<Cow<'_, [u8]>> = None;
    request.each_header(&condition.name, &mut |value| match &mut joined {
        None => joined = Some(Cow::Borrowed(value)),
        Some(values) => {
            values.to_mut().push(b',');
            values.to_mut().extend_from_slice(value);
        }
    });
    joined.is_some_and(|value| text_holds(&condition.value, &value))
}

/// The first parameter of the name counts. Names and values are compared as
/// `application/x-www-form-urlencoded` means them: `+` is a space, escapes are
/// decoded.
fn query_holds(condition: &QueryMatch, request: &impl RequestView) -> bool {
    let parameters = request.query().unwrap_or_default().split('&');
    let mut parameters = parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    let found = parameters.find(|(name, _)| *form_decoded(name) == *condition.name.as_bytes());
    found.is_some_and(|(_, value)| text_holds(&condition.value, &form_decoded(value)))
}

/// A regular expression is over text: a value that is not UTF-8 fits none.
fn text_holds(condition: &TextMatch, value: &[u8]) -> bool {
    match condition {
        TextMatch::Exact(exact) => *value == *exact.as_bytes(),
        TextMatch::Regex(pattern) => std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value)),
    }
}

/// A `%` that is no escape stands for itself.
fn form_decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (byte, length) = match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or_default(), 3),
            (b'+', ..) => (b' ', 1),
            (byte, ..) => (*byte, 1),
        };
        decoded.push(byte);
        at += length;
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests;
