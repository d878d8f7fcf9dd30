//! Names of header fields that keep their spelling.

use std::fmt;

use bytes::Bytes;
use http::HeaderName;
use serde::{Serialize, Serializer};

/// The name of a header field with the spelling that HTTP/1 peers are shown;
/// names are compared without regard to case (RFC 9110 §5.1).
#[derive(Clone, Debug)]
pub struct FieldName {
    name: HeaderName,
    spelling: Bytes,
}

impl FieldName {
    /// A name as somebody wrote it; `None` when it cannot be one.
    pub fn parse(spelling: &str) -> Option<Self> {
        Some(Self {
            name: HeaderName::from_bytes(spelling.as_bytes()).ok()?,
            spelling: Bytes::copy_from_slice(spelling.as_bytes()),
        })
    }

    /// A name known when compiling; `name` is `spelling` in lower case.
    pub const fn from_static(name: &'static str, spelling: &'static str) -> Self {
        Self {
            name: HeaderName::from_static(name),
            spelling: Bytes::from_static(spelling.as_bytes()),
        }
    }

    /// The name, for lookups.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The spelling; cloning it is cheap.
    pub fn spelling(&self) -> &Bytes {
        &self.spelling
    }
}

impl std::hash::Hash for FieldName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.spelling.hash(state);
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.spelling == other.spelling
    }
}

impl Eq for FieldName {}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.spelling))
    }
}

impl Serialize for FieldName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
