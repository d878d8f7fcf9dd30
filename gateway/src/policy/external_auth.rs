//! A service that is asked about every request (nginx `auth_request`): what it
//! is asked, and what its answer means. Asking is the proxy's.

mod answers;

use http::header::{AUTHORIZATION, CACHE_CONTROL, EXPIRES, SET_COOKIE, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::time::Duration;
use tidegate_snapshot::{FieldName, Variable, policy};

use super::Reply;
use super::access::Verdict;
use crate::template::{self, Values, filled};
pub use answers::Answers;
use answers::Ticket;

const X_ORIGINAL_URL: FieldName = FieldName::from_static("x-original-url", "X-Original-URL");
const X_ORIGINAL_METHOD: FieldName = FieldName::from_static("x-original-method", "X-Original-Method");
const X_ORIGINAL_URI: FieldName = FieldName::from_static("x-original-uri", "X-Original-URI");
const X_SCHEME: FieldName = FieldName::from_static("x-scheme", "X-Scheme");
const X_SENT_FROM: FieldName = FieldName::from_static("x-sent-from", "X-Sent-From");
const X_AUTH_REQUEST_REDIRECT: FieldName =
    FieldName::from_static("x-auth-request-redirect", "X-Auth-Request-Redirect");
/// An answer with more than this is not remembered.
const LARGEST_REMEMBERED: usize = 8 * 1024;
/// nginx `add_header`: where cookies go without `auth-always-set-cookie`.
const COOKIE_STATUSES: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

/// External authentication of a route.
pub struct ExternalAuth {
    spec: policy::ExternalAuth,
}

/// Where to ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    /// https.
    pub tls: bool,
    /// A name or an address.
    pub host: String,
    /// The scheme's, or the one that is written.
    pub port: u16,
    /// Host and port as written, for `Host`.
    pub authority: String,
    /// Path and query.
    pub target: String,
}

/// What the service said.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    status: StatusCode,
    challenge: Option<HeaderValue>,
    /// For the request to the backend; `None`: the service did not say it.
    fields: Vec<(HeaderName, Option<HeaderValue>)>,
    cookies: Vec<HeaderValue>,
}

impl Heard {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl ExternalAuth {
    pub(super) fn new(spec: &policy::ExternalAuth) -> Self {
        Self { spec: spec.clone() }
    }

    /// The method of the question.
    pub fn method(&self) -> Method {
        self.spec.method.clone().unwrap_or(Method::GET)
    }

    /// Where to ask about a request. `None`: what the request puts into the
    /// variables makes no URL.
    pub fn url(&self, values: &Values<'_>) -> Option<Url> {
        Url::parse(&filled(&self.spec.url, values))
    }

    /// Fields that are set in the question, besides those of every subrequest;
    /// an empty value takes the client's own away.
    pub fn fields(&self, values: &Values<'_>) -> Vec<(FieldName, HeaderValue)> {
        let request = values.request;
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static(""));
        let scheme: &[u8] = if request.is_tls() { b"https" } else { b"http" };
        let uri = request.uri().as_bytes();
        let url = [scheme, b"://", request.authority(), uri].concat();
        let redirect = match &self.spec.request_redirect {
            Some(text) => value(&filled(text, values)),
            None => value(uri),
        };
        let mut fields = vec![
            (X_ORIGINAL_URL, value(&url)),
            (X_ORIGINAL_METHOD, value(request.method().as_str().as_bytes())),
            (X_SENT_FROM, value(b"nginx-ingress-controller")),
            (X_AUTH_REQUEST_REDIRECT, redirect),
        ];
        if self.spec.method.is_some() {
            fields.push((X_ORIGINAL_URI, value(uri)));
            fields.push((X_SCHEME, value(request.scheme().as_bytes())));
        }
        let headers = self.spec.headers.iter();
        fields.extend(headers.map(|header| (header.name.clone(), value(&filled(&header.value, values)))));
        fields
    }

    /// What an answer says that matters.
    pub fn hear(&self, status: StatusCode, headers: &HeaderMap) -> Heard {
        let field = |name: &FieldName| (name.name().clone(), joined(headers, name.name()));
        Heard {
            status,
            challenge: headers.get(WWW_AUTHENTICATE).cloned(),
            fields: self.spec.response_headers.iter().map(field).collect(),
            cookies: headers.get_all(SET_COOKIE).iter().cloned().collect(),
        }
    }

    /// 2xx lets the request in, 401 and 403 are given to the client, anything
    /// else is a failure.
    pub fn verdict(&self, heard: &Heard) -> Verdict {
        match heard.status {
            status if status.is_success() => Verdict::Granted,
            StatusCode::UNAUTHORIZED => {
                let reply = Reply::status(StatusCode::UNAUTHORIZED);
                Verdict::Refused(match &heard.challenge {
                    Some(challenge) => reply.with(Reply::CHALLENGE, challenge.clone()),
                    None => reply,
                })
            }
            StatusCode::FORBIDDEN => Verdict::Refused(Reply::status(StatusCode::FORBIDDEN)),
            _ => Self::failed(),
        }
    }

    /// The verdict where the service could not be asked.
    pub fn failed() -> Verdict {
        Verdict::Failed(Reply::status(StatusCode::INTERNAL_SERVER_ERROR))
    }

    /// Where a client is sent instead of being told 401.
    pub fn signin(&self, values: &Values<'_>) -> Option<Reply> {
        let signin = self.spec.signin.as_ref()?;
        let mut location = Vec::new();
        template::fill(&signin.url, values, &mut location);
        if signin.append_target {
            let request = values.request;
            location.extend_from_slice(request.scheme().as_bytes());
            location.extend_from_slice(b"://");
            location.extend_from_slice(request.authority());
            template::escape(request.uri().as_bytes(), &mut location);
        }
        Some(match String::from_utf8(location) {
            Ok(location) => Reply::redirect(StatusCode::FOUND, location),
            Err(_) => Reply::status(StatusCode::BAD_REQUEST),
        })
    }

    /// The fields of the request to the backend that only the service may set:
    /// what it said, or nothing.
    pub fn forwarded<'a>(
        &'a self,
        heard: Option<&'a Heard>,
    ) -> impl Iterator<Item = (&'a FieldName, Option<&'a HeaderValue>)> {
        self.spec.response_headers.iter().map(move |name| {
            let said = heard.and_then(|heard| heard.fields.iter().find(|(field, _)| field == name.name()));
            (name, said.and_then(|(_, value)| value.as_ref()))
        })
    }

    /// The service's cookies, where an answer of this status takes them along.
    pub fn cookies<'a>(&self, heard: &'a Heard, status: StatusCode) -> &'a [HeaderValue] {
        if self.spec.always_set_cookie || COOKIE_STATUSES.contains(&status.as_u16()) {
            &heard.cookies
        } else {
            &[]
        }
    }

    /// Where the answer about a request is remembered; `None`: nowhere.
    pub fn ticket(&self, values: &Values<'_>) -> Option<Ticket> {
        let cache = self.spec.cache.as_ref()?;
        let (origin, path) = values.route?;
        // A name that anybody may claim is worth no more than its password.
        let claim = if cache.key.has(&Variable::RemoteUser) {
            values.request.header(&AUTHORIZATION).unwrap_or_default()
        } else {
            b""
        };
        Some(Ticket::new(&[
            origin.namespace.as_bytes(),
            origin.name.as_bytes(),
            values.request.host().as_bytes(),
            path.as_bytes(),
            &filled(&cache.key, values),
            claim,
        ]))
    }

    /// For how long an answer may be remembered, by nginx's rules for caches; in
    /// doubt not at all.
    pub fn lifetime(&self, heard: &Heard, headers: &HeaderMap) -> Option<Duration> {
        let cache = self.spec.cache.as_ref()?;
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let varies = [SET_COOKIE, VARY].iter().any(|name| headers.contains_key(name));
        if varies || size > LARGEST_REMEMBERED {
            return None;
        }
        let control = joined(headers, &CACHE_CONTROL);
        if let Some(control) = &control {
            return max_age(control.to_str().ok()?);
        }
        if headers.contains_key(EXPIRES) {
            return None;
        }
        let status = heard.status.as_u16();
        let holds = |statuses: &[u16]| statuses.is_empty() || statuses.contains(&status);
        let known = cache.durations.iter().find(|entry| holds(&entry.statuses))?;
        (!known.duration.is_zero()).then_some(known.duration)
    }
}

/// What `Cache-Control` allows; `None`: nothing.
fn max_age(control: &str) -> Option<Duration> {
    let mut age = None;
    for directive in control.split(',').map(str::trim) {
        let lower = directive.to_ascii_lowercase();
        if ["no-cache", "no-store", "private"]
            .iter()
            .any(|no| lower.starts_with(no))
        {
            return None;
        }
        if let Some(seconds) = lower.strip_prefix("max-age=") {
            age = Some(seconds.parse().ok()?);
        }
    }
    age.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// All fields of a name as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let mut list = first.as_bytes().to_vec();
    for value in values {
        list.extend_from_slice(b", ");
        list.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&list).ok()
}

impl Url {
    /// Bytes that cannot stand in a URL are percent-encoded.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut text = String::with_capacity(bytes.len());
        for &byte in bytes {
            match byte {
                0..=b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7F.. => {
                    text.push_str(&format!("%{byte:02X}"));
                }
                byte => text.push(byte.into()),
            }
        }
        let uri = Uri::try_from(text).ok()?;
        let tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        // What stands before the host would be somebody's trick.
        let after = authority.as_str().strip_prefix(authority.host())?;
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if tls => 443,
            None => 80,
        };
        (!authority.host().is_empty()).then(|| Self {
            tls,
            host: authority.host().to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            target: uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
        })
    }
}

/// Whether a field of the client may never reach the service: it would say what
/// only a proxy may say.
pub fn is_hearsay(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-uri"
            | "x-forwarded-method"
            | "x-forwarded-proto"
    ) || name.as_str().starts_with("ssl-client-")
}

#[cfg(test)]
mod tests;
