//! What the status of a GatewayClass claims: the features whose conformance tests
//! pass, as far as the cluster's definitions can express them.

use std::collections::{BTreeMap, BTreeSet};

use super::status::Condition;
use crate::gateway_api::{Definition, NEWEST_MINOR, minor};
use crate::objects::Kind;

/// A feature of the conformance suite.
struct Feature {
    name: &'static str,
    kind: Kind,
    /// The release (1.x) since which the standard channel can express it.
    standard: Option<u32>,
    /// The same of the experimental channel.
    experimental: u32,
}

const fn since(name: &'static str, kind: Kind, standard: u32, experimental: u32) -> Feature {
    Feature {
        name,
        kind,
        standard: Some(standard),
        experimental,
    }
}

const fn always(name: &'static str, kind: Kind) -> Feature {
    since(name, kind, 0, 0)
}

/// In the experimental channel only.
const fn experimental(name: &'static str, kind: Kind, experimental: u32) -> Feature {
    Feature {
        name,
        kind,
        standard: None,
        experimental,
    }
}

/// Only where Gateways have Services of their own, to which labels can go.
const INFRASTRUCTURE: &str = "GatewayInfrastructure";

/// Sorted by name, as the specification asks.
const FEATURES: &[Feature] = &[
    since("BackendTLSPolicy", Kind::BackendTLSPolicy, 4, 2),
    since("BackendTLSPolicySANValidation", Kind::BackendTLSPolicy, 4, 2),
    since("GRPCRoute", Kind::GRPCRoute, 1, 0),
    since("GRPCRouteNamedRouteRule", Kind::GRPCRoute, 4, 2),
    always("Gateway", Kind::Gateway),
    since("GatewayAddressEmpty", Kind::Gateway, 3, 3),
    since("GatewayBackendClientCertificate", Kind::Gateway, 5, 4),
    since("GatewayFrontendClientCertificateValidation", Kind::Gateway, 5, 4),
    since(
        "GatewayFrontendClientCertificateValidationInsecureFallback",
        Kind::Gateway,
        5,
        4,
    ),
    always("GatewayHTTPListenerIsolation", Kind::Gateway),
    always("GatewayHTTPSListenerDetectMisdirectedRequests", Kind::Gateway),
    since(INFRASTRUCTURE, Kind::Gateway, 2, 0),
    always("GatewayPort8080", Kind::Gateway),
    always("GatewayStaticAddresses", Kind::Gateway),
    always("HTTPRoute", Kind::HTTPRoute),
    since("HTTPRoute303RedirectStatusCode", Kind::HTTPRoute, 5, 5),
    since("HTTPRoute307RedirectStatusCode", Kind::HTTPRoute, 5, 5),
    since("HTTPRoute308RedirectStatusCode", Kind::HTTPRoute, 5, 5),
    always("HTTPRouteBackendProtocolH2C", Kind::HTTPRoute),
    always("HTTPRouteBackendProtocolWebSocket", Kind::HTTPRoute),
    always("HTTPRouteBackendRequestHeaderModification", Kind::HTTPRoute),
    since("HTTPRouteBackendTimeout", Kind::HTTPRoute, 2, 0),
    since("HTTPRouteCORS", Kind::HTTPRoute, 5, 3),
    since("HTTPRouteDestinationPortMatching", Kind::HTTPRoute, 1, 0),
    always("HTTPRouteHostRewrite", Kind::HTTPRoute),
    always("HTTPRouteMethodMatching", Kind::HTTPRoute),
    since("HTTPRouteNamedRouteRule", Kind::HTTPRoute, 4, 2),
    since("HTTPRouteParentRefPort", Kind::HTTPRoute, 1, 0),
    always("HTTPRoutePathRedirect", Kind::HTTPRoute),
    always("HTTPRoutePathRewrite", Kind::HTTPRoute),
    always("HTTPRoutePortRedirect", Kind::HTTPRoute),
    always("HTTPRouteQueryParamMatching", Kind::HTTPRoute),
    always("HTTPRouteRequestMirror", Kind::HTTPRoute),
    always("HTTPRouteRequestMultipleMirrors", Kind::HTTPRoute),
    since("HTTPRouteRequestPercentageMirror", Kind::HTTPRoute, 3, 2),
    since("HTTPRouteRequestTimeout", Kind::HTTPRoute, 2, 0),
    always("HTTPRouteResponseHeaderModification", Kind::HTTPRoute),
    experimental("HTTPRouteRetry", Kind::HTTPRoute, 2),
    experimental("HTTPRouteRetryBackendTimeout", Kind::HTTPRoute, 2),
    experimental("HTTPRouteRetryConnectionError", Kind::HTTPRoute, 2),
    always("HTTPRouteSchemeRedirect", Kind::HTTPRoute),
    since("ListenerSet", Kind::ListenerSet, 5, 5),
    always("ReferenceGrant", Kind::ReferenceGrant),
    since("TCPRoute", Kind::TCPRoute, 6, 0),
    since("TLSRoute", Kind::TLSRoute, 5, 0),
    // The suite files this and `HTTPRouteDestinationPortMatching` under the experimental
    // channel; the standard one has every field that they need, and without the claim
    // it demands that such listeners are refused.
    since("TLSRouteModeMixed", Kind::TLSRoute, 5, 0),
    since("TLSRouteModeTerminate", Kind::TLSRoute, 5, 0),
    since("UDPRoute", Kind::UDPRoute, 6, 0),
];

/// What can be claimed with these definitions, and `with_services` of Gateways.
pub(super) fn claimed(definitions: &BTreeMap<Kind, Definition>, with_services: bool) -> Vec<&'static str> {
    let can = |feature: &&Feature| {
        let definition = definitions.get(&feature.kind);
        definition.is_some_and(|definition| definition.has(feature.standard, feature.experimental))
            && (with_services || feature.name != INFRASTRUCTURE)
    };
    FEATURES.iter().filter(can).map(|feature| feature.name).collect()
}

/// `SupportedVersion`: "If implementations detect any Gateway API CRDs that either do
/// not have this annotation set, or have it set to a version that is not recognized or
/// supported by the implementation, this condition MUST be set to false." They are
/// served as far as they are understood all the same. `None`: nothing can be detected.
pub(super) fn supported_version(definitions: &BTreeMap<Kind, Definition>) -> Option<Condition> {
    let mut strange: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut any = false;
    for (kind, definition) in definitions {
        let Definition::Read { version, .. } = definition else {
            continue;
        };
        any = true;
        if minor(version).is_none_or(|minor| minor > NEWEST_MINOR) {
            strange.entry(version).or_default().insert(kind.as_str());
        }
    }
    if strange.is_empty() {
        return any.then(|| Condition::holds("SupportedVersion", "SupportedVersion"));
    }
    let found = strange.into_iter().map(|(version, kinds)| {
        let version = if version.is_empty() { "none" } else { version };
        let kinds: Vec<_> = kinds.into_iter().collect();
        format!("{version} ({})", kinds.join(", "))
    });
    let found: Vec<_> = found.collect();
    let message = format!(
        "versions of CRDs: {}; supported are v1.0 to v1.{NEWEST_MINOR}",
        found.join(", ")
    );
    Some(Condition::fails(
        "SupportedVersion",
        "UnsupportedVersion",
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(experimental: bool, version: &str) -> BTreeMap<Kind, Definition> {
        let definition = Definition::Read {
            experimental,
            version: version.to_owned(),
        };
        let kinds = Kind::GATEWAY_API.iter();
        kinds.map(|kind| (*kind, definition.clone())).collect()
    }

    /// What the channels of the newest release differ in.
    const EXPERIMENTAL: [&str; 3] = [
        "HTTPRouteRetry",
        "HTTPRouteRetryBackendTimeout",
        "HTTPRouteRetryConnectionError",
    ];

    #[test]
    fn features_are_those_of_the_channel() {
        let names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        assert!(names.is_sorted());
        assert_eq!(claimed(&all(true, "v1.6.3"), true), names);
        let missing = |definitions, with_services| -> Vec<_> {
            let claimed = claimed(&definitions, with_services);
            let mut names = names.clone();
            names.retain(|name| !claimed.contains(name));
            names
        };
        assert_eq!(missing(all(false, "v1.6.3"), true), EXPERIMENTAL);
        assert_eq!(missing(all(true, "v1.6.3"), false), [INFRASTRUCTURE]);
    }

    #[test]
    fn features_are_those_of_the_release_and_of_the_kinds_that_there_are() {
        let mut old = all(false, "v1.1.0");
        old.retain(|kind, _| matches!(kind, Kind::Gateway | Kind::HTTPRoute | Kind::GRPCRoute));
        let claimed = claimed(&old, false);
        for absent in [
            "TCPRoute",
            "ReferenceGrant",
            "HTTPRouteCORS",
            "HTTPRouteRequestTimeout",
            "HTTPRouteNamedRouteRule",
        ] {
            assert!(!claimed.contains(&absent), "{absent}");
        }
        for present in ["GRPCRoute", "HTTPRoute", "HTTPRouteParentRefPort"] {
            assert!(claimed.contains(&present), "{present}");
        }
    }

    #[test]
    fn without_a_look_at_the_definitions_the_standard_channel_is_claimed() {
        let kinds = Kind::GATEWAY_API.iter();
        let hidden = kinds.map(|kind| (*kind, Definition::Hidden)).collect();
        assert_eq!(claimed(&hidden, false), claimed(&all(false, "v1.6.3"), false));
        assert_eq!(supported_version(&hidden), None);
    }

    #[test]
    fn a_release_that_is_not_known_is_told() {
        let told = |definitions: &BTreeMap<Kind, Definition>| {
            let condition = supported_version(definitions).unwrap();
            (condition.status, condition.reason, condition.message)
        };
        let mut definitions = all(false, "v1.5.0");
        assert_eq!(told(&definitions), (true, "SupportedVersion", String::new()));
        let strange = Definition::Read {
            experimental: false,
            version: "v1.7.0".to_owned(),
        };
        definitions.insert(Kind::HTTPRoute, strange);
        definitions.insert(Kind::TCPRoute, Definition::new(&BTreeMap::new()));
        let message = "versions of CRDs: none (TCPRoute), v1.7.0 (HTTPRoute); supported are v1.0 to v1.6";
        assert_eq!(
            told(&definitions),
            (false, "UnsupportedVersion", message.to_owned())
        );
    }
}
