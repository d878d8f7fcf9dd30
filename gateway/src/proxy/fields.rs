//! The head of Pingora's requests and answers as policies edit it.

use http::{HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};
use tidegate_snapshot::FieldName;

use crate::request::Fields;

/// A head as policies edit it.
pub(super) struct Head<'a, H>(pub(super) &'a mut H);

/// Pingora's two types of heads share their methods, but no trait.
macro_rules! fields {
    ($head:ty) => {
        impl Fields for Head<'_, $head> {
            fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
                self.0.headers.get(name)
            }

            fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
                self.0.headers.get_all(name).iter().cloned().collect()
            }

            fn names(&self) -> Vec<HeaderName> {
                self.0.headers.keys().cloned().collect()
            }

            fn set(&mut self, name: &FieldName, value: HeaderValue) {
                // It fails only on names and values that these types exclude.
                let _ = self.0.insert_header(name.spelling().clone(), value);
            }

            fn append(&mut self, name: &FieldName, value: HeaderValue) {
                let _ = self.0.append_header(name.spelling().clone(), value);
            }

            fn remove(&mut self, name: &HeaderName) {
                self.0.remove_header(name);
            }
        }
    };
}

fields!(RequestHeader);
fields!(ResponseHeader);
