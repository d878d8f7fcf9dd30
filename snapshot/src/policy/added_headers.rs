use http::HeaderName;
use serde::{Serialize, Serializer};

use crate::{FieldName, Text};

/// Fields of every answer (ConfigMap `add-headers`, `hide-headers`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AddedHeaders {
    /// Removed from answers of backends.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "names")]
    pub hide: Vec<HeaderName>,
    /// Set on all answers, instead of the backend's of this name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(FieldName, Text)>,
}

fn names<S: Serializer>(names: &[HeaderName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(HeaderName::as_str))
}
