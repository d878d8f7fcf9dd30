//! Fields of every answer (`custom-headers`).

use http::HeaderValue;
use tidegate_snapshot::{FieldName, policy};

use crate::request::Fields;

/// Fields that replace the backend's.
pub struct CustomHeaders {
    set: Box<[(FieldName, HeaderValue)]>,
}

impl CustomHeaders {
    pub(super) fn new(spec: &policy::CustomHeaders) -> Self {
        Self {
            set: spec.set.as_slice().into(),
        }
    }

    pub(super) fn on_response(&self, fields: &mut dyn Fields) {
        for (name, value) in &self.set {
            fields.set(name, value.clone());
        }
    }
}
