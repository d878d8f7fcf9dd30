use http::HeaderValue;
use serde::{Serialize, Serializer};

use crate::FieldName;

/// Fields of every answer, instead of the backend's of these names
/// (`custom-headers`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomHeaders {
    /// In the order of their names.
    #[serde(serialize_with = "pairs")]
    pub set: Vec<(FieldName, HeaderValue)>,
}

fn pairs<S: Serializer>(fields: &[(FieldName, HeaderValue)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        fields
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()))),
    )
}
