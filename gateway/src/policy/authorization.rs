//! A Service that is asked about every request (Gateway API `ExternalAuth`):
//! what it is told, and what its answer means. Asking is the proxy's.

mod grant;
mod grpc;
mod messages;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, LOCATION, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, StatusCode};
use tidegate_snapshot::policy::AuthorizationProtocol;
use tidegate_snapshot::{FieldName, policy};

use super::{Reply, is_hearsay};
use crate::request::RequestView;

use grant::Change;
pub use grant::Grant;
pub use grpc::Question;

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
    /// Come in, with these changes.
    Granted(Grant),
    /// This answer.
    Refused(Reply),
}

impl Authorization {
    pub(super) fn new(spec: &policy::Authorization) -> Self {
        Self { spec: spec.clone() }
    }

    /// Whether it is asked over gRPC.
    pub fn is_grpc(&self) -> bool {
        self.spec.protocol == AuthorizationProtocol::Grpc
    }

    /// How many bytes of the body it is told.
    pub fn body(&self) -> usize {
        self.spec.body.into()
    }

    /// Path and query of the question over HTTP.
    pub fn target(&self, request: &dyn RequestView) -> String {
        match &self.spec.protocol {
            AuthorizationProtocol::Http { prefix, .. } => format!("{prefix}{}", request.uri()),
            AuthorizationProtocol::Grpc => Self::CHECK.to_owned(),
        }
    }

    /// Whether the service is told this field of the client.
    pub fn tells(&self, name: &HeaderName) -> bool {
        let fields = &self.spec.request_headers;
        let is_asked_for = || fields.iter().any(|field| field.name() == name);
        if self.is_grpc() {
            // Facts of a message, not fields of the question: framing may be told.
            return (fields.is_empty() || is_asked_for()) && !is_hearsay(name);
        }
        *name == AUTHORIZATION || (is_asked_for() && !is_framing(name) && !is_hearsay(name))
    }

    /// "Any other code is considered an authorization failure." The client is
    /// told it as the service says it where it can act upon it.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Judgement {
        if status == StatusCode::OK {
            return Judgement::Granted(self.grant(headers));
        }
        let is_redirect = status.is_redirection() && headers.contains_key(LOCATION);
        let status = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => status,
            status if is_redirect => status,
            status if status.is_server_error() => return Judgement::Refused(Judgement::failed()),
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

    /// What the service does not say of the fields that are its to say, the client
    /// must not say either.
    fn grant(&self, headers: &HeaderMap) -> Grant {
        let reserved = self.response_headers().iter().map(FieldName::name);
        let reserved = reserved.filter(|name| !is_framing(name));
        let said = || headers.keys().filter(|name| self.passes_on(name));
        let removed = reserved.chain(said()).map(|name| Change::Remove(name.clone()));
        let added = said().flat_map(|name| {
            let field = FieldName::parse(name.as_str());
            let values = headers.get_all(name).iter().cloned();
            values.filter_map(move |value| Some(Change::Append(field.clone()?, value)))
        });
        Grant {
            request: removed.chain(added).collect(),
            ..Grant::default()
        }
    }

    /// "If this list is empty, then all headers from the authorization server
    /// except Authority or Host must be copied": those of its body are not the
    /// request's.
    fn passes_on(&self, name: &HeaderName) -> bool {
        let is_wanted = match self.response_headers() {
            [] => !name.as_str().starts_with("content-"),
            wanted => wanted.iter().any(|field| field.name() == name),
        };
        is_wanted && !is_framing(name) && name.as_str() != "authority"
    }

    fn response_headers(&self) -> &[FieldName] {
        match &self.spec.protocol {
            AuthorizationProtocol::Http { response_headers, .. } => response_headers,
            AuthorizationProtocol::Grpc => &[],
        }
    }
}

impl Judgement {
    /// The answer where the service could not be asked.
    pub fn failed() -> Reply {
        Reply::status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::request::fixtures::Head;

    fn authorization(response_headers: &[&str]) -> Authorization {
        let names = |names: &[&str]| names.iter().map(|name| FieldName::parse(name).unwrap()).collect();
        Authorization::new(&policy::Authorization {
            cluster: None,
            protocol: AuthorizationProtocol::Http {
                prefix: "/verify".into(),
                response_headers: names(response_headers),
            },
            request_headers: names(&["X-Token", "Host", "Transfer-Encoding", "X-Forwarded-Proto"]),
            body: 0,
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
            Judgement::Granted(grant) => {
                let mut head = Head::new(&[("x-missing", "forged"), ("x-user", "forged")]);
                grant.request.iter().for_each(|change| change.apply(&mut head));
                head.pairs()
            }
            Judgement::Refused(reply) => panic!("{reply:?}"),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            granted(&["X-User", "Host", "X-Missing"]),
            [pair("x-user", "jane")]
        );
        assert_eq!(
            granted(&[]),
            [
                pair("x-missing", "forged"),
                pair("x-other", "1"),
                pair("x-user", "jane")
            ]
        );
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
