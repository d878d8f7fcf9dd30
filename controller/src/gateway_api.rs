//! The kinds of Gateway API (`gateway.networking.k8s.io`), as far as they are
//! read.
//!
//! Our own types, not generated ones, because a list of objects must survive
//! any one of them: a value that a newer release has added, or a spec that
//! makes no sense, concerns its own object alone. Every enumeration is
//! therefore a text here, judged in translation, and one type stands for the
//! same thing in every kind and version of the API.

mod definition;
mod gateway;
mod policy;
mod route;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::objects::{self, Unread};

pub use definition::{Definition, NEWEST_MINOR, minor};
pub use gateway::{
    AllowedListeners, AllowedRoutes, BackendCertificate, Frontend, FrontendPort, FrontendTls,
    FrontendValidation, GatewayAddress, GatewayClassSpec, GatewaySpec, GatewayTls, Infrastructure, Listener,
    ListenerSetSpec, ListenerTls, NamespaceFilter, RouteGroupKind,
};
pub use policy::{
    BackendTLSPolicySpec, GrantFrom, GrantTo, PolicyTarget, ReferenceGrantSpec, SubjectAltName, Validation,
};
pub use route::{
    BackendRef, CookieConfig, Filter, FilterCors, FilterExternalAuth, FilterHeaders, FilterMirror,
    FilterRedirect, FilterRewrite, ForwardBody, Fraction, GRPCAuth, GRPCMethodMatch, GRPCRouteMatch,
    GRPCRouteRule, GRPCRouteSpec, HTTPAuth, HTTPHeader, HTTPPathMatch, HTTPRetry, HTTPRouteMatch,
    HTTPRouteRule, HTTPRouteSpec, HTTPTimeouts, NamedMatch, ParentRef, PathModifier, SessionPersistence,
    StreamRouteRule, StreamRouteSpec,
};

/// The API group.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// The API group with its stable version.
pub const GROUP_VERSION: &str = "gateway.networking.k8s.io/v1";

/// `GatewayClass`
pub type GatewayClass = Custom<GatewayClassSpec>;
/// `Gateway`
pub type Gateway = Custom<GatewaySpec>;
/// `ListenerSet`
pub type ListenerSet = Custom<ListenerSetSpec>;
/// `HTTPRoute`
pub type HTTPRoute = Custom<HTTPRouteSpec>;
/// `GRPCRoute`
pub type GRPCRoute = Custom<GRPCRouteSpec>;
/// `TLSRoute`
pub type TLSRoute = Custom<TLSRouteSpec>;
/// `TCPRoute`
pub type TCPRoute = Custom<TCPRouteSpec>;
/// `UDPRoute`
pub type UDPRoute = Custom<UDPRouteSpec>;
/// The spec of a TLSRoute.
pub type TLSRouteSpec = StreamRouteSpec<route::Tls>;
/// The spec of a TCPRoute.
pub type TCPRouteSpec = StreamRouteSpec<route::Tcp>;
/// The spec of a UDPRoute.
pub type UDPRouteSpec = StreamRouteSpec<route::Udp>;
/// `ReferenceGrant`
pub type ReferenceGrant = Custom<ReferenceGrantSpec>;
/// `BackendTLSPolicy`
pub type BackendTLSPolicy = Custom<BackendTLSPolicySpec>;

/// An object of a custom resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom<S> {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its `spec`, or why that cannot be read.
    pub spec: Result<S, Unreadable>,
    /// Its `status` as it is; null without one.
    pub status: Value,
}

/// A `spec` that makes no sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// Why not.
    pub error: Unread,
    /// Of a route, what it attaches to, as far as that can be read: these must be told.
    pub parents: Box<[Arc<ParentRef>]>,
}

impl Unreadable {
    fn new(spec: &Value, error: Unread) -> Self {
        let parents = spec.get("parentRefs").and_then(Value::as_array);
        let parents = parents.into_iter().flatten();
        Self {
            error,
            parents: parents
                .filter_map(|parent| Arc::deserialize(parent).ok())
                .collect(),
        }
    }
}

impl<S> Custom<S> {
    /// Seconds since 1970 at which it was created; one without a time (from a
    /// file) is the oldest.
    pub fn created(&self) -> i64 {
        let time = self.metadata.creation_timestamp.as_ref();
        time.map_or(i64::MIN, |time| time.0.as_second())
    }

    /// Counts the changes of its spec; 0 in a file.
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

impl<'de, S: DeserializeOwned> Deserialize<'de> for Custom<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Raw {
            metadata,
            spec,
            status,
        } = Raw::deserialize(deserializer)?;
        let spec = if spec.is_null() {
            Value::Object(serde_json::Map::new())
        } else {
            spec
        };
        Ok(Self {
            metadata,
            spec: objects::spec(&spec).map_err(|error| Unreadable::new(&spec, error)),
            status,
        })
    }
}

/// The versions that `spec` can be read from, the one that is asked for first
/// in front.
pub fn versions(kind: &str) -> &'static [&'static str] {
    match kind {
        "GatewayClass" | "Gateway" | "HTTPRoute" | "ReferenceGrant" => &["v1", "v1beta1"],
        "GRPCRoute" => &["v1", "v1alpha2"],
        "TLSRoute" => &["v1", "v1alpha3", "v1alpha2"],
        "TCPRoute" | "UDPRoute" => &["v1", "v1alpha2"],
        "BackendTLSPolicy" => &["v1", "v1alpha3"],
        _ => &["v1"],
    }
}

/// Sorts versions, the most stable one first.
pub fn rank(version: &str) -> (u8, std::cmp::Reverse<u32>) {
    let number = |text: &str| std::cmp::Reverse(text.parse().unwrap_or_default());
    let rest = version.strip_prefix('v').unwrap_or(version);
    match (rest.split_once("beta"), rest.split_once("alpha")) {
        (Some((_, beta)), _) => (1, number(beta)),
        (None, Some((_, alpha))) => (2, number(alpha)),
        (None, None) => (0, number(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ranked_by_stability() {
        let mut versions = ["v1alpha2", "v1", "v1alpha3", "v1beta1"];
        versions.sort_by_key(|version| rank(version));
        assert_eq!(versions, ["v1", "v1beta1", "v1alpha3", "v1alpha2"]);
    }

    #[test]
    fn a_spec_that_makes_no_sense_concerns_its_own_object_alone() {
        let list: Vec<HTTPRoute> = serde_json::from_value(serde_json::json!([
            {"metadata": {"name": "bad"}, "spec": {"rules": "none"}},
            {"metadata": {"name": "good"}, "spec": {"hostnames": ["a"], "fromTheFuture": 1}},
        ]))
        .unwrap();
        assert_eq!(
            list[0].spec.as_ref().unwrap_err().error.to_string(),
            "`spec.rules`: invalid type: string \"none\", expected a sequence"
        );
        assert_eq!(list[1].spec.as_ref().unwrap().hostnames[..], ["a"]);
    }
}
