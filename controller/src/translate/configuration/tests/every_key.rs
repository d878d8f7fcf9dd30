//! Every key that is said to work: what it says arrives somewhere.

use super::*;

/// What a key is set to, and the lines that must stand beside it.
type Sample = (&'static str, &'static str, &'static str);

const AUTH: &str = "  global-auth-url: http://auth.example/\n";
const BROTLI: &str = "  enable-brotli: \"true\"\n";
const COLLECTOR: &str = "  otlp-collector-host: otel.example\n";
const GZIP: &str = "  use-gzip: \"true\"\n";
const FIELDS: &str =
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: ingress, name: fields}\ndata: {X-A: b}\n";
const PROXY: &str = "  use-proxy-protocol: \"true\"\n";
const SYSLOG: &str = "  enable-syslog: \"true\"\n";
const ZSTD: &str = "  enable-zstd: \"true\"\n";
const TRACED: &str = "  otlp-collector-host: otel.example\n  enable-opentelemetry: \"true\"\n";

#[rustfmt::skip]
const SAMPLES: &[Sample] = &[
    ("access-log-path", "/tmp/log", ""),
    ("add-headers", "ingress/fields", FIELDS),
    ("allow-backend-server-header", "true", "  server-tokens: \"true\"\n"),
    ("allow-cross-namespace-resources", "true", ""),
    ("allow-snippet-annotations", "true", ""),
    ("annotation-value-word-blocklist", "root", ""),
    ("annotations-risk-level", "Low", ""),
    ("bind-address", "192.0.2.1", ""),
    ("block-cidrs", "10.0.0.0/8", ""),
    ("block-referers", "spam", ""),
    ("block-user-agents", "bot", ""),
    ("brotli-level", "5", BROTLI),
    ("brotli-min-length", "100", BROTLI),
    ("brotli-types", "text/x-a", BROTLI),
    ("client-body-timeout", "7", ""),
    ("client-header-timeout", "7", ""),
    ("compute-full-forwarded-for", "true", ""),
    ("custom-http-errors", "404", ""),
    ("denylist-source-range", "10.0.0.0/8", ""),
    ("disable-access-log", "true", ""),
    ("disable-http-access-log", "true", ""),
    ("disable-ipv6", "true", "  bind-address: \"192.0.2.1, 2001:db8::1\"\n"),
    ("disable-ipv6-dns", "true", ""),
    ("disable-proxy-intercept-errors", "true", "  custom-http-errors: \"404\"\n"),
    ("disable-stream-access-log", "true", ""),
    ("enable-access-log-for-default-backend", "true", ""),
    ("enable-auth-access-log", "true", ""),
    ("enable-brotli", "true", ""),
    ("enable-ocsp", "true", ""),
    ("enable-opentelemetry", "true", COLLECTOR),
    ("enable-real-ip", "true", "  proxy-real-ip-cidr: 10.0.0.0/8\n"),
    ("enable-syslog", "true", "  syslog-host: logs.example\n"),
    ("enable-underscores-in-headers", "true", ""),
    ("enable-zstd", "true", ""),
    ("force-ssl-redirect", "true", ""),
    ("forwarded-for-header", "X-A", ""),
    ("forwarded-host-header", "X-A", ""),
    ("generate-request-id", "false", ""),
    ("geoip2-autoreload-in-minutes", "7", "  use-geoip2: \"true\"\n"),
    ("global-allowed-response-headers", "X-A", ""),
    ("global-auth-always-set-cookie", "true", AUTH),
    ("global-auth-cache-duration", "200 1h", "  global-auth-url: http://auth.example/\n  global-auth-cache-key: $host\n"),
    ("global-auth-cache-key", "$remote_user$http_authorization", AUTH),
    ("global-auth-method", "HEAD", AUTH),
    ("global-auth-request-redirect", "/back", AUTH),
    ("global-auth-response-headers", "X-A", AUTH),
    ("global-auth-signin", "http://auth.example/start", AUTH),
    ("global-auth-signin-redirect-param", "back", "  global-auth-url: http://auth.example/\n  global-auth-signin: http://auth.example/start\n"),
    ("global-auth-snippet", "proxy_set_header X-A b;", AUTH),
    ("global-auth-url", "http://auth.example/", ""),
    ("gzip-disable", "msie6", GZIP),
    ("gzip-level", "5", GZIP),
    ("gzip-min-length", "100", GZIP),
    ("gzip-types", "text/x-a", GZIP),
    ("hide-headers", "X-A", ""),
    ("hsts", "false", ""),
    ("hsts-include-subdomains", "false", ""),
    ("hsts-max-age", "7", ""),
    ("hsts-preload", "true", ""),
    ("http-access-log-path", "/tmp/log", ""),
    ("http-redirect-code", "301", ""),
    ("http2-max-concurrent-streams", "7", ""),
    ("ignore-invalid-headers", "false", ""),
    ("keep-alive", "7", ""),
    ("keep-alive-requests", "7", ""),
    ("large-client-header-buffers", "2 4k", ""),
    ("limit-conn-status-code", "429", ""),
    ("limit-conn-zone-variable", "$http_x_key", ""),
    ("limit-rate", "7", ""),
    ("limit-rate-after", "7", "  limit-rate: \"7\"\n"),
    ("limit-req-status-code", "429", ""),
    ("load-balance", "ewma", ""),
    ("location-snippet", "add_header X-A b;", ""),
    ("log-format-escape-json", "true", ""),
    ("log-format-escape-none", "true", ""),
    ("log-format-stream", "$status", ""),
    ("log-format-upstream", "$status", ""),
    ("no-auth-locations", "/open", ""),
    ("no-tls-redirect-locations", "/plain", ""),
    ("ocsp-responder-cidr", "10.0.0.0/8", "  enable-ocsp: \"true\"\n"),
    ("opentelemetry-operation-name", "$host", TRACED),
    ("opentelemetry-trust-incoming-span", "false", TRACED),
    ("otel-max-export-batch-size", "7", COLLECTOR),
    ("otel-max-queuesize", "777", COLLECTOR),
    ("otel-sampler", "AlwaysOff", COLLECTOR),
    ("otel-sampler-parent-based", "false", COLLECTOR),
    ("otel-sampler-ratio", "0.5", "  otlp-collector-host: otel.example\n  otel-sampler: TraceIdRatioBased\n"),
    ("otel-schedule-delay-millis", "7", COLLECTOR),
    ("otel-service-name", "edge", COLLECTOR),
    ("otlp-collector-host", "otel.example", ""),
    ("otlp-collector-port", "7", COLLECTOR),
    ("preserve-trailing-slash", "true", ""),
    ("proxy-add-original-uri-header", "true", ""),
    ("proxy-body-size", "7m", ""),
    ("proxy-buffer-size", "7k", ""),
    ("proxy-connect-timeout", "7", ""),
    ("proxy-cookie-domain", "a b", ""),
    ("proxy-cookie-path", "/a /b", ""),
    ("proxy-http-version", "1.0", ""),
    ("proxy-next-upstream", "http_503", ""),
    ("proxy-next-upstream-timeout", "7", ""),
    ("proxy-next-upstream-tries", "7", ""),
    ("proxy-protocol-header-timeout", "7s", PROXY),
    ("proxy-protocol-optional-cidr", "10.0.0.0/8", PROXY),
    ("proxy-read-timeout", "7", ""),
    ("proxy-real-ip-cidr", "10.0.0.0/8", PROXY),
    ("proxy-redirect-from", "http://a", "  proxy-redirect-to: http://b\n"),
    ("proxy-redirect-to", "http://b", "  proxy-redirect-from: http://a\n"),
    ("proxy-request-buffering", "off", ""),
    ("proxy-send-timeout", "7", ""),
    ("proxy-set-headers", "ingress/fields", FIELDS),
    ("proxy-stream-next-upstream", "false", ""),
    ("proxy-stream-next-upstream-tries", "0", ""),
    ("proxy-stream-responses", "7", ""),
    ("proxy-stream-timeout", "7s", ""),
    ("relative-redirects", "true", ""),
    ("retry-non-idempotent", "true", ""),
    ("server-snippet", "add_header X-A b;", ""),
    ("server-tokens", "true", ""),
    ("service-upstream", "true", ""),
    ("skip-access-log-urls", "/health", ""),
    ("ssl-ciphers", "ECDHE-RSA-AES256-GCM-SHA384", ""),
    ("ssl-early-data", "true", ""),
    ("ssl-ecdh-curve", "X25519", ""),
    ("ssl-protocols", "TLSv1.3", ""),
    ("ssl-redirect", "false", ""),
    ("ssl-reject-handshake", "true", ""),
    ("ssl-session-cache", "false", ""),
    ("ssl-session-cache-size", "1m", ""),
    ("ssl-session-ticket-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""),
    ("ssl-session-tickets", "false", ""),
    ("ssl-session-timeout", "7m", ""),
    ("stream-access-log-path", "/tmp/log", ""),
    ("strict-validate-path-type", "false", ""),
    ("syslog-host", "logs.example", SYSLOG),
    ("syslog-port", "1514", "  enable-syslog: \"true\"\n  syslog-host: logs.example\n"),
    ("upstream-hash-by", "$remote_user", ""),
    ("upstream-keepalive-connections", "0", ""),
    ("upstream-keepalive-requests", "7", ""),
    ("upstream-keepalive-time", "7m", ""),
    ("upstream-keepalive-timeout", "7", ""),
    ("use-forwarded-headers", "true", "  proxy-real-ip-cidr: 10.0.0.0/8\n"),
    ("use-geoip2", "true", ""),
    ("use-gzip", "true", ""),
    ("use-http2", "false", ""),
    ("use-port-in-redirects", "true", ""),
    ("use-proxy-protocol", "true", ""),
    ("whitelist-source-range", "10.0.0.0/8", ""),
    ("worker-shutdown-timeout", "7m", ""),
    ("zstd-level", "5", ZSTD),
    ("zstd-min-length", "100", ZSTD),
    ("zstd-types", "text/x-a", ZSTD),
];

/// What Ingresses without annotations get, and everything else.
fn outcome(data: &str) -> (annotations::Settings, Options) {
    let (mut options, _) = configured(data);
    let settings = annotations::defaults(&options);
    // By now it must have become settings.
    options.default_annotations.clear();
    (settings, options)
}

#[test]
fn every_key_that_works_has_its_effect() {
    let works = table::TABLE
        .iter()
        .filter(|key| matches!(key.handling, Handling::Parse(_) | Handling::Annotation(_)));
    for key in works {
        let sample = SAMPLES.iter().find(|(name, ..)| *name == key.name);
        let (name, value, beside) = sample.unwrap_or_else(|| panic!("{} has no sample", key.name));
        let with = format!("  {name}: {value:?}\n{beside}");
        let refused = configured(&with)
            .1
            .iter()
            .any(|problem| problem.field == format!("data[{name}]"));
        assert!(!refused, "{with}");
        let has_effect = outcome(&with) != outcome(beside);
        assert!(has_effect, "{with}");
    }
}

#[test]
fn text_that_guards_access_and_is_not_served_closes_everything() {
    let effect = |text: &str| {
        let (options, problems) = configured(&format!("  http-snippet: |\n    {text}\n"));
        assert_eq!(problems[0].reason, reason::KEY_NOT_SUPPORTED, "{text}");
        assert_eq!(
            options.disabled.is_some(),
            problems[0].effect == Effect::RouteDisabled
        );
        problems[0].effect
    };
    for text in [
        "deny 192.0.2.0/24;",
        "map $a $b { default 1; } auth_basic x;",
        "limit_req zone=a;",
        "access_by_lua_block { ngx.exit(403) }",
        "allow 'x",
    ] {
        assert_eq!(effect(text), Effect::RouteDisabled, "{text}");
    }
    for text in [
        "limit_req_zone $host zone=a:1m rate=1r/s;",
        "server { listen 8000; deny all; }",
        "map $http_x $allow { default deny; }",
        "proxy_cache_path /tmp keys_zone=a:1m;",
    ] {
        assert_eq!(effect(text), Effect::Ignored, "{text}");
    }
}
