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
