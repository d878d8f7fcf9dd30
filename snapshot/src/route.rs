//! Virtual hosts and routes.

mod canary;

use std::sync::Arc;

use http::{HeaderName, Method};
use serde::{Serialize, Serializer};

use crate::{ClientAuth, ClusterKey, Hostname, ObjectRef, Pattern, Policies, TlsSettings};

pub use canary::{Canary, CanaryHeader, CanaryValue};

/// All routes of one host name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualHost {
    /// The name it answers to.
    pub hostname: Hostname,
    /// In precedence order: the first whose [`RouteMatch`] holds answers. An
    /// index over them is an optimisation and must never change the answer.
    pub routes: Vec<Arc<Route>>,
    /// What is demanded of its clients' certificates. `None`: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<Arc<ClientAuth>>,
    /// How handshakes for its names go, where not as everywhere
    /// (`ssl-ciphers`, `ssl-prefer-server-ciphers`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<TlsSettings>>,
}

/// One rule: what it matches, what it does, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The condition.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// What happens to a request that it matches.
    pub action: Action,
    /// What else applies; see [`Policies`] for the order.
    pub policies: Arc<Policies>,
    /// The object that the route comes from; logs and metrics name it.
    pub origin: ObjectRef,
    /// The path as the object wrote it (`$location_path` of ingress-nginx).
    pub path: Arc<str>,
}

/// A condition on a request: all of its parts must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteMatch {
    /// On the normalised path (percent-decoded, `//` merged, dots resolved).
    pub path: PathMatch,
    /// On more than the path, which few routes ask for.
    #[serde(flatten)]
    pub request: Option<Box<RequestMatch>>,
}

/// A condition on what a request has beside its path: all of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestMatch {
    /// On the method. `None`: any.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "display_option")]
    pub method: Option<Method>,
    /// On header fields: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// On query parameters: all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryMatch>,
}

impl RouteMatch {
    /// A condition on the path alone, as Ingress has.
    pub fn path(path: PathMatch) -> Self {
        Self { path, request: None }
    }

    /// A condition on more than the path; one that asks for nothing is none.
    pub fn new(path: PathMatch, request: RequestMatch) -> Self {
        let request = (request != RequestMatch::default()).then(|| Box::new(request));
        Self { path, request }
    }
}

/// How a path is compared; case-sensitive but for the last two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum PathMatch {
    /// The whole path.
    Exact(Box<str>),
    /// Whole path elements: `/foo` covers `/foo`, `/foo/` and `/foo/bar`, not
    /// `/foobar`. Without a trailing slash; `/` is kept as the empty text and
    /// covers everything (Ingress v1 `Prefix`, Gateway API `PathPrefix`).
    Prefix(Box<str>),
    /// What lies below: `/foo/` covers `/foo/` and `/foo/bar`, not `/foo`
    /// (an nginx location that ends in a slash). With the trailing slash.
    Below(Box<str>),
    /// The start of the path, without regard to ASCII case and to path
    /// elements: a regular expression of a regex host that is plain text.
    StartsWith(Box<str>),
    /// A regular expression; anchoring is its own affair.
    Regex(Pattern),
}

/// A condition on one header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderMatch {
    /// The field's name.
    #[serde(serialize_with = "display")]
    pub name: HeaderName,
    /// On its value; several fields of one name are joined by commas first.
    pub value: TextMatch,
}

/// A condition on one query parameter (its first occurrence).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryMatch {
    /// The parameter's name, case-sensitive.
    pub name: Box<str>,
    /// On its value.
    pub value: TextMatch,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TextMatch {
    /// The same text.
    Exact(Box<str>),
    /// A regular expression anywhere in it.
    Regex(Pattern),
}

/// What a route does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Forward to one of several clusters, by weight. Never empty.
    Forward(Vec<WeightedCluster>),
    /// Forward to a main cluster or to its canary.
    Canary(Box<Canary>),
    /// Answer 301 to the same URL with a slash added to the path: nginx does
    /// so for a location `/foo/` that has no twin `/foo`.
    AddTrailingSlash,
    /// Answer 302 to this path of the same host (`app-root`).
    AppRoot(Box<str>),
    /// Redirect to the same URI of another host (`from-to-www-redirect`).
    OtherHost {
        /// Its name.
        host: Arc<str>,
        /// 301, 302, 307 or 308 (`http-redirect-code`).
        status: u16,
    },
    /// Answer this status with a short page of our own.
    Respond(u16),
}

/// A share of a traffic split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The cluster. One that a snapshot does not define answers 503.
    pub cluster: ClusterKey,
    /// Its share of the sum of all weights; 0 gets nothing.
    pub weight: u32,
    /// What is answered while the cluster has no endpoint.
    #[serde(skip_serializing_if = "Otherwise::is_unavailable")]
    pub otherwise: Otherwise,
    /// What applies to this share in place of the route's policies (filters of
    /// a single backend, Gateway API).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Arc<Policies>>,
}

impl WeightedCluster {
    /// The whole of the traffic, or a share of it, without policies of its own.
    pub fn new(cluster: ClusterKey, weight: u32) -> Self {
        Self {
            cluster,
            weight,
            otherwise: Otherwise::default(),
            policies: None,
        }
    }
}

/// What is answered in place of a cluster without an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Otherwise {
    /// 503.
    #[default]
    Unavailable,
    /// 500: what the object refers to is not there, or not its to use (Gateway
    /// API, "invalid BackendRefs").
    Invalid,
    /// 404: the answer of the built-in default backend, which stands in for the
    /// Service of `--default-backend-service`.
    NotFound,
}

impl Otherwise {
    fn is_unavailable(&self) -> bool {
        *self == Self::Unavailable
    }
}

fn display<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn display_option<S: Serializer>(value: &Option<Method>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(method) => serializer.collect_str(method),
        None => serializer.serialize_none(),
    }
}
