//! Fields of every answer (ConfigMap `add-headers`, `hide-headers`).

use std::sync::Arc;

use http::HeaderValue;
use tidegate_snapshot::policy;

use super::Answer;
use crate::request::Fields;
use crate::template::{self, Values};

/// Fields that are added to answers, and others that are taken away.
pub struct AddedHeaders {
    spec: Arc<policy::AddedHeaders>,
    /// The values that have no variables, made once; in the order of the spec.
    fixed: Box<[Option<HeaderValue>]>,
}

impl AddedHeaders {
    pub(super) fn new(spec: &Arc<policy::AddedHeaders>) -> Self {
        let fixed = spec
            .set
            .iter()
            .map(|(_, text)| HeaderValue::from_str(text.as_literal()?).ok());
        Self {
            fixed: fixed.collect(),
            spec: spec.clone(),
        }
    }

    pub(super) fn on_response(&self, answer: &Answer<'_>, fields: &mut dyn Fields) {
        if !answer.is_own {
            for name in &self.spec.hide {
                fields.remove(name);
            }
        }
        for ((name, text), fixed) in self.spec.set.iter().zip(&self.fixed) {
            let value = fixed.clone().or_else(|| {
                let values = Values {
                    request_id: answer.request_id,
                    ..Values::of(answer.request)
                };
                HeaderValue::from_bytes(&template::filled(text, &values)).ok()
            });
            match value {
                Some(value) if !value.is_empty() => fields.set(name, value),
                _ => fields.remove(name.name()),
            }
        }
    }
}
