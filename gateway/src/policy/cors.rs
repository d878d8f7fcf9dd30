//! Cross-origin resource sharing (Fetch standard, §3.2).

use bytes::Bytes;
use http::header::{ORIGIN, VARY};
use http::{HeaderValue, Method, StatusCode};
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::{self, CorsOrigin, CorsOrigins};

use super::{Answer, Facts, Flow, Reply, ReplyBody};
use crate::request::{Fields, RequestView};

const ALLOW_ORIGIN: FieldName =
    FieldName::from_static("access-control-allow-origin", "Access-Control-Allow-Origin");
const ALLOW_METHODS: FieldName =
    FieldName::from_static("access-control-allow-methods", "Access-Control-Allow-Methods");
const ALLOW_HEADERS: FieldName =
    FieldName::from_static("access-control-allow-headers", "Access-Control-Allow-Headers");
const ALLOW_CREDENTIALS: FieldName = FieldName::from_static(
    "access-control-allow-credentials",
    "Access-Control-Allow-Credentials",
);
const EXPOSE_HEADERS: FieldName =
    FieldName::from_static("access-control-expose-headers", "Access-Control-Expose-Headers");
const MAX_AGE: FieldName = FieldName::from_static("access-control-max-age", "Access-Control-Max-Age");
const VARY_FIELD: FieldName = FieldName::from_static("vary", "Vary");

/// CORS of a route.
pub struct Cors {
    origins: CorsOrigins,
    /// All fields but `Access-Control-Allow-Origin`.
    fields: Box<[(FieldName, HeaderValue)]>,
}

impl Cors {
    pub(super) fn new(spec: &policy::Cors) -> Self {
        // Translation takes only what header values may hold.
        let value = |text: &str| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let mut fields = vec![
            (ALLOW_METHODS, value(&spec.methods)),
            (ALLOW_HEADERS, value(&spec.headers)),
            (MAX_AGE, HeaderValue::from(spec.max_age)),
        ];
        if spec.credentials {
            fields.push((ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        if let Some(expose) = &spec.expose {
            fields.push((EXPOSE_HEADERS, value(expose)));
        }
        Self {
            origins: spec.origins.clone(),
            fields: fields.into(),
        }
    }

    /// `Access-Control-Allow-Origin` for the answer to a request; `None`: no
    /// field at all.
    fn allowed_origin(&self, request: &dyn RequestView) -> Option<HeaderValue> {
        match &self.origins {
            CorsOrigins::Any => Some(HeaderValue::from_static("*")),
            CorsOrigins::List(allowed) => {
                let origin = request.header(&ORIGIN)?;
                let text = std::str::from_utf8(origin).ok()?;
                let matches = allowed.iter().any(|allowed| matches(allowed, text));
                matches.then(|| HeaderValue::from_bytes(origin).ok()).flatten()
            }
        }
    }

    /// Answers preflights: every `OPTIONS` of an allowed origin, as
    /// ingress-nginx does; the fields come with [`Cors::on_response`].
    pub(super) fn on_request(&self, facts: &Facts<'_>) -> Flow {
        if *facts.request.method() != Method::OPTIONS || self.allowed_origin(facts.request).is_none() {
            return Flow::Continue;
        }
        Flow::Respond(Reply {
            body: Some(ReplyBody {
                content_type: HeaderValue::from_static("text/plain charset=UTF-8"),
                bytes: Bytes::new(),
            }),
            ..Reply::status(StatusCode::NO_CONTENT)
        })
    }

    /// Replaces the backend's fields where the origin is allowed, on every
    /// status. Where answers depend on the origin, caches are told.
    pub(super) fn on_response(&self, answer: &Answer<'_>, fields: &mut dyn Fields) {
        if matches!(self.origins, CorsOrigins::List(_)) && !varies_by_origin(fields) {
            fields.append(&VARY_FIELD, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.allowed_origin(answer.request) else {
            return;
        };
        fields.set(&ALLOW_ORIGIN, origin);
        for (name, value) in &self.fields {
            fields.set(name, value.clone());
        }
    }
}

fn varies_by_origin(fields: &dyn Fields) -> bool {
    let names = |value: &HeaderValue| {
        let mut names = value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
    };
    fields.values(&VARY).iter().any(names)
}

/// From end to end: `https://good.example.evil` is not `https://good.example`.
fn matches(allowed: &CorsOrigin, origin: &str) -> bool {
    match allowed {
        CorsOrigin::Exact(allowed) => allowed.eq_ignore_ascii_case(origin),
        CorsOrigin::Wildcard { scheme, suffix } => {
            let lower = origin.to_ascii_lowercase();
            lower
                .strip_prefix(&*scheme.to_ascii_lowercase())
                .and_then(|rest| rest.strip_suffix(&*suffix.to_ascii_lowercase()))
                .is_some_and(|label| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wildcard(scheme: &str, suffix: &str) -> CorsOrigin {
        CorsOrigin::Wildcard {
            scheme: scheme.into(),
            suffix: suffix.into(),
        }
    }

    #[test]
    fn origins_are_compared_from_end_to_end() {
        let exact = CorsOrigin::Exact("https://foo.bar.com".into());
        assert!(matches(&exact, "https://foo.bar.com"));
        assert!(matches(&exact, "HTTPS://Foo.bar.com"));
        for other in [
            "https://fooxbar.com",
            "https://foo.bar.com:8080",
            "http://foo.bar.com",
            "https://foo.bar.com.evil.com",
            "xhttps://foo.bar.com",
            "null",
        ] {
            assert!(!matches(&exact, other), "{other}");
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let star = wildcard("http://", ".origin.com:8080");
        assert!(matches(&star, "http://foo.origin.com:8080"));
        assert!(matches(&star, "http://Foo-bar.ORIGIN.com:8080"));
        for other in [
            "http://origin.com:8080",
            "http://.origin.com:8080",
            "http://a.b.origin.com:8080",
            "http://evil.com/x.origin.com:8080",
            "http://foo.origin.com",
            "https://foo.origin.com:8080",
        ] {
            assert!(!matches(&star, other), "{other}");
        }
    }
}
