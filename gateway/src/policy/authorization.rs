//! A Service that is asked about every request (Gateway API `ExternalAuth`):
//! what it is told, and what its answer means. Asking is the proxy's.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, LOCATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_snapshot::{FieldName, policy};

use super::{Reply, is_hearsay};
use crate::request::RequestView;

/// Fields of a connection or of a body: each request has its own.
const FRAMING: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// Fields of a refusal that the client gets.
const TOLD: [(HeaderName, FieldName); 3] = [
    (WWW_AUTHENTICATE, Reply::CHALLENGE),
    (LOCATION, FieldName::from_static("location", "Location")),
    (SET_COOKIE, FieldName::from_static("set-cookie", "Set-Cookie")),
];

/// The authorization of a route.
pub struct Authorization {
    spec: policy::Authorization,
}

/// What the service says.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Come in, with these fields for the backend.
    Granted(Vec<(HeaderName, HeaderValue)>),
    /// This answer.
    Refused(Reply),
}

impl Authorization {
    pub(super) fn new(spec: &policy::Authorization) -> Self {
        Self { spec: spec.clone() }
    }

    /// Path and query of the question.
    pub fn target(&self, request: &dyn RequestView) -> String {
        format!("{}{}", self.spec.prefix, request.uri())
    }

    /// Whether the service is told this field of the client.
    pub fn tells(&self, name: &HeaderName) -> bool {
        let is_asked_for = || self.spec.request_headers.iter().any(|field| field.name() == name);
        *name == AUTHORIZATION || (is_asked_for() && !is_framing(name) && !is_hearsay(name))
    }

    /// "Any other code is considered an authorization failure." The client is
    /// told it as the service says it where it can act upon it.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Judgement {
        if status == StatusCode::OK {
            let fields = headers.iter().filter(|(name, _)| self.passes_on(name));
            return Judgement::Granted(
                fields
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            );
        }
        let is_redirect = status.is_redirection() && headers.contains_key(LOCATION);
        let status = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => status,
            status if is_redirect => status,
            status if status.is_server_error() => return Judgement::failed(),
            _ => StatusCode::FORBIDDEN,
        };
        let mut reply = Reply::status(status);
        for (name, field) in &TOLD {
            for value in headers.get_all(name) {
                reply = reply.with(field.clone(), value.clone());
            }
        }
        Judgement::Refused(reply)
    }

    /// "If this list is empty, then all headers from the authorization server
    /// except Authority or Host must be copied": those of its body are not the
    /// request's.
    fn passes_on(&self, name: &HeaderName) -> bool {
        let wanted = &self.spec.response_headers;
        let is_wanted = match wanted.as_slice() {
            [] => !name.as_str().starts_with("content-"),
            wanted => wanted.iter().any(|field| field.name() == name),
        };
        is_wanted && !is_framing(name) && name.as_str() != "authority"
    }

    /// Fields that only the service may say: the client's own are taken away.
    pub fn reserved(&self) -> impl Iterator<Item = &HeaderName> {
        let names = self.spec.response_headers.iter().map(FieldName::name);
        names.filter(|name| !is_framing(name))
    }
}

impl Judgement {
    /// Where the service could not be asked.
    pub fn failed() -> Self {
        Self::Refused(Reply::status(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(response_headers: &[&str]) -> Authorization {
        let names = |names: &[&str]| names.iter().map(|name| FieldName::parse(name).unwrap()).collect();
        Authorization::new(&policy::Authorization {
            cluster: None,
            prefix: "/verify".into(),
            request_headers: names(&["X-Token", "Host", "Transfer-Encoding", "X-Forwarded-Proto"]),
            response_headers: names(response_headers),
        })
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        fields.collect()
    }

    #[test]
    fn only_what_is_allowed_is_told() {
        let authorization = authorization(&[]);
        let tells = |name: &'static str| authorization.tells(&HeaderName::from_static(name));
        assert!(tells("authorization") && tells("x-token"));
        for name in ["cookie", "host", "transfer-encoding", "x-forwarded-proto"] {
            assert!(!tells(name), "{name}");
        }
    }

    #[test]
    fn two_hundred_alone_lets_in() {
        let said = headers(&[
            ("x-user", "jane"),
            ("x-other", "1"),
            ("content-type", "text/plain"),
            ("host", "b"),
        ]);
        let granted = |wanted: &[&str]| match authorization(wanted).judge(StatusCode::OK, &said) {
            Judgement::Granted(fields) => fields.len(),
            Judgement::Refused(reply) => panic!("{reply:?}"),
        };
        assert_eq!(granted(&["X-User", "Host", "X-Missing"]), 1);
        assert_eq!(granted(&[]), 2);
    }

    #[test]
    fn refusals_are_told_and_failures_are_not() {
        let said = headers(&[("location", "/login"), ("x-secret", "1")]);
        let refused = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            match authorization(&[]).judge(status, &said) {
                Judgement::Refused(reply) => (reply.status.as_u16(), reply.fields.len()),
                Judgement::Granted(_) => (0, 0),
            }
        };
        assert_eq!(
            [401, 403, 429, 302].map(refused),
            [(401, 1), (403, 1), (429, 1), (302, 1)]
        );
        assert_eq!([201, 204, 404, 418].map(|status| refused(status).0), [403; 4]);
        assert_eq!([500, 503].map(refused), [(500, 0); 2]);
    }
}
