//! What a service that lets a request in changes of it, and of its answer.

use http::{HeaderName, HeaderValue};
use tidegate_snapshot::FieldName;

use crate::request::Fields;

/// All that it changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Of the fields that the backend gets, in this order.
    pub request: Vec<Change>,
    /// Of the fields that the client gets, likewise.
    pub answer: Vec<Change>,
    /// Parameters of the query: with a value it is the only one of its name,
    /// without it goes.
    pub query: Vec<(String, Option<String>)>,
}

/// A change of header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// No field of this name.
    Remove(HeaderName),
    /// The only field of its name.
    Set(FieldName, HeaderValue),
    /// Beside others of its name.
    Append(FieldName, HeaderValue),
    /// Unless there is one.
    Default(FieldName, HeaderValue),
    /// Where there is one, instead of it.
    Replace(FieldName, HeaderValue),
}

impl Change {
    /// Makes the change.
    pub fn apply(&self, fields: &mut dyn Fields) {
        match self {
            Self::Remove(name) => fields.remove(name),
            Self::Set(name, value) => fields.set(name, value.clone()),
            Self::Append(name, value) => fields.append(name, value.clone()),
            Self::Default(name, value) if fields.value(name.name()).is_none() => {
                fields.append(name, value.clone());
            }
            Self::Replace(name, value) if fields.value(name.name()).is_some() => {
                fields.set(name, value.clone());
            }
            Self::Default(..) | Self::Replace(..) => {}
        }
    }
}

impl Grant {
    /// Adds what another service changes after this one.
    pub fn add(&mut self, other: Self) {
        self.request.extend(other.request);
        self.answer.extend(other.answer);
        self.query.extend(other.query);
    }

    /// Path and query with the parameters changed; `None`: they stay.
    pub fn target(&self, target: &str) -> Option<String> {
        if self.query.is_empty() {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_changed = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            self.query.iter().any(|(changed, _)| decoded(name) == *changed)
        };
        let kept = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !is_changed(pair));
        let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
        for (number, (name, value)) in self.query.iter().enumerate() {
            let later = &self.query[number + 1..];
            if let Some(value) = value
                && later.iter().all(|(other, _)| other != name)
            {
                pairs.push(format!("{}={}", encoded(name), encoded(value)));
            }
        }
        if pairs.is_empty() {
            return Some(path.to_owned());
        }
        Some(format!("{path}?{}", pairs.join("&")))
    }
}

/// The name of a parameter as a backend reads it (URL Standard,
/// application/x-www-form-urlencoded): one that is to go must not stay because
/// the client has escaped a letter of it.
fn decoded(name: &str) -> String {
    let name = name.replace('+', " ");
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(target: &str, query: &[(&str, Option<&str>)]) -> Option<String> {
        let query = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        let grant = Grant {
            query: query.collect(),
            ..Grant::default()
        };
        grant.target(target)
    }

    #[test]
    fn parameters_are_set_once_and_removed_wherever_they_stand() {
        assert_eq!(target("/a?b=1", &[]), None);
        let set = |from| target(from, &[("user", Some("jane doe")), ("token", None)]);
        assert_eq!(set("/a").as_deref(), Some("/a?user=jane%20doe"));
        assert_eq!(
            set("/a?token=x&b=1&user=me&tok%65n&user").as_deref(),
            Some("/a?b=1&user=jane%20doe")
        );
        assert_eq!(target("/a?token=x", &[("token", None)]).as_deref(), Some("/a"));
        assert_eq!(
            target("/a?x%3=1&b", &[("c", Some("1")), ("c", Some("2"))]).as_deref(),
            Some("/a?x%3=1&b&c=2")
        );
    }
}
