//! The head of the request for the backend (`upstream-vhost`,
//! `connection-proxy-header`, ConfigMap `proxy-set-headers`).

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CONNECTION, HOST, UPGRADE};
use tidegate_snapshot::policy::{self, Connection};
use tidegate_snapshot::{FieldName, Text};

use crate::request::Fields;
use crate::template::{self, Values};

const HOST_NAME: FieldName = FieldName::from_static("host", "Host");
const CONNECTION_NAME: FieldName = FieldName::from_static("connection", "Connection");

/// Fields of the request for the backend.
pub struct UpstreamHead {
    host: Option<Value>,
    connection: Option<HeaderValue>,
    /// HTTP/1.0 is spoken.
    pub http10: bool,
    set: Arc<[(FieldName, Text)]>,
}

/// A value, made once where it has no variables.
enum Value {
    Fixed(HeaderValue),
    Text(Text),
}

impl UpstreamHead {
    pub(super) fn new(spec: &policy::UpstreamHead) -> Self {
        Self {
            host: spec.host.as_ref().map(Value::new),
            connection: spec.connection.map(|connection| {
                HeaderValue::from_static(match connection {
                    Connection::Close => "close",
                    Connection::KeepAlive => "keep-alive",
                })
            }),
            http10: spec.http10,
            set: spec.set.clone(),
        }
    }

    /// Edits the head that the backend would get otherwise.
    pub fn on_upstream_request(&self, values: &Values<'_>, fields: &mut dyn Fields) {
        if let Some(host) = self.host.as_ref().and_then(|host| host.of(values)) {
            fields.set(&HOST_NAME, host);
        }
        if let Some(connection) = &self.connection {
            fields.remove(&UPGRADE);
            fields.set(&CONNECTION_NAME, connection.clone());
        }
        for (name, text) in &*self.set {
            match Value::fill(text, values) {
                Some(value) if !value.is_empty() => fields.set(name, value),
                // nginx: an empty value is no field.
                _ if *name.name() != HOST && *name.name() != CONNECTION => fields.remove(name.name()),
                _ => {}
            }
        }
    }
}

impl Value {
    fn new(text: &Text) -> Self {
        let fixed = text
            .as_literal()
            .and_then(|text| HeaderValue::from_str(text).ok());
        fixed.map_or_else(|| Self::Text(text.clone()), Self::Fixed)
    }

    fn of(&self, values: &Values<'_>) -> Option<HeaderValue> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Text(text) => Self::fill(text, values).filter(|value| !value.is_empty()),
        }
    }

    /// `None` when a client's bytes make no value of it.
    fn fill(text: &Text, values: &Values<'_>) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&template::filled(text, values)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::fixtures::{Head, Request};

    fn text(text: &str) -> Text {
        Text::parse(text).unwrap()
    }

    fn edited(spec: &policy::UpstreamHead, before: &[(&str, &str)]) -> Vec<(String, String)> {
        let request = Request::get("/a?b=c").with("x-id", "7");
        let mut head = Head::new(before);
        UpstreamHead::new(spec).on_upstream_request(&Values::of(&request), &mut head);
        head.pairs()
    }

    #[test]
    fn host_and_connection_are_replaced() {
        let spec = policy::UpstreamHead {
            host: Some(text("backend.example.com")),
            connection: Some(Connection::KeepAlive),
            ..policy::UpstreamHead::default()
        };
        let before = [
            ("Host", "foo.bar"),
            ("Upgrade", "websocket"),
            ("Connection", "upgrade"),
        ];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            edited(&spec, &before),
            [
                pair("connection", "keep-alive"),
                pair("host", "backend.example.com")
            ]
        );
    }

    #[test]
    fn other_fields_are_set_or_removed() {
        let name = |name| FieldName::parse(name).unwrap();
        let spec = policy::UpstreamHead {
            set: Arc::new([
                (name("X-Real-IP"), text("$http_x_id-$arg_b")),
                (name("X-Scheme"), text("")),
                (name("Host"), text("")),
            ]),
            ..Default::default()
        };
        let before = [
            ("Host", "foo.bar"),
            ("X-Real-IP", "1.2.3.4"),
            ("X-Scheme", "http"),
        ];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            edited(&spec, &before),
            [pair("host", "foo.bar"), pair("x-real-ip", "7-c")]
        );
    }
}
