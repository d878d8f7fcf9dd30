//! Texts with variables in snippets: those of any [`Text`](crate::Text), the
//! user's own, groups of regular expressions, and fields of the answer.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::text::{self, TextError, Variable};

/// Longer texts are refused.
const LONGEST: usize = 4096;

/// A text with variables, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value(Box<[ValuePiece]>);

/// A part of a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValuePiece {
    /// Itself.
    Literal(Box<str>),
    /// A variable of the request.
    Variable(Variable),
    /// A variable that `set` sets; empty before.
    Own(Arc<str>),
    /// `$1` to `$9`: a group of the latest regular expression that matched.
    Group(u8),
    /// `$status`: the answer's; empty before there is one.
    Status,
    /// `$sent_http_NAME`: a field of the answer.
    Sent(HeaderName),
    /// `$upstream_http_NAME`: a field of the backend's answer.
    Upstream(HeaderName),
}

/// Why a text is not a [`Value`].
pub type ValueError = TextError;

impl Value {
    /// Parses a text by nginx's rules; `own` says whether a variable of this
    /// name is set somewhere. Line ends and tabs are taken: whoever makes a
    /// header of it must refuse them.
    ///
    /// # Errors
    /// A [`ValueError`]; nginx would refuse its whole configuration.
    pub fn parse(text: &str, own: &dyn Fn(&str) -> bool) -> Result<Self, ValueError> {
        if text.len() > LONGEST {
            return Err(TextError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c)) {
            return Err(TextError::Control);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal(&mut pieces, &rest[..at]);
            rest = &rest[at + 1..];
            if let Some(digit @ b'1'..=b'9') = rest.bytes().next() {
                pieces.push(ValuePiece::Group(digit - b'0'));
                rest = &rest[1..];
                continue;
            }
            let (name, after) = text::name(rest)?;
            match text::constant(name) {
                Some(text) => literal(&mut pieces, text),
                None => pieces.push(piece(name, own)?),
            }
            rest = after;
        }
        literal(&mut pieces, rest);
        Ok(Self(pieces.into()))
    }

    /// A text without variables.
    pub fn literal(text: &str) -> Self {
        let mut pieces = Vec::new();
        literal(&mut pieces, text);
        Self(pieces.into())
    }

    /// Its parts in order; empty for the empty text.
    pub fn pieces(&self) -> &[ValuePiece] {
        &self.0
    }

    /// The text, if it has no variables.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [ValuePiece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it begins with this text, or with `$scheme`.
    pub fn begins_like_a_url(&self) -> bool {
        match self.0.first() {
            Some(ValuePiece::Literal(text)) => text.starts_with("http://") || text.starts_with("https://"),
            Some(ValuePiece::Variable(variable)) => *variable == Variable::Scheme,
            _ => false,
        }
    }

    /// Whether it can be known before there is an answer.
    pub fn is_of_request(&self) -> bool {
        use ValuePiece::{Sent, Status, Upstream};
        !self
            .0
            .iter()
            .any(|piece| matches!(piece, Status | Sent(_) | Upstream(_)))
    }
}

fn literal(pieces: &mut Vec<ValuePiece>, text: &str) {
    if !text.is_empty() {
        pieces.push(ValuePiece::Literal(text.into()));
    }
}

fn piece(name: &str, own: &dyn Fn(&str) -> bool) -> Result<ValuePiece, ValueError> {
    if let Some(variable) = Variable::parse(name) {
        return Ok(ValuePiece::Variable(variable));
    }
    if name == "status" {
        return Ok(ValuePiece::Status);
    }
    if let Some(field) = name.strip_prefix("sent_http_").and_then(field) {
        return Ok(ValuePiece::Sent(field));
    }
    if let Some(field) = name.strip_prefix("upstream_http_").and_then(field) {
        return Ok(ValuePiece::Upstream(field));
    }
    if own(name) {
        return Ok(ValuePiece::Own(name.into()));
    }
    Err(TextError::Unknown(name.to_owned()))
}

fn field(name: &str) -> Option<HeaderName> {
    HeaderName::try_from(name.to_ascii_lowercase().replace('_', "-")).ok()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let underscored = |name: &HeaderName| name.as_str().replace('-', "_");
        self.0.iter().try_for_each(|piece| match piece {
            ValuePiece::Literal(text) => f.write_str(text),
            ValuePiece::Variable(variable) => write!(f, "${{{}}}", variable.name()),
            ValuePiece::Own(name) => write!(f, "${{{name}}}"),
            ValuePiece::Group(number) => write!(f, "${number}"),
            ValuePiece::Status => f.write_str("${status}"),
            ValuePiece::Sent(name) => write!(f, "${{sent_http_{}}}", underscored(name)),
            ValuePiece::Upstream(name) => write!(f, "${{upstream_http_{}}}", underscored(name)),
        })
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, ValueError> {
        Value::parse(text, &|name| name == "mine").map(|value| value.to_string())
    }

    #[test]
    fn variables_of_all_kinds_are_known() {
        let text = "https://$host$request_uri";
        assert_eq!(parsed(text).unwrap(), "https://${host}${request_uri}");
        assert_eq!(parsed("$1$2x$10").unwrap(), "$1$2x$10");
        assert_eq!(parsed("${mine}d").unwrap(), "${mine}d");
        assert_eq!(
            parsed("$status $sent_http_x_a $upstream_http_x_b").unwrap(),
            "${status} ${sent_http_x_a} ${upstream_http_x_b}"
        );
        assert_eq!(parsed("a\nb").unwrap(), "a\nb");
        assert_eq!(parsed("${proxy_host}:80").unwrap(), "upstream_balancer:80");
        assert_eq!(parsed("$other"), Err(TextError::Unknown("other".to_owned())));
        assert_eq!(parsed("$"), Err(TextError::Malformed));
        assert_eq!(parsed("\0"), Err(TextError::Control));
    }

    #[test]
    fn ten_is_one_and_a_zero() {
        let value = Value::parse("$10", &|_| false).unwrap();
        assert_eq!(
            value.pieces(),
            [ValuePiece::Group(1), ValuePiece::Literal("0".into())]
        );
    }

    #[test]
    fn what_needs_an_answer_is_told_apart() {
        let is_of_request = |text| Value::parse(text, &|_| false).unwrap().is_of_request();
        assert!(is_of_request("$host$1"));
        assert!(!is_of_request("a$status"));
        assert!(!is_of_request("$upstream_http_x"));
    }
}
