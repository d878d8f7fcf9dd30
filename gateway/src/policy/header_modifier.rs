//! Changes of header fields (`RequestHeaderModifier`, `ResponseHeaderModifier`).

use tidegate_snapshot::policy;

use crate::request::Fields;

/// Sets, adds and removes fields.
pub struct HeaderModifier(policy::HeaderModifier);

impl HeaderModifier {
    pub(super) fn new(spec: &policy::HeaderModifier) -> Self {
        Self(spec.clone())
    }

    /// Changes the fields of a request or an answer.
    pub fn apply(&self, fields: &mut dyn Fields) {
        for name in &self.0.remove {
            fields.remove(name);
        }
        for (name, value) in &self.0.set {
            fields.set(name, value.clone());
        }
        for (name, value) in &self.0.add {
            fields.append(name, value.clone());
        }
    }
}
