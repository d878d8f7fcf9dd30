use http::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

use crate::FieldName;

/// Changes of header fields (Gateway API `RequestHeaderModifier` and
/// `ResponseHeaderModifier`): no name occurs in two of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeaderModifier {
    /// Instead of every field of the name.
    #[serde(serialize_with = "pairs", skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(FieldName, HeaderValue)>,
    /// Besides the fields of the name.
    #[serde(serialize_with = "pairs", skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<(FieldName, HeaderValue)>,
    /// Every field of the name goes.
    #[serde(serialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<HeaderName>,
}

impl HeaderModifier {
    /// The one that does what this one and then `later` do.
    #[must_use]
    pub fn then(mut self, later: &Self) -> Self {
        let gone = |name: &HeaderName| {
            let is_set = later.set.iter().any(|(other, _)| other.name() == name);
            is_set || later.remove.contains(name)
        };
        self.set.retain(|(name, _)| !gone(name.name()));
        self.add.retain(|(name, _)| !gone(name.name()));
        self.remove.retain(|name| !gone(name));
        self.set.extend(later.set.iter().cloned());
        self.add.extend(later.add.iter().cloned());
        self.remove.extend(later.remove.iter().cloned());
        self
    }
}

fn pairs<S: Serializer>(fields: &[(FieldName, HeaderValue)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))),
    )
}

fn names<S: Serializer>(names: &[HeaderName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(HeaderName::as_str))
}
