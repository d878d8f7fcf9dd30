//! Cross-origin resource sharing (Fetch standard, §3.2).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS as REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD as REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::{self, CorsOrigin, CorsOrigins, CorsStyle};

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
    style: CorsStyle,
    /// Told to preflights, or with every answer ([`CorsStyle`]).
    preflight: Box<[(FieldName, HeaderValue)]>,
    /// Of every answer, without `Access-Control-Allow-Origin`.
    always: Box<[(FieldName, HeaderValue)]>,
}

impl Cors {
    pub(super) fn new(spec: &policy::Cors) -> Self {
        // Translation takes only what header values may hold.
        let value = |text: &str| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let mut preflight = vec![
            (ALLOW_METHODS, value(&spec.methods)),
            (ALLOW_HEADERS, value(&spec.headers)),
            (MAX_AGE, HeaderValue::from(spec.max_age)),
        ];
        if spec.style != CorsStyle::IngressNginx {
            preflight.retain(|(_, value)| !value.is_empty());
        }
        let mut always = Vec::new();
        if spec.credentials {
            always.push((ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        }
        if let Some(expose) = &spec.expose {
            always.push((EXPOSE_HEADERS, value(expose)));
        }
        Self {
            origins: spec.origins.clone(),
            style: spec.style,
            preflight: preflight.into(),
            always: always.into(),
        }
    }

    /// `Access-Control-Allow-Origin` for the answer to a request; `None`: no
    /// field at all.
    fn allowed_origin(&self, request: &dyn RequestView) -> Option<HeaderValue> {
        let origin = || HeaderValue::from_bytes(request.header(&ORIGIN)?).ok();
        match &self.origins {
            CorsOrigins::Any => Some(HeaderValue::from_static("*")),
            CorsOrigins::Every => origin(),
            CorsOrigins::List(allowed) => {
                let text = std::str::from_utf8(request.header(&ORIGIN)?).ok()?;
                let text = match self.style {
                    CorsStyle::IngressNginx => text,
                    CorsStyle::Fetch { .. } => without_default_port(text),
                };
                let matches = allowed.iter().any(|allowed| matches(allowed, text));
                matches.then(origin).flatten()
            }
        }
    }

    fn is_preflight(&self, request: &dyn RequestView) -> bool {
        let is_asking = *request.method() == Method::OPTIONS;
        is_asking
            && match self.style {
                CorsStyle::IngressNginx => self.allowed_origin(request).is_some(),
                CorsStyle::Fetch { .. } => {
                    request.header(&ORIGIN).is_some() && request.header(&REQUEST_METHOD).is_some()
                }
            }
    }

    /// Answers preflights; the fields come with [`Cors::on_response`].
    pub(super) fn on_request(&self, facts: &Facts<'_>) -> Flow {
        if !self.is_preflight(facts.request) {
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
        if self.origins != CorsOrigins::Any && !varies_by_origin(fields) {
            fields.append(&VARY_FIELD, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.allowed_origin(answer.request) else {
            return;
        };
        fields.set(&ALLOW_ORIGIN, origin);
        for (name, value) in &self.always {
            fields.set(name, value.clone());
        }
        if self.style == CorsStyle::IngressNginx || self.is_preflight(answer.request) {
            for (name, value) in &self.preflight {
                fields.set(name, value.clone());
            }
            self.repeat(answer.request, fields);
        }
    }

    /// Tells what is asked for, where all is allowed but `*` would be taken
    /// literally.
    fn repeat(&self, request: &dyn RequestView, fields: &mut dyn Fields) {
        let CorsStyle::Fetch {
            repeat_method,
            repeat_headers,
        } = self.style
        else {
            return;
        };
        let wanted = [
            (repeat_method, &ALLOW_METHODS, &REQUEST_METHOD),
            (repeat_headers, &ALLOW_HEADERS, &REQUEST_HEADERS),
        ];
        for (_, name, asked) in wanted.into_iter().filter(|(repeats, ..)| *repeats) {
            let asked = request.header(asked);
            if let Some(value) = asked.and_then(|asked| HeaderValue::from_bytes(asked).ok()) {
                fields.set(name, value);
            }
        }
    }
}

/// "If not included, port 80 is assumed for http scheme origins, and port 443 is
/// assumed for https origins."
fn without_default_port(origin: &str) -> &str {
    let default = match origin.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => ":80",
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => ":443",
        _ => return origin,
    };
    origin.strip_suffix(default).unwrap_or(origin)
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
        CorsOrigin::Wildcard { scheme, suffix } => is_between(origin, scheme, suffix, b"-"),
        CorsOrigin::Subdomains { scheme, suffix } => is_between(origin, scheme, suffix, b"-."),
    }
}

/// Whether there are only letters, digits and these between start and end.
fn is_between(origin: &str, start: &str, end: &str, more: &[u8]) -> bool {
    origin
        .to_ascii_lowercase()
        .strip_prefix(&*start.to_ascii_lowercase())
        .and_then(|rest| rest.strip_suffix(&*end.to_ascii_lowercase()))
        .is_some_and(|labels| {
            let mut bytes = labels.bytes();
            !labels.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        })
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

    #[test]
    fn a_star_of_gateway_api_is_any_number_of_labels() {
        let star = |suffix: &str| CorsOrigin::Subdomains {
            scheme: "https://".into(),
            suffix: suffix.into(),
        };
        assert!(matches(&star(".bar.com"), "https://a.b.bar.com"));
        assert!(matches(&star(""), "https://anything.test"));
        assert!(matches(&star(":8443"), "https://anything.test:8443"));
        for other in [
            "https://bar.com",
            "https://evil.com/.bar.com",
            "http://a.bar.com",
            "https://a@x.bar.com",
        ] {
            assert!(!matches(&star(".bar.com"), other), "{other}");
        }
        assert!(!matches(&star(""), "https://anything.test:8443"));
    }

    #[test]
    fn default_ports_mean_nothing() {
        assert_eq!(without_default_port("https://a.test:443"), "https://a.test");
        assert_eq!(without_default_port("http://a.test:80"), "http://a.test");
        assert_eq!(without_default_port("https://a.test:80"), "https://a.test:80");
        assert_eq!(without_default_port("null"), "null");
    }
}
