use std::time::Duration;

use http::Method;
use serde::{Serialize, Serializer};

use crate::{FieldName, Text};

/// A service that is asked about every request (`auth-url`): an answer of 2xx
/// lets the request pass, 401 and 403 are given to the client, all else is 500.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalAuth {
    /// Where to ask: an http or https URL.
    pub url: Text,
    /// `auth-method`; `None`: GET.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "display_option")]
    pub method: Option<Method>,
    /// `auth-signin`: where clients go instead of being told 401, and the query
    /// parameter that takes the URL they wanted (`auth-signin-redirect-param`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signin: Option<Signin>,
    /// `auth-response-headers`: fields of its answer that replace those of the
    /// request to the backend.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<FieldName>,
    /// `auth-proxy-set-headers`: more fields of the question.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderText>,
    /// `auth-request-redirect`: `X-Auth-Request-Redirect` of the question;
    /// `None`: the request's URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_redirect: Option<Text>,
    /// `auth-cache-key`, `auth-cache-duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<AuthCache>,
    /// `auth-always-set-cookie`: its cookies go to the client with every
    /// status, not only with 2xx and 3xx.
    pub always_set_cookie: bool,
}

/// Where to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signin {
    /// The URL up to the parameter's value, or all of it.
    pub url: Text,
    /// Append the URL that was asked for, percent-encoded.
    pub append_target: bool,
}

/// A header field whose value is a text with variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderText {
    /// Its name.
    pub name: FieldName,
    /// Its value.
    pub value: Text,
}

/// How answers of the service are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthCache {
    /// With host and path of the route: what makes two questions the same.
    pub key: Text,
    /// Statuses and how long each holds; the first that names a status counts.
    pub durations: Vec<CacheDuration>,
}

/// How long answers are remembered (nginx `proxy_cache_valid`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheDuration {
    /// Empty: any.
    pub statuses: Vec<u16>,
    /// How long.
    pub duration: Duration,
}

fn display_option<S: Serializer>(value: &Option<Method>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(method) => serializer.collect_str(method),
        None => serializer.serialize_none(),
    }
}
