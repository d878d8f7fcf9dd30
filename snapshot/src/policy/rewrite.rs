use http::HeaderValue;
use serde::{Serialize, Serializer};

use crate::Text;
use crate::text::TextError;

/// The path sent to the backend (`rewrite-target`). It replaces the whole path;
/// the query stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// What the path becomes.
    #[serde(serialize_with = "target")]
    pub target: Vec<RewritePiece>,
    /// `X-Forwarded-Prefix` to the backend (`x-forwarded-prefix`).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "prefix")]
    pub forwarded_prefix: Option<HeaderValue>,
}

/// A part of a [`Rewrite`]'s target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RewritePiece {
    /// `$1` to `$9`: what a group of the route's regular expression matched.
    Group(u8),
    /// Anything else.
    Text(Text),
}

impl Rewrite {
    /// Parses a target by nginx's rules: `$` and one digit is a group.
    ///
    /// # Errors
    /// As [`Text::parse`].
    pub fn parse(target: &str) -> Result<Self, TextError> {
        let mut pieces = Vec::new();
        let mut rest = target;
        loop {
            let group = rest.as_bytes().windows(2).position(|pair| {
                let [dollar, digit] = pair else { return false };
                *dollar == b'$' && matches!(digit, b'1'..=b'9')
            });
            let text = &rest[..group.unwrap_or(rest.len())];
            if !text.is_empty() {
                pieces.push(RewritePiece::Text(Text::parse(text)?));
            }
            let Some(at) = group else { break };
            pieces.push(RewritePiece::Group(rest.as_bytes()[at + 1] - b'0'));
            rest = &rest[at + 2..];
        }
        Ok(Self {
            target: pieces,
            forwarded_prefix: None,
        })
    }
}

fn target<S: Serializer>(pieces: &[RewritePiece], serializer: S) -> Result<S::Ok, S::Error> {
    let text: String = pieces
        .iter()
        .map(|piece| match piece {
            RewritePiece::Group(number) => format!("${number}"),
            RewritePiece::Text(text) => text.to_string(),
        })
        .collect();
    serializer.serialize_str(&text)
}

fn prefix<S: Serializer>(value: &Option<HeaderValue>, serializer: S) -> Result<S::Ok, S::Error> {
    let value = value
        .as_ref()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_single_digits_as_in_nginx() {
        let text = |text| RewritePiece::Text(Text::parse(text).unwrap());
        let group = RewritePiece::Group;
        let target = |text| Rewrite::parse(text).map(|rewrite| rewrite.target);
        assert_eq!(target("/$2"), Ok(vec![text("/"), group(2)]));
        assert_eq!(
            target("/$host$10-$1"),
            Ok(vec![text("/$host"), group(1), text("0-"), group(1)])
        );
        assert_eq!(target("/a$"), Err(TextError::Malformed));
        assert_eq!(target("/$0"), Err(TextError::Unknown("0".to_owned())));
    }
}
