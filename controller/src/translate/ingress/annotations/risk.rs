//! How much harm each annotation can do in ingress-nginx (column "Risk" of the
//! annotations reference).

use crate::options::Risk;

/// The risk of an annotation; one that is not named here has a low one.
pub(super) fn of(name: &str) -> Risk {
    let listed = |list: &[&str]| list.binary_search(&name).is_ok();
    if listed(&CRITICAL) {
        Risk::Critical
    } else if listed(&HIGH) {
        Risk::High
    } else if listed(&MEDIUM) {
        Risk::Medium
    } else {
        Risk::Low
    }
}

const CRITICAL: [&str; 5] = [
    "auth-snippet",
    "configuration-snippet",
    "modsecurity-snippet",
    "server-snippet",
    "stream-snippet",
];

const HIGH: [&str; 10] = [
    "auth-signin",
    "auth-tls-error-page",
    "auth-tls-match-cn",
    "auth-url",
    "mirror-host",
    "mirror-target",
    "modsecurity-transaction-id",
    "proxy-ssl-name",
    "server-alias",
    "upstream-hash-by",
];

#[rustfmt::skip]
const MEDIUM: [&str; 46] = [
    "affinity-mode", "allowlist-source-range", "app-root", "auth-cache-duration", "auth-cache-key",
    "auth-proxy-set-headers", "auth-realm", "auth-request-redirect", "auth-response-headers", "auth-secret",
    "auth-signin-redirect-param", "auth-tls-secret", "auth-tls-verify-client", "canary-by-cookie",
    "canary-by-header", "canary-by-header-pattern", "canary-by-header-value", "cors-allow-headers",
    "cors-allow-methods", "cors-allow-origin", "cors-expose-headers", "custom-headers",
    "denylist-source-range", "fastcgi-index", "fastcgi-params-configmap", "force-ssl-redirect",
    "opentelemetry-operation-name", "permanent-redirect", "preserve-trailing-slash", "proxy-body-size",
    "proxy-cookie-domain", "proxy-cookie-path", "proxy-next-upstream", "proxy-redirect-from",
    "proxy-redirect-to", "proxy-ssl-ciphers", "proxy-ssl-secret", "rewrite-target", "session-cookie-domain",
    "session-cookie-expires", "session-cookie-max-age", "session-cookie-name", "session-cookie-path",
    "temporal-redirect", "whitelist-source-range", "x-forwarded-prefix",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_known() {
        for list in [&CRITICAL[..], &HIGH, &MEDIUM] {
            assert!(list.is_sorted());
            for name in list {
                assert!(super::super::Annotation::by_name(name).is_some(), "{name}");
            }
        }
        assert_eq!(of("ssl-redirect"), Risk::Low);
        assert_eq!(of("rewrite-target"), Risk::Medium);
        assert_eq!(of("server-alias"), Risk::High);
        assert_eq!(of("server-snippet"), Risk::Critical);
    }
}
